"""What the network of a forecaster reads at every step of a series, made one step after the other.

The same code reads a history for training, for a forecast, and one more observation: what is carried along
is the state of the filters, so that all of them agree to the last bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.data import Frequency, Series
from nabi.models._forecaster._filters import METHODS, Filters, FilterState
from nabi.models._task._described import Described

__all__ = ["InputPlan", "Inputs", "Read", "Step"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_LEAST = 1e-8  # of what is divided by
_SMALLEST = 1e-4  # deviation, as a share of the level
_LARGEST = 8.0  # of an input
_CHANGES = (8, 4, 2, 1)  # parts of the horizon over which past columns change
_MOST_CROSSED = 16  # past columns; of more there are too many products
_FLAGS = 8  # steps for which the network is told whether there was an observation
# Series are read together if the shortest has at least half the steps of the longest.
_AT_ONCE, _AS_LONG = 512, 0.5


@dataclass(frozen=True)
class InputPlan(Described):
    """What there is to read; it belongs to the model file.

    `centres` and `spreads` are those of the columns in the training data: past, known, static, in this order.
    """

    _called: ClassVar[str] = "inputs"

    season: int
    multiplicative: bool
    scaling: str
    window: int
    horizon: int
    calendar: int
    past: int
    known: int
    static: int
    centres: tuple[float, ...]
    spreads: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "centres", tuple(self.centres))
        object.__setattr__(self, "spreads", tuple(self.spreads))

    @property
    def width(self) -> int:
        """Features of a step: those that the networks read, and the products for the linear map."""
        return self.read + self.products

    @property
    def changes(self) -> list[int]:
        """Over how many steps the network sees changes of the past columns."""
        return sorted({max(self.horizon // part, 1) for part in _CHANGES}) if self.crossed else []

    @property
    def crossed(self) -> bool:
        """Whether there are products of past columns, for a linear map that is fitted to few series."""
        return self.scaling == "deviation" and 0 < self.past <= _MOST_CROSSED

    @property
    def products(self) -> int:
        """How many there are."""
        if not self.crossed:
            return 0
        by_level = self.past * (1 + len(self.changes)) + self.calendar
        return by_level + self.past * (self.past + 1) // 2

    @property
    def read(self) -> int:
        """Features of a step that the networks read."""
        own = self.window + min(self.window, _FLAGS) + 5 + len(self.looked_at) * len(METHODS)
        seasonal = min(self.season, self.horizon) if self.season > 1 else 0
        cycle = self.horizon if self.season > 1 else 0
        return (
            own
            + seasonal
            + cycle
            + self.calendar
            + (2 + len(self.changes)) * self.past
            + self.known * (self.horizon + 1)
            + self.static
        )

    @property
    def looked_at(self) -> list[int]:
        """Which steps of the simple forecasts the network sees."""
        return sorted({0, self.horizon // 2, self.horizon - 1})


class Step(NamedTuple):
    """What is known after a step of `B` series."""

    x: Singles
    """`[B, width]`: first what the networks read, then what the linear map alone has."""
    methods: Singles
    """`[B, methods, horizon]`, simple forecasts, in units of `scale` from the centre."""
    centre: Floats
    """`[B, horizon]`, the present level with the season of each step."""
    scale: Floats
    """`[B, horizon]`, what the forecast of each step is multiplied with, before the centre is added."""


class Read(NamedTuple):
    """A series that was read: what is known after each of its `T` steps, and the state after the last."""

    x: Singles
    methods: Singles
    centre: Floats
    scale: Floats
    state: FilterState


class Inputs:
    """Reads series as a plan says."""

    def __init__(self, plan: InputPlan, frequency: Frequency) -> None:
        self.plan, self.frequency = plan, frequency
        self.filters = Filters(
            plan.season,
            plan.multiplicative,
            max(plan.window, 2 * plan.season + 1),
            (1 + max(plan.changes, default=0), plan.past),
        )
        columns = np.cumsum([plan.past, plan.known, plan.static])[:-1]
        self._centres = np.split(np.array(plan.centres), columns)
        self._spreads = np.split(np.array(plan.spreads), columns)
        self._pairs = np.triu_indices(plan.past)

    # One step -----------------------------------------------------------------------------------------------

    def step(
        self,
        state: FilterState,
        values: Floats,
        past: Floats,
        known: Floats,
        static: Floats,
        calendar: Floats,
    ) -> Step:
        """Read one step of `B` series; the state is changed.

        Args:
            state: of the filters.
            values: `[B]`, NaN for a missing observation.
            past: `[B, P]`, of this step.
            known: `[B, 1 + horizon, K]`, of this step and those that are forecast, NaN for what is unknown.
            static: `[B, S]`.
            calendar: `[B, C]`, of the step that follows.
        """
        self.filters.step(state, values, past)
        return self.features(state, past, known, static, calendar)

    def features(
        self, state: FilterState, past: Floats, known: Floats, static: Floats, calendar: Floats
    ) -> Step:
        """Return what is known now; the state stays as it is."""
        plan, filters = self.plan, self.filters
        batch = len(state.count)
        level, error, deviation = filters.scale(state)
        size = np.abs(level)
        unit = (size if plan.scaling == "level" else np.maximum(deviation, _SMALLEST * size)) + _LEAST
        seasonal = plan.season > 1
        season = filters.seasons(state, plan.horizon) if seasonal else np.zeros((batch, plan.horizon))
        factor = np.exp(season) if plan.multiplicative else np.ones_like(season)
        offset = np.zeros_like(season) if plan.multiplicative else season
        methods = filters.forecast(state, plan.horizon)
        # What is forecast besides the season, as a distance from the present level.
        ahead = ((methods - offset[:, None]) / factor[:, None] - level[:, None, None]) / unit[:, None, None]
        window = (filters.window(state, plan.window) - level[:, None]) / unit[:, None]
        flags = ~np.isnan(state.recent[:, -min(plan.window, _FLAGS) :])
        parts = [
            window,
            flags,
            ahead[:, :, plan.looked_at].reshape(batch, -1),
            np.log(np.maximum(error, _LEAST) / unit)[:, None] / 2,
            np.log(np.maximum(np.abs(level), _LEAST) / np.maximum(deviation, _LEAST))[:, None] / 2,
            np.log1p(state.count)[:, None] / 3,
            filters.strength(state)[:, None] / (1 if plan.multiplicative else unit[:, None]),
            ((level - state.moments[1]) / np.maximum(deviation, _LEAST))[:, None],
        ]
        if seasonal:
            shown = season[:, : min(plan.season, plan.horizon)]
            parts += [shown if plan.multiplicative else shown / unit[:, None], ahead[:, 0]]
        parts += [calendar, *self._columns(0, past, True), *self._columns(1, known, False)]
        parts += self._columns(2, static, False)
        if plan.crossed:
            parts += self._crossed(state, parts[7], calendar)
        x = np.concatenate([part.reshape(batch, -1) for part in parts], 1)
        scale = unit[:, None] * factor
        centre = level[:, None] * factor + offset
        return Step(
            np.clip(np.nan_to_num(x), -_LARGEST, _LARGEST).astype(np.float32),
            ahead.astype(np.float32),
            centre,
            scale,
        )

    def _crossed(self, state: FilterState, level: Floats, calendar: Floats) -> list[Floats]:
        """Return changes of past columns, and what the linear map alone has: products of two features.

        What a column means for the target depends on the level and on the other columns: wind clears the
        air only where there is dust.
        """
        now = (state.columns[:, -1] - self._centres[0]) / self._spreads[0]
        before = state.columns[:, [-1 - steps for steps in self.plan.changes]]
        changes = ((before - state.columns[:, -1:]) / self._spreads[0]).reshape(len(now), -1)
        first, second = self._pairs
        return [changes, *(level * one for one in (now, changes, calendar)), now[:, first] * now[:, second]]

    def _columns(self, kind: int, values: Floats, flagged: bool) -> list[Any]:
        if not values.size:
            return []
        scaled = (values - self._centres[kind]) / self._spreads[kind]
        return [scaled, ~np.isnan(values)] if flagged else [scaled]

    # Whole series -------------------------------------------------------------------------------------------

    def read(self, series: Sequence[Series]) -> list[Read]:
        """Read series from their beginnings, many of about the same length at once."""
        found: dict[int, Read] = {}
        for rows in _of_about_one_length([len(one) for one in series]):
            for row, read in zip(rows, self._read_together([series[row] for row in rows]), strict=True):
                found[row] = read
        return [found[row] for row in range(len(series))]

    def _read_together(self, series: list[Series]) -> list[Read]:
        lengths = np.array([len(one) for one in series])
        longest = int(lengths.max())
        state = self.filters.start(len(series))
        values = np.full((longest, len(series)), np.nan)
        past = np.full((longest, len(series), self.plan.past), np.nan)
        for row, one in enumerate(series):
            values[: len(one), row], past[: len(one), row] = one.target, one.past
        known = [self.known_ahead(one, 0, longest) for one in series] if self.plan.known else []
        calendars = [self.calendar(one, 1, longest) for one in series] if self.plan.calendar else []
        static = np.stack([one.static for one in series])
        none = np.zeros((len(series), 0))
        steps, states = [], {}
        for step in range(longest):
            steps.append(
                self.step(
                    state,
                    values[step],
                    past[step],
                    np.stack([one[step] for one in known]) if known else none,
                    static,
                    np.stack([one[step] for one in calendars]) if calendars else none,
                )
            )
            for done in np.flatnonzero(lengths == step + 1).tolist():
                states[done] = state.rows([done])
        x, methods, centre, scale = (np.stack(part, 1) for part in zip(*steps, strict=True))
        return [
            Read(
                x[row, :length], methods[row, :length], centre[row, :length], scale[row, :length], states[row]
            )
            for row, length in enumerate(lengths.tolist())
        ]

    def calendar(self, series: Series, first: int, count: int) -> Floats:
        """Return the calendar of `count` steps of a series, from one of them on `[count, C]`."""
        return self.frequency.calendar(self.frequency.times(series.start, count, first=first))

    def known_ahead(self, series: Series, first: int, count: int) -> Floats:
        """Return for each of `count` steps its known columns and those ahead `[count, 1 + horizon, K]`."""
        ahead = 1 + self.plan.horizon
        rows = np.full((first + count + ahead, self.plan.known), np.nan)
        there = series.known[: len(rows)]
        rows[: len(there)] = there
        windows = np.lib.stride_tricks.sliding_window_view(rows[first:], ahead, axis=0)
        return np.moveaxis(windows[:count], -1, 1)


def _of_about_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Divide series into groups that are read together, each given by its numbers."""
    group: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if group and (len(group) == _AT_ONCE or lengths[row] < _AS_LONG * lengths[group[0]]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
