"""What cells are compared on: sequences, answers, and how good an answer is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PARTS", "Batch", "Measure", "Task", "accuracy", "answers_only"]

Batch = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Sequences `[B, T]` or `[B, T, features]`, and their answers `[B]`, `[B, T]` or `[B, 1]`."""

PARTS = ("training", "validation", "test")
"""What sequences are for; each part has its own."""


@dataclass(frozen=True)
class Measure:
    """How good the answers of a network are.

    Attributes:
        name: such as "mean squared error".
        smaller_is_better: whether it counts errors.
        of: computes it from the outputs of the network and the answers.
    """

    name: str
    smaller_is_better: bool
    of: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]


@dataclass(frozen=True)
class Task:
    """A task that cells are compared on.

    Attributes:
        name: as `--task` has it.
        data: where the sequences come from.
        length: the setting of that name: steps, or what the task means by it.
        steps: how many steps a sequence has; the longest, if they differ.
        draw: returns so many sequences of a part, drawn with a generator.
        features: how many numbers a step has; of symbols, how many there are.
        symbols: whether a step is a symbol, a whole number from 0 to `features - 1`.
        outputs: how many numbers the network gives; a probability for each class, if there are classes.
        classes: whether the answers are classes.
        every_step: whether there is an answer to every step, or one to the sequence.
        masked: whether steps of zeros, or the symbol 0, only fill up shorter sequences.
        measure: how good an answer is.
        baseline: the figure of an answer that needs no memory, and `baseline_of`, what that is.
        held_out: how many sequences are drawn to validate and how many to test.
    """

    name: str
    data: str
    length: int
    steps: int
    draw: Callable[[str, int, np.random.Generator], Batch]
    features: int
    outputs: int
    measure: Measure
    baseline: float
    baseline_of: str
    symbols: bool = False
    classes: bool = True
    every_step: bool = False
    masked: bool = False
    held_out: tuple[int, int] = (500, 2000)

    def batches(self, part: str, count: int, seed: int, piece: int = 0) -> Batch:
        """Return `count` sequences of a part; the same ones for the same seed and number of the piece."""
        return self.draw(part, count, np.random.default_rng([seed, PARTS.index(part), piece]))


def _right(outputs: npt.NDArray[Any], answers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = outputs.argmax(-1) == answers
    return found


accuracy = Measure("accuracy", False, lambda outputs, answers: float(_right(outputs, answers).mean()))
"""The share of answers that are right."""


def answers_only(first: int) -> Measure:
    """Return the accuracy from a step on."""
    return Measure(
        "accuracy", False, lambda outputs, answers: float(_right(outputs, answers)[:, first:].mean())
    )
