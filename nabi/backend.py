"""The remaining functions of `keras.backend`.

>>> from nabi import backend, layers
>>> backend.clear_session()
>>> layers.Dense(1).name
'dense'
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.layers import reset_names

__all__ = ["clear_session"]


def clear_session() -> None:
    """Restart the automatic names of layers and models."""
    reset_names()


if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
