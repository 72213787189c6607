"""Random models beside Keras: outputs, losses, metrics, and weights after some steps of training."""

import os

import pytest

from .random_keras_models import check


@pytest.mark.rotates(days=2)
def test_random_models_are_those_of_keras() -> None:
    """A few of what `python tests/models/random_keras_models.py 1000` draws."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    check(25)
