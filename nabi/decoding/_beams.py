"""Beam search over a batch."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi._dtypes import to_numpy
from nabi.decoding._choosing import check_probabilities
from nabi.decoding._model import Decodable
from nabi.decoding._strategies import BeamSearch

__all__ = ["Found", "search"]

# The codes of a hypothesis as a linked list, last code first: (earlier codes, code). Hypotheses share
# prefixes.
Chain = tuple[Any, int] | None
# Log probability, codes, whether it ended.
Found = tuple[float, tuple[int, ...], bool]


class _Row:
    """One row of the batch: the live hypotheses and the finished ones."""

    def __init__(self) -> None:
        self.chains: list[Chain] = [None]
        self.totals = np.zeros(1)
        self.ended: list[tuple[float, Chain, int]] = []
        """Log probability, codes excluding the end, and length including it."""


def search(
    model: Decodable, state: Any, first: Tensor, strategy: BeamSearch, ends: Collection[int], maxlen: int
) -> list[list[tuple[float, Found]]]:
    """Return the best sequences of each row with their scores; see `BeamSearch`."""
    rows = [_Row() for _ in range(len(first))]
    alive = list(range(len(rows)))
    codes = first
    for length in range(1, maxlen + 1):
        if not alive:
            break
        log_probabilities, state = model.step(codes, state)
        values, places = _best_of_each(log_probabilities, strategy.beam)
        kept: list[int] = []
        chosen: list[int] = []
        going: list[int] = []
        at = 0
        for number in alive:
            row = rows[number]
            count = len(row.chains)
            parents, following = _advance(
                row, values[at : at + count], places[at : at + count], strategy, ends, length
            )
            if row.chains and not _is_decided(row, strategy, maxlen):
                kept += [at + parent for parent in parents]
                chosen += following
                going.append(number)
            at += count
        alive = going
        if alive and length < maxlen:
            state = model.select(state, torch.tensor(kept, device=first.device))
            codes = torch.tensor(chosen, device=first.device)
    return [_ranked(row, strategy, maxlen) for row in rows]


def _best_of_each(log_probabilities: Tensor, beam: int) -> tuple[Any, Any]:
    """Return the best codes of each hypothesis, `[N, beam]`, and their log probabilities; ties: the first."""
    width = min(beam, log_probabilities.shape[1])
    if width == 1:
        values, places = log_probabilities.max(dim=1, keepdim=True)
    else:
        values, places = log_probabilities.topk(width, dim=1)
    array = to_numpy(values).astype(np.float64)
    check_probabilities(array)
    return array, places.numpy(force=True)


def _advance(
    row: _Row, values: Any, places: Any, strategy: BeamSearch, ends: Collection[int], length: int
) -> tuple[list[int], list[int]]:
    """Extend the hypotheses by the best next codes; return the parents and codes of those that go on."""
    totals = (row.totals[:, None] + values).ravel()
    room = strategy.beam - len(row.ended)
    best = np.argsort(-totals, kind="stable")[:room]
    chains: list[Chain] = []
    sums: list[float] = []
    parents: list[int] = []
    codes: list[int] = []
    for place in best:
        total = float(totals[place])
        if total == -math.inf:
            break
        parent = int(place) // values.shape[1]
        code = int(places.flat[place])
        if code in ends:
            row.ended.append((total, row.chains[parent], length))
            continue
        chains.append((row.chains[parent], code))
        sums.append(total)
        parents.append(parent)
        codes.append(code)
    row.chains, row.totals = chains, np.array(sums)
    return parents, codes


def _score(total: float, length: int, strategy: BeamSearch) -> float:
    return float(total / length**strategy.length_penalty)


def _is_decided(row: _Row, strategy: BeamSearch, maxlen: int) -> bool:
    """Return whether no live hypothesis can still rank among the best."""
    if len(row.ended) < strategy.best:
        return False
    scores = sorted((_score(total, length, strategy) for total, _, length in row.ended), reverse=True)
    # Log probabilities only fall, and the longest possible sequence has the largest divisor.
    return _score(float(row.totals[0]), maxlen, strategy) <= scores[strategy.best - 1]


def _ranked(row: _Row, strategy: BeamSearch, maxlen: int) -> list[tuple[float, Found]]:
    found = [
        (_score(total, length, strategy), (total, _codes(chain), True)) for total, chain, length in row.ended
    ]
    found.sort(key=lambda one: -one[0])
    cut = [
        (_score(float(total), maxlen, strategy), (float(total), _codes(chain), False))
        for total, chain in zip(row.totals, row.chains, strict=True)
    ]
    return [*found, *cut][: strategy.best]


def _codes(chain: Chain) -> tuple[int, ...]:
    codes: list[int] = []
    while chain is not None:
        chain, code = chain
        codes.append(code)
    return tuple(reversed(codes))
