"""What a forecaster's networks learn from: every step of every series, and what followed it."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nabi._row_share import RowShare
from nabi.data import Series
from nabi.models._forecaster._inputs import InputPlan, Read

__all__ = ["WindowBatch", "Windows"]

_SEGMENT = 192  # steps of a row; longer series are cut, elsewhere in every epoch
_BURN = 12  # steps at the beginning of a part of a series from which nothing is forecast
_BEFORE = 256  # steps that are read before those of the validation
_MOST_ROWS = 6_400  # of an epoch; of more, some are drawn
_PER_ROW = 24  # steps of a row from which there are forecasts, on the mean
_FEWEST = 2  # steps that are read before the first forecast; with a season up to so many:
_FEWEST_WITH_SEASON = 8
# A target farther from zero, in units of the scale, says that there was no scale yet.
_FARTHEST = 50.0
_PENALTIES = (1.0, 10.0, 100.0, 1_000.0)  # of the ridge regression


class WindowBatch(NamedTuple):
    """Rows of steps, and forecasts from some of them."""

    x: Tensor
    """`[R, L, width]`."""
    lengths: Tensor
    """`[R]`."""
    chosen: tuple[Tensor, Tensor]
    """Rows and steps `[N]` from which there is a forecast."""
    methods: Tensor
    """`[N, methods, horizon]`."""
    targets: Tensor
    """`[N, horizon]`, in units of the scale; zero where there is none."""
    there: Tensor
    """`[N, horizon]`, whether there is a target."""
    held_out: Tensor
    """`[N, horizon]`, whether it is one that is held out."""
    of_all: "OfAll | None" = None
    """How many targets the whole batch has, where these are one worker's rows of it."""

    def own(self, share: RowShare) -> "WindowBatch":
        """Return some of the rows, with the forecasts from their steps."""
        places, steps = self.chosen
        mine = (places >= share.first) & (places < share.first + share.count)
        return WindowBatch(
            self.x[share.rows],
            self.lengths[share.rows],
            (places[mine] - share.first, steps[mine]),
            self.methods[mine],
            self.targets[mine],
            self.there[mine],
            self.held_out[mine],
            OfAll(int(self.there.sum()), int((self.there & ~self.held_out).sum())),
        )


class OfAll(NamedTuple):
    """How many targets a batch has, of which a worker has a part."""

    there: int
    measured: int
    """Those that are not held out."""


