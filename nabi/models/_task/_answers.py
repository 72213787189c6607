"""What classifiers answered while they were measured, row by row, for reports that show examples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

__all__ = ["Answers", "note_answers", "watched_answers"]


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one measurement."""

    names: Sequence[str]
    """Of the N rows: their texts, or what the sequences are called."""
    targets: Any
    """The right classes' numbers `[N]`."""
    probabilities: Any
    """`[N, classes]`."""


_watching: ContextVar[list[Answers] | None] = ContextVar("watching_answers", default=None)


def note_answers(names: Sequence[str], targets: Any, probabilities: Any) -> None:
    """Note the answers of a measurement, where somebody watches."""
    seen = _watching.get()
    if seen is not None:
        seen.append(Answers(names, targets, probabilities))


@contextmanager
def watched_answers() -> Iterator[list[Answers]]:
    """Collect the answers of measurements with one class for each row, while the body runs."""
    seen: list[Answers] = []
    token = _watching.set(seen)
    try:
        yield seen
    finally:
        _watching.reset(token)
