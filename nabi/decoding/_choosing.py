"""Choosing the next code of each row from probabilities.

In NumPy: rows are few and short, and torch's overhead per operation is several times as high.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi.decoding._strategies import Greedy, Sampling
from nabi.errors import NotFiniteError

__all__ = ["Chooser", "check_probabilities"]

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]

# Random numbers drawn at a time.
_DRAWS = 256


def check_probabilities(log_probabilities: Floats) -> None:
    """Check that a code can be chosen.

    Raises:
        NotFiniteError: if a probability is NaN, or all of a row are zero.
    """
    # The largest of a row is NaN if any is; it is -inf if all are.
    largest = log_probabilities.max(axis=1)
    if not np.isfinite(largest).all():
        row = int(np.flatnonzero(~np.isfinite(largest))[0])
        raise NotFiniteError(
            f"log probabilities: expected a finite largest value in row {row}, got {largest[row]}; the "
            "model's weights may be NaN or infinite"
        )


class Chooser:
    """Chooses codes for the rows of a batch, which rows may leave on the way."""

    def __init__(self, strategy: Greedy | Sampling, rows: int) -> None:
        greedy = isinstance(strategy, Greedy) or strategy.temperature == 0
        self._sampling = strategy if isinstance(strategy, Sampling) else None
        self._draws = None if greedy or self._sampling is None else _Draws(self._sampling.seed, rows)
        self._past: list[list[int]] | None = None
        if self._sampling is not None and self._sampling.repetition_penalty > 1:
            self._past = [[] for _ in range(rows)]

    def choose(self, log_probabilities: Floats, rows: Codes) -> Codes:
        """Return a code for each row, from `[B, V]`; `rows` are their indices in the original batch.

        Raises:
            NotFiniteError: as `check_probabilities`.
        """
        if len(rows) == 1 and self._is_plain:
            return self._choose_one(log_probabilities, int(rows[0]))
        check_probabilities(log_probabilities)
        scores = log_probabilities
        if self._past is not None:
            scores = self._penalise(scores, rows)
        if self._draws is None:
            codes: Codes = scores.argmax(axis=1)
        else:
            codes = self._draw(scores, self._draws.next(rows))
        if self._past is not None:
            assert self._sampling is not None
            for row, code in zip(rows, codes, strict=True):
                past = self._past[row]
                past.append(int(code))
                del past[: -self._sampling.repetition_window]
        return codes

    @property
    def _is_plain(self) -> bool:
        """Whether a code depends only on its row's probabilities and the temperature."""
        strategy = self._sampling
        return self._past is None and (
            self._draws is None or strategy is None or (strategy.top_k is None and strategy.top_p == 1)
        )

    def _choose_one(self, log_probabilities: Floats, row: int) -> Codes:
        """Choose as `choose` does, for a single row, where only the number of operations counts."""
        scores = log_probabilities[0]
        best = scores.argmax()  # a NaN counts as the largest
        largest = float(scores[best])
        if not math.isfinite(largest):
            check_probabilities(log_probabilities)
        if self._draws is None:
            return np.array([best], dtype=np.int64)
        assert self._sampling is not None
        shifted = scores.astype(np.float64)
        shifted -= largest
        if self._sampling.temperature != 1:
            shifted /= self._sampling.temperature
        sums = np.exp(shifted, out=shifted).cumsum()
        total = float(sums[-1])
        wanted = min(self._draws.next_of(row) * total, math.nextafter(total, 0))
        return np.array([sums.searchsorted(wanted, side="right")], dtype=np.int64)

    def _penalise(self, scores: Floats, rows: Codes) -> Floats:
        assert self._past is not None
        assert self._sampling is not None
        scores = scores.copy()
        for place, row in enumerate(rows):
            scores[place, list(set(self._past[row]))] -= math.log(self._sampling.repetition_penalty)
        return scores

    def _draw(self, scores: Floats, draws: Floats) -> Codes:
        assert self._sampling is not None
        shifted = scores.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        if self._sampling.temperature != 1:
            shifted /= self._sampling.temperature
        weights = np.exp(shifted)
        top_k, top_p = self._sampling.top_k, self._sampling.top_p
        if (top_k is not None and top_k < weights.shape[1]) or top_p < 1:
            weights = _keep_top(weights, top_k, top_p)
        sums = weights.cumsum(axis=1)
        totals = sums[:, -1]
        # Strictly below the total even after rounding: the last code may have probability zero.
        wanted = np.minimum(draws * totals, np.nextafter(totals, 0))
        codes: Codes = (sums <= wanted[:, None]).sum(axis=1)
        return codes


def _keep_top(weights: Floats, top_k: int | None, top_p: float) -> Floats:
    """Set to 0 all but the `top_k` largest of a row, and those beyond a share of `top_p`."""
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    if top_k is not None:
        ranked[:, top_k:] = 0
    if top_p < 1:
        sums = ranked.cumsum(axis=1)
        # The first is always kept.
        ranked[:, 1:][sums[:, :-1] >= top_p * sums[:, -1:]] = 0
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, ranked, axis=1)
    return kept


class _Draws:
    """Random numbers from 0 to 1, an independent sequence for each row."""

    def __init__(self, seed: int, rows: int) -> None:
        self._generators = [torch.Generator().manual_seed(seed + row) for row in range(rows)]
        self._numbers: Floats = np.empty((rows, _DRAWS))
        self._at = _DRAWS

    def next(self, rows: Codes) -> Floats:
        """Return the next number of each of these rows."""
        self._go_on(rows)
        found: Floats = self._numbers[rows, self._at - 1]
        return found

    def next_of(self, row: int) -> float:
        """Return the next number of this row."""
        self._go_on((row,))
        return float(self._numbers[row, self._at - 1])

    def _go_on(self, rows: Iterable[int]) -> None:
        if self._at == _DRAWS:
            for row in rows:
                drawn = torch.rand(_DRAWS, generator=self._generators[row], dtype=torch.float64)
                self._numbers[row] = drawn.numpy()
            self._at = 0
        self._at += 1