class Windows:
    """Series that were read, as one table of steps.

    Args:
        plan: of the inputs.
        series: as they were given.
        reads: the same, read.
        held_out: for each series, how many steps at its end are held out.
    """

    def __init__(
        self, plan: InputPlan, series: Sequence[Series], reads: Sequence[Read], held_out: Sequence[int]
    ) -> None:
        self._plan = plan
        self.lengths = np.array([len(one) for one in series])
        self.held_out = np.array(held_out)
        self._offsets = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self._x = torch.from_numpy(np.concatenate([read.x for read in reads]))
        self._methods = torch.from_numpy(np.concatenate([read.methods for read in reads]))
        targets = []
        for one, read in zip(series, reads, strict=True):
            followed = np.concatenate([one.target, np.full(plan.horizon, np.nan)])
            windows = np.lib.stride_tricks.sliding_window_view(followed[1:], plan.horizon)
            with np.errstate(over="ignore"):
                targets.append(((windows - read.centre) / read.scale).astype(np.float32))
        self._targets = torch.from_numpy(np.concatenate(targets))
        usable = self._targets.abs() < _FARTHEST  # and not NaN
        fewest = min(plan.season + 1, _FEWEST_WITH_SEASON) if plan.season > 1 else _FEWEST
        for offset in self._offsets:
            usable[offset : offset + fewest - 1] = False
        self._there = usable

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return min(int(np.sum(-(-self.lengths // _SEGMENT))), _MOST_ROWS)

    def epoch(self, random: np.random.Generator) -> list[tuple[int, int, int]]:
        """Return the rows of an epoch in order: the series, its first step, and the one after its last."""
        rows = []
        for number, length in enumerate(self.lengths.tolist()):
            if length <= _SEGMENT:
                rows.append((number, 0, length))
                continue
            first = int(random.integers(_SEGMENT)) - _SEGMENT
            cuts = range(first, length, _SEGMENT)
            rows += [(number, max(cut, 0), min(cut + _SEGMENT, length)) for cut in cuts if cut + _SEGMENT > 0]
        return [rows[place] for place in random.permutation(len(rows))[: self.rows]]

    def batch(self, rows: Sequence[tuple[int, int, int]], random: np.random.Generator) -> WindowBatch:
        """Return rows with forecasts from steps of them that are drawn."""
        batch_rows, batch_steps = [], []
        for place, (number, first, last) in enumerate(rows):
            offset, begin = int(self._offsets[number]), first + (_BURN if first else 0)
            found = np.flatnonzero(self._there[offset + begin : offset + last].any(1).numpy())
            batch_rows.append(np.full(len(found), place))
            batch_steps.append(found + begin - first)
        places, steps = np.concatenate(batch_rows), np.concatenate(batch_steps)
        drawn = np.sort(random.permutation(len(places))[: _PER_ROW * len(rows)])
        return self._gather(rows, places[drawn], steps[drawn])

    def validation(self, size: int) -> list[list[tuple[int, int, int]]]:
        """Return the rows, in batches, in which something is held out."""
        rows = [
            (number, max(0, length - held - _BEFORE), length)
            for number, (length, held) in enumerate(
                zip(self.lengths.tolist(), self.held_out.tolist(), strict=True)
            )
            if held
        ]
        rows.sort(key=lambda row: row[2] - row[1])
        return [rows[first : first + size] for first in range(0, len(rows), size)]

    def held_out_batch(self, rows: Sequence[tuple[int, int, int]]) -> WindowBatch:
        """Return rows with forecasts from every step that has targets which are all held out."""
        batch_rows, batch_steps = [], []
        for place, (number, first, last) in enumerate(rows):
            held = int(self.held_out[number])
            steps = np.arange(max(last - held - 1, first), max(last - self._plan.horizon, last - held))
            batch_rows.append(np.full(len(steps), place))
            batch_steps.append(steps - first)
        return self._gather(rows, np.concatenate(batch_rows), np.concatenate(batch_steps))

    def _gather(
        self,
        rows: Sequence[tuple[int, int, int]],
        places: "np.typing.NDArray[np.int64]",
        steps: "np.typing.NDArray[np.int64]",
    ) -> WindowBatch:
        lengths = np.array([last - first for _, first, last in rows])
        begins = np.array([self._offsets[number] + first for number, first, _ in rows])
        index = begins[:, None] + np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
        flat = torch.from_numpy(begins[places] + steps)
        # Which steps are forecast, against where those that are held out begin.
        numbers = np.array([number for number, _, _ in rows])[places]
        firsts = np.array([first for _, first, _ in rows])[places]
        ahead = (firsts + steps)[:, None] + 1 + np.arange(self._plan.horizon)
        held_out = ahead >= (self.lengths - self.held_out)[numbers][:, None]
        there = self._there[flat]
        return WindowBatch(
            self._x[torch.from_numpy(index)],
            torch.from_numpy(lengths),
            (torch.from_numpy(places), torch.from_numpy(steps)),
            self._methods[flat],
            torch.where(there, self._targets[flat], 0.0),
            there,
            torch.from_numpy(held_out),
        )

    def ridge(self, at_first: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Fit linear maps of the features to what followed, less what is forecast at first.

        Ridge regression for each step ahead; how strong its penalty is, is chosen by what is held out.

        Returns:
            The map without what is held out, and with it: `[width + 1, horizon]`.
        """
        number = np.repeat(np.arange(len(self.lengths)), self.lengths)
        step = np.concatenate([np.arange(length) for length in self.lengths])
        limit = (self.lengths - self.held_out)[number] - step - 1
        wanted = torch.where(self._there, self._targets - at_first(self._methods), 0.0).double()
        x = torch.cat([self._x, torch.ones(len(self._x), 1)], 1).double()
        found: tuple[list[Tensor], list[Tensor]] = ([], [])
        for ahead in range(self._plan.horizon):
            there = self._there[:, ahead]
            before = there & torch.from_numpy(limit > ahead)
            after = there & ~before
            target = wanted[:, ahead]
            best, penalty = float("inf"), _PENALTIES[-1]
            products = _products(x[before], target[before])
            for one in _PENALTIES:
                weights = _ridge(*products, one)
                error = float((x[after] @ weights - target[after]).square().sum()) if after.any() else 0.0
                if error < best:
                    best, penalty, kept = error, one, weights
            found[0].append(kept)
            found[1].append(_ridge(*_products(x[there], target[there]), penalty))
        return torch.stack(found[0], 1).float(), torch.stack(found[1], 1).float()

    def digest(self) -> str:
        """Return what differs for other series."""
        found = hashlib.sha256(self._x.numpy().tobytes())
        found.update(self._targets.numpy().tobytes())
        found.update(self.held_out.tobytes())
        return found.hexdigest()


def _products(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return x.T @ x, x.T @ target


def _ridge(squares: Tensor, with_target: Tensor, penalty: float) -> Tensor:
    penalties = torch.full((len(squares),), penalty, dtype=squares.dtype)
    penalties[-1] = 1e-6  # the bias
    found: Tensor = torch.linalg.solve(squares + penalties.diag(), with_target)
    return found
