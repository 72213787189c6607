"""Decoding a batch: whole sequences, or step by step."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._dtypes import to_numpy
from nabi._public import public
from nabi.decoding._beams import search
from nabi.decoding._choosing import Chooser
from nabi.decoding._model import Decodable
from nabi.decoding._strategies import BeamSearch, Greedy, Sampling, Strategy
from nabi.errors import ArgumentError

__all__ = ["Decoded", "Written", "decode", "stream"]

Codes = npt.NDArray[np.int64]
_GREEDY = Greedy()


@dataclass(frozen=True)
class Decoded:
    """A generated sequence."""

    codes: tuple[int, ...]
    """Excluding the end code."""
    log_probability: float
    """Of the whole sequence, including the end code if there is one."""
    score: float
    """The ranking score of a beam search; otherwise the log probability."""
    ended: bool
    """Whether it ended before `maxlen`."""


class Written(NamedTuple):
    """The output of one step: a code for each row that continues."""

    rows: Codes
    """Indices of the rows in the batch, `[N]`."""
    codes: Codes
    """The codes chosen for them, `[N]`."""
    log_probabilities: npt.NDArray[np.float64]
    """Of these codes, `[N]`."""
    ended: dict[int, float]
    """Rows that ended in this step, with the log probability of the end."""


@public
def stream(
    model: Decodable,
    state: Any,
    first: Tensor | Collection[int],
    strategy: Strategy = _GREEDY,
    *,
    end: int | Collection[int] | None = None,
    maxlen: int | None = None,
) -> Iterator[Written]:
    """Generate codes for each row of a batch, and yield each as soon as it is chosen.

    Generated codes are not stored, so memory use does not depend on the length. A row that chooses `end`
    leaves the batch and is not computed any further. The iterator ends with the last row. A step in which
    all rows end yields no codes.

    Args:
        model: predicts the probabilities.
        state: of the model, for B rows.
        first: the code that each row reads first, `[B]`: the last code of its primer, or a start code.
        strategy: `Greedy` or `Sampling`.
        end: the code or codes that end a sequence; None if only `maxlen` does.
        maxlen: maximum number of codes per row, including the end; None for no limit.

    Raises:
        ArgumentError: for a strategy that cannot generate step by step, a length below 1, or codes of a wrong
            shape.
        NotFiniteError: if the model returns NaN as a probability.

    >>> import torch
    >>> class Counting:  # after a code comes the next one
    ...     def step(self, codes, state):
    ...         return torch.nn.functional.one_hot((codes + 1) % 5, 5).log(), state
    ...     def select(self, state, rows):
    ...         return state
    >>> [written.codes.tolist() for written in stream(Counting(), None, [0, 2], end=4)]
    [[1, 3], [2], [3], []]
    """
    _check_model(model)
    ends = _check_ends(end)
    codes = _check_first(first)
    if maxlen is not None:
        maxlen = _check_maxlen(maxlen)
    if not isinstance(strategy, Greedy | Sampling):
        raise ArgumentError(
            f"strategy: expected Greedy or Sampling, got {strategy!r}; a beam search has no result before it "
            "ends"
        )
    return _stream(model, state, codes, strategy, ends, maxlen)


def _stream(
    model: Decodable,
    state: Any,
    codes: Tensor,
    strategy: Greedy | Sampling,
    ends: frozenset[int],
    maxlen: int | None,
) -> Iterator[Written]:
    chooser = Chooser(strategy, len(codes))
    rows: Codes = np.arange(len(codes))
    places = rows
    length = 0
    while len(rows):
        log_probabilities, state = model.step(codes, state)
        array = to_numpy(log_probabilities)
        chosen = chooser.choose(array, rows)
        if len(rows) == 1:  # faster for a single text
            own = np.array([array[0, chosen[0]]], dtype=np.float64)
        else:
            own = array[places, chosen].astype(np.float64)
        ended: dict[int, float] = {}
        if ends:
            going = [place for place, code in enumerate(chosen.tolist()) if code not in ends]
            if len(going) < len(rows):
                stopped = sorted(set(range(len(rows))) - set(going))
                ended = {int(rows[place]): float(own[place]) for place in stopped}
                rows, chosen, own = rows[going], chosen[going], own[going]
                places = np.arange(len(rows))
                if going:
                    state = model.select(state, torch.tensor(going, device=codes.device))
        length += 1
        yield Written(rows, chosen, own, ended)
        if length == maxlen:
            return
        codes = torch.from_numpy(chosen).to(codes.device)


@public
def decode(
    model: Decodable,
    state: Any,
    first: Tensor | Collection[int],
    strategy: Strategy = _GREEDY,
    *,
    end: int | Collection[int] | None = None,
    maxlen: int,
) -> list[list[Decoded]]:
    """Generate a sequence for each row of a batch.

    Args:
        model, state, first, end: as for `stream`.
        strategy: `Greedy`, `Sampling` or `BeamSearch`.
        maxlen: maximum number of codes per row, including the end.

    Returns:
        The sequences of each row, best first: one, or up to n with `BeamSearch(best=n)`.

    Raises:
        ArgumentError, NotFiniteError: as `stream`.

    >>> import torch
    >>> class Coin:  # 0 and 1 with 0.5 and 0.2, and 2, the end, with 0.3
    ...     def step(self, codes, state):
    ...         return torch.tensor([0.5, 0.2, 0.3]).log().expand(len(codes), 3), state
    ...     def select(self, state, rows):
    ...         return state
    >>> [found.codes for found in decode(Coin(), None, [0], BeamSearch(3, best=2), end=2, maxlen=2)[0]]
    [(), (0,)]
    """
    _check_model(model)
    ends = _check_ends(end)
    codes = _check_first(first)
    maxlen = _check_maxlen(maxlen)
    if isinstance(strategy, BeamSearch):
        return [
            [Decoded(found[1], found[0], score, found[2]) for score, found in row]
            for row in search(model, state, codes, strategy, ends, maxlen)
        ]
    written: list[list[int]] = [[] for _ in range(len(codes))]
    totals = [0.0] * len(codes)
    ended = set()
    for step in stream(model, state, codes, strategy, end=ends, maxlen=maxlen):
        for row, code, own in zip(step.rows, step.codes, step.log_probabilities, strict=True):
            written[row].append(int(code))
            totals[row] += float(own)
        for row, own in step.ended.items():
            totals[row] += own
            ended.add(row)
    return [
        [Decoded(tuple(codes), total, total, row in ended)]
        for row, (codes, total) in enumerate(zip(written, totals, strict=True))
    ]


def _check_model(model: object) -> None:
    if not callable(getattr(model, "step", None)) or not callable(getattr(model, "select", None)):
        raise ArgumentError(
            f"model: expected an object with the methods step and select, got {_checks.short(model)}"
        )


def _check_ends(end: int | Collection[int] | None) -> frozenset[int]:
    if end is None:
        return frozenset()
    several = (
        isinstance(end, Collection) and not isinstance(end, str | bytes) and getattr(end, "ndim", 1) != 0
    )
    given: Any = end if several else [end]
    return frozenset(_checks.whole("end", code, 0, otherwise=", several of them or None") for code in given)


def _check_first(first: Tensor | Collection[int]) -> Tensor:
    if isinstance(first, Tensor):
        codes = first
    elif isinstance(first, Iterable) and not isinstance(first, str | bytes) and getattr(first, "ndim", 1):  # type: ignore[arg-type]
        codes = torch.tensor([_checks.whole("first", code, 0) for code in first], dtype=torch.int64)
    else:
        raise ArgumentError(f"first: expected the code of each row, got {_checks.short(first)}")
    if codes.dim() != 1 or codes.is_floating_point():
        raise ArgumentError(
            f"first: expected whole numbers [batch], got {codes.dtype} of shape {tuple(codes.shape)}"
        )
    return codes.to(torch.int64)


def _check_maxlen(maxlen: object) -> int:
    return _checks.whole("maxlen", maxlen)
