"""Taggers in files, and trainings that are interrupted and taken up again."""

from typing import Any

import pytest

from nabi.models import Tagger

from ..task_checks import *  # noqa: F403
from ..task_checks import Task
from .corpus import sentences


def small(**options: Any) -> Tagger:
    chosen = {"cell": "gru", "units": 5, "embedding_size": 4, "characters": 3, "character_size": 4}
    return Tagger(**{**chosen, "batch_size": 4, "epochs": 3, **options})


def ask(model: Tagger) -> Any:
    return model.predict(["Kalo met Miru in Solten.", ["a", "Varbin"]]), model.evaluate(*sentences(8, 2))


TASK = Task(
    make=small,
    data=sentences(24),
    other_data=sentences(24, 1),
    ask=ask,
    material="sentences or tags",
    options={"validation_share": 0.2},
)


@pytest.fixture(scope="module")
def task() -> Task:
    return TASK
