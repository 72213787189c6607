"""Label sequences from the outputs of a network that was trained with CTC (Graves et al. 2006).

Such a network gives the probability of every label, and of "no label" (the blank), at every step. A path of
them stands for the sequence that is left when labels that repeat are taken once and blanks are removed:
`- a a - b` and `a - - b b` both stand for `a b`.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nabi import _checks
from nabi._dtypes import to_numpy
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError

__all__ = ["CTCBeam", "CTCGreedy", "CTCLabels", "ctc_beam_search", "ctc_greedy", "ctc_steps_needed"]

BLANK = 0
"""The code of "no label"."""

_NEVER = -math.inf


class CTCLabels(NamedTuple):
    """A sequence of labels, and how probable it is."""

    labels: tuple[int, ...]
    log_probability: float
    """Of the sequence: of all paths that stand for it and were followed."""


@public
def ctc_steps_needed(labels: Sequence[int]) -> int:
    """Return how many steps a sequence of labels needs at least: one each, and a blank between equal ones.

    >>> ctc_steps_needed([1, 2, 2, 3])
    5
    """
    codes = list(labels)
    return len(codes) + sum(one == other for one, other in itertools.pairwise(codes))


class CTCGreedy:
    """The most probable label of every step, as the steps come; see `ctc_greedy`."""

    def __init__(self) -> None:
        self._last = BLANK

    def feed(self, log_probabilities: Any) -> list[int]:
        """Return the labels that begin in the next steps, `[T, V]`."""
        found = []
        for code in _checked(log_probabilities).argmax(1).tolist():
            if code not in (BLANK, self._last):
                found.append(code)
            self._last = code
        return found


@public
def ctc_greedy(log_probabilities: Any) -> list[int]:
    """Return the labels of the most probable path.

    It is quick, but other paths of the same labels do not count; `ctc_beam_search` adds them up.

    Args:
        log_probabilities: `[T, V]`, the logarithm of the probability of each label at each step; label 0 is
            the blank.

    Raises:
        ShapeError: for another shape.
        ArgumentError: for NaN.

    >>> ctc_greedy(np.log([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]]))
    [1, 2]
    """
    return CTCGreedy().feed(log_probabilities)


class CTCBeam:
    """Prefix beam search (Graves 2012, section 4; Hannun et al. 2014), as the steps come.

    For every beginning of a sequence it keeps the probability of all its paths, apart for those that end in
    a blank and those that end in its last label, since only after a blank can the same label begin again.

    Args:
        beam: how many beginnings are kept after each step.

    Raises:
        ArgumentError: for a beam below 1.
    """

    @public
    def __init__(self, beam: int = 10) -> None:
        self._beam = _checks.whole("beam", beam)
        # The beginning -> log probabilities of its paths that end in a blank, and of those that do not.
        self._kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}

    def feed(self, log_probabilities: Any) -> None:
        """Take the next steps, `[T, V]`."""
        for row in _checked(log_probabilities).tolist():
            self._step(row)

    def best(self, count: int = 1) -> list[CTCLabels]:
        """Return the most probable sequences so far, the best first."""
        sums = ((labels, _add(blank, label)) for labels, (blank, label) in self._kept.items())
        ranked = sorted(sums, key=lambda one: (-one[1], one[0]))
        return [CTCLabels(labels, total) for labels, total in ranked[:count]]

    def _step(self, row: list[float]) -> None:
        found: dict[tuple[int, ...], tuple[float, float]] = {}
        nothing = (_NEVER, _NEVER)
        for labels, (blank, label) in self._kept.items():
            total = _add(blank, label)
            last = labels[-1] if labels else BLANK
            # The sequence stays: by a blank, or by its last label again.
            before = found.get(labels, nothing)
            stays = label + row[last] if labels else _NEVER
            found[labels] = _add(before[0], total + row[BLANK]), _add(before[1], stays)
            for code in range(BLANK + 1, len(row)):
                longer = (*labels, code)
                came = (blank if code == last else total) + row[code]
                if came > _NEVER:
                    before = found.get(longer, nothing)
                    found[longer] = before[0], _add(before[1], came)
        ranked = sorted(found.items(), key=lambda one: (-_add(*one[1]), one[0]))
        self._kept = dict(ranked[: self._beam])


@public
def ctc_beam_search(log_probabilities: Any, *, beam: int = 10, best: int = 1) -> list[CTCLabels]:
    """Return the most probable sequences of labels, the best first.

    Args:
        log_probabilities: `[T, V]`, as for `ctc_greedy`.
        beam: how many beginnings are kept; see `CTCBeam`.
        best: how many sequences to return, at most `beam`.

    Raises:
        ShapeError: for another shape.
        ArgumentError: for NaN, numbers below 1, and a `best` above the beam.

    Two blanks are the most probable path, but the three paths of label 1 have more together:

    >>> steps = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> ctc_greedy(steps), ctc_beam_search(steps)[0].labels
    ([], (1,))
    """
    search = CTCBeam(beam)
    best = _checks.whole("best", best)
    if best > beam:
        raise ArgumentError(f"best: expected at most the beam of {beam}, got {best}")
    search.feed(log_probabilities)
    return search.best(best)


def _checked(log_probabilities: Any) -> Any:
    given = log_probabilities
    array = np.asarray(to_numpy(given) if isinstance(given, torch.Tensor) else given, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ShapeError(
            f"log_probabilities: expected [steps, labels] with the blank and a label at least, got "
            f"{array.shape}"
        )
    if np.isnan(array).any():
        raise ArgumentError("log_probabilities: expected numbers, got NaN")
    return array


def _add(one: float, other: float) -> float:
    """Return the logarithm of the sum of two probabilities."""
    high, low = (one, other) if one >= other else (other, one)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))
