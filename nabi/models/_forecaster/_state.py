"""A forecast that goes on: what a forecaster carries along of one series, updated by every observation."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.data import Series
from nabi.errors import ArgumentError
from nabi.files import check_tensors
from nabi.models._baselines._forecasts import statistical_forecasts
from nabi.models._forecaster._calibration import Calibration, one_step_errors
from nabi.models._forecaster._filters import METHODS, FilterState
from nabi.models._forecaster._forecasts import Forecast, Observation, probability_of
from nabi.models._forecaster._inputs import Inputs, Read, Step
from nabi.models._forecaster._network import ForecastNetwork, Heads, Member
from nabi.models._networks._recurrent_stack import StackSteps, States

__all__ = ["Engine", "ForecastState", "forecast_all", "state_from"]

Floats = npt.NDArray[np.float64]

_MIDDLE = 3
_AT_ONCE = 4_096  # steps of a history that are run at once
_SPARE = 1_024  # observations for which room is made at once


class Engine(NamedTuple):
    """What forecasts, prepared once for all series."""

    inputs: Inputs
    members: Sequence[Member]
    steps: Sequence[StackSteps]
    heads: Heads
    calibration: Calibration
    method: str

    @classmethod
    def of(cls, inputs: Inputs, network: ForecastNetwork, calibration: Calibration, method: str) -> "Engine":
        """Prepare the networks as they are now."""
        members = list(network.forecasting)
        steps = [StackSteps(one.recurrent) for one in members]
        return cls(inputs, members, steps, Heads(members), calibration, method)

    @torch.no_grad()
    def run(self, read: Read) -> tuple[list[States], list[Tensor]]:
        """Run the recurrent layers over a series; their states, and what they say at its end `[1, units]`."""
        found, said = [], []
        for member in self.members:
            states = member.recurrent.start(1)
            for begin in range(0, len(read.x), _AT_ONCE):
                x = torch.from_numpy(read.x[None, begin : begin + _AT_ONCE, : member.reads])
                output, states = member.recurrent(x, states)
            found.append(states)
            said.append(output[:, -1].contiguous())
        return found, said


class ForecastState:
    """One series as far as it has been read, and the forecast from there.

    An observation changes what is carried along: the smoothings and the states of the recurrent layers.
    Nothing is read again, and it makes no difference to the last bit in which parts a series was read.
    `Forecaster.state` makes one.
    """

    def __init__(
        self, engine: Engine, series: Series, read: Read, states: list[States], said: list[Tensor]
    ) -> None:
        self._engine, self._series = engine, series
        self._filters = read.state
        self._step = Step(read.x[-1:], read.methods[-1:], read.centre[-1:], read.scale[-1:])
        self._states, self._said = states, said
        self._length = len(series)
        self._target = np.concatenate([series.target, np.empty(_SPARE)])
        self._known = series.known

    def __len__(self) -> int:
        """Return how many steps of the series have been read."""
        return self._length

    @property
    def name(self) -> str:
        """The name of the series."""
        return self._series.name

    @property
    def start(self) -> Any:
        """The time of the first step."""
        return self._series.start

    @property
    def target(self) -> Floats:
        """What has been read, NaN where nothing was observed."""
        return self._target[: self._length]

    # Going on -----------------------------------------------------------------------------------------------

    @public
    def update(self, value: float, *, past: Any = None, known: Any = None) -> Observation:
        """Read the next observation, and say how surprising it was.

        Args:
            value: what was observed; NaN for nothing.
            past: values of the past columns at this step, in the order of the model's columns.
            known: rows of known columns that follow those given so far, `[any, K]`.

        Raises:
            ArgumentError: for what is no number, and for columns that are missing or of another number.

        The value is compared with what the networks alone expected one step before; the same observation is
        the less surprising, the less certain they were.
        """
        plan = self._engine.inputs.plan
        value = float(value) if value is not None else float("nan")
        if np.isinf(value):
            raise ArgumentError(f"value: expected a number, or NaN for no observation, got {value}")
        row = _row("past", past, plan.past)
        if known is not None:
            rows = np.asarray(known, np.float64)
            if rows.ndim != 2 or rows.shape[1] != plan.known:
                raise ArgumentError(
                    f"known: expected rows of {plan.known} columns, got the shape {rows.shape}"
                )
            self._known = np.concatenate([self._known, rows])
        if plan.known and len(self._known) <= self._length:
            raise ArgumentError(
                f"known: expected the known columns of step {self._length}, which is observed now; they end "
                f"at {len(self._known) - 1}"
            )
        found, _ = self._alone()
        quantiles = self._engine.calibration.widen_one_step(found[0], float(self._step.scale[0, 0]))
        middle = float(quantiles[_MIDDLE])
        chance = float("nan")
        if not np.isnan(value):
            error = float(one_step_errors(np.array(value), quantiles))
            chance = probability_of(error, self._engine.calibration.errors)
        when = self._engine.inputs.frequency.time(self._series.start, self._length)
        self._read(value, row)
        return Observation(when, value, middle, float(quantiles[0]), float(quantiles[-1]), chance)

    def _read(self, value: float, past: Floats) -> None:
        inputs, length = self._engine.inputs, self._length
        if length == len(self._target):
            self._target = np.concatenate([self._target, np.empty(max(_SPARE, length // 2))])
        self._target[length] = value
        self._length = length + 1
        self._step = inputs.step(self._filters, np.array([value]), *self._around(length, past))
        x = torch.from_numpy(self._step.x[:, : inputs.plan.read])
        with torch.no_grad():
            for number, steps in enumerate(self._engine.steps):
                self._said[number], self._states[number] = steps(x, self._states[number])

    def _around(self, step: int, past: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the columns of a step: past, known, static, calendar."""
        inputs, series = self._engine.inputs, self._series
        plan = inputs.plan
        none = np.zeros((1, 0))
        known = none
        if plan.known:
            known = np.full((1, 1 + plan.horizon, plan.known), np.nan)
            there = self._known[step : step + 1 + plan.horizon]
            known[0, : len(there)] = there
        calendar = inputs.calendar(series, step + 1, 1) if plan.calendar else none
        return past[None], known, series.static[None], calendar

    # Forecasts ----------------------------------------------------------------------------------------------

    @public
    def forecast(self, horizon: int | None = None) -> Forecast:
        """Forecast the steps after the last observation.

        Args:
            horizon: how many; those that were trained by default. For more, the forecast goes on in blocks,
                from the medians of the block before.

        Raises:
            ArgumentError: for a horizon below 1, and where known columns end before it.
        """
        plan = self._engine.inputs.plan
        wanted = plan.horizon if horizon is None else _checks.whole("horizon", horizon, otherwise=" or None")
        [found] = forecast_all([self], wanted)
        return found

    def _forecast(self, wanted: int, baseline: Floats | None) -> Forecast:
        """Return the forecast of so many steps, mixed with that of a baseline for as many or more `[H]`."""
        engine, plan = self._engine, self._engine.inputs.plan
        if plan.known and len(self._known) < self._length + wanted:
            raise ArgumentError(
                f"known: expected values of the known columns for {wanted} steps after the last observation "
                f"of {self.name!r}, got {max(len(self._known) - self._length, 0)}"
            )
        quantiles, mean = self._ahead(wanted, baseline)
        times = engine.inputs.frequency.times(self._series.start, wanted, first=self._length)
        return Forecast(self.name, tuple(times), quantiles[:, _MIDDLE].copy(), mean, quantiles, engine.method)

    def _ahead(self, wanted: int, baseline: Floats | None) -> tuple[Floats, Floats]:
        """Return quantiles `[H, Q]` and mean `[H]`."""
        engine, horizon = self._engine, self._engine.inputs.plan.horizon
        quantiles, mean = self._block(None if baseline is None else baseline[:horizon])
        if wanted <= horizon:
            return quantiles[:wanted], mean[:wanted]
        later = copy.copy(self)
        later._filters = self._filters.rows([0])
        later._states, later._said = list(self._states), list(self._said)
        later._target = self.target.copy()
        blocks, means = [quantiles], [mean]
        nothing = np.full(engine.inputs.plan.past, np.nan)
        for begin in range(horizon, wanted, horizon):
            for value in blocks[-1][:, _MIDDLE]:
                later._read(float(value), nothing)
            further = None
            if baseline is not None:
                further = baseline[begin : begin + horizon]
                further = np.concatenate([further, np.full(horizon - len(further), further[-1])])
            quantiles, mean = later._block(further)
            # What was uncertain before adds to what is uncertain from there on.
            before = blocks[-1][-1] - blocks[-1][-1, _MIDDLE]
            around = quantiles - quantiles[:, _MIDDLE, None]
            wide = np.sign(around) * np.sqrt(around**2 + before**2)
            blocks.append(quantiles[:, _MIDDLE, None] + wide)
            means.append(mean)
        return np.concatenate(blocks)[:wanted], np.concatenate(means)[:wanted]

    def _block(self, baseline: Floats | None) -> tuple[Floats, Floats]:
        """Return the forecast of the horizon that was trained: quantiles `[H, Q]` and mean `[H]`."""
        engine = self._engine
        quantiles, mean = self._alone()
        quantiles, mean = engine.calibration.mix(quantiles, mean, baseline)
        return engine.calibration.widen(quantiles, self._step.scale[0]), mean

    def _alone(self) -> tuple[Floats, Floats]:
        """Return what the networks forecast: quantiles `[H, Q]` and mean `[H]`."""
        step = self._step
        with torch.no_grad():
            x, methods = torch.from_numpy(step.x), torch.from_numpy(step.methods)
            outlook = self._engine.heads(self._said, x, methods)
        centre, scale = step.centre[0], step.scale[0]
        quantiles = outlook.quantiles[0].double().numpy() * scale[:, None] + centre[:, None]
        return quantiles, outlook.mean[0].double().numpy() * scale + centre

    # Copies and files ---------------------------------------------------------------------------------------

    @public
    def copy(self) -> "ForecastState":
        """Return another state that goes on by itself from here."""
        other = copy.copy(self)
        other._filters = self._filters.rows([0])
        other._states, other._said = list(self._states), list(self._said)
        other._target = self._target.copy()
        return other

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is carried along, by name."""
        found = {
            "target": self.target, "known": self._known, "static": self._series.static,
            "step/x": self._step.x, "step/methods": self._step.methods,
            "step/centre": self._step.centre, "step/scale": self._step.scale,
        }  # fmt: skip
        found |= {f"filters/{one.name}": getattr(self._filters, one.name) for one in fields(FilterState)}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in found.items()}
        for number, states in enumerate(self._states):
            tensors[f"said/{number}"] = self._said[number]
            for layer, widths in enumerate(states):
                for place, state in enumerate(widths):
                    tensors[f"states/{number}/{layer}/{place}"] = state
        return tensors


def forecast_all(states: Sequence[ForecastState], wanted: int) -> list[Forecast]:
    """Forecast series that one engine reads; a baseline that takes part is fitted to all of them at once.

    That is many times faster than one by one, and equal to the last bit.

    Raises:
        ArgumentError: where known columns end before the horizon.
    """
    if not states:
        return []
    engine = states[0]._engine
    plan, calibration = engine.inputs.plan, engine.calibration
    if calibration.share == 1:
        return [state._forecast(wanted, None) for state in states]
    baselines = statistical_forecasts(
        [state.target for state in states],
        max(wanted, plan.horizon),
        [plan.season] * len(states),
        [calibration.baseline],
    )[calibration.baseline]
    return [state._forecast(wanted, found) for state, found in zip(states, baselines, strict=True)]


def state_from(engine: Engine, series: Series, tensors: Mapping[str, Tensor]) -> ForecastState:
    """Return the state whose `tensors` these are; `series` has name, start, target, known and static columns.

    Raises:
        KeyError, ShapeError: for tensors that are not there or do not fit.
    """
    plan = engine.inputs.plan
    filters = engine.inputs.filters.start(1)
    expected = {
        f"filters/{one.name}": torch.from_numpy(getattr(filters, one.name)) for one in fields(FilterState)
    }
    expected |= {
        "step/x": torch.zeros(1, plan.width),
        "step/methods": torch.zeros(1, len(METHODS), plan.horizon),
        "step/centre": torch.zeros(1, plan.horizon, dtype=torch.float64),
        "step/scale": torch.zeros(1, plan.horizon, dtype=torch.float64),
    }
    starts = [member.recurrent.start(1) for member in engine.members]
    for number, (member, states) in enumerate(zip(engine.members, starts, strict=True)):
        expected[f"said/{number}"] = member.recurrent.output_before(states)
        for layer, widths in enumerate(states):
            expected |= {f"states/{number}/{layer}/{place}": one for place, one in enumerate(widths)}
    check_tensors({name: one for name, one in tensors.items() if "/" in name}, expected)
    arrays = {name: one.numpy().copy() for name, one in tensors.items()}
    read = Read(
        arrays["step/x"], arrays["step/methods"], arrays["step/centre"], arrays["step/scale"],
        FilterState(**{one.name: arrays[f"filters/{one.name}"] for one in fields(FilterState)}),
    )  # fmt: skip
    states_of = [
        [
            tuple(tensors[f"states/{number}/{layer}/{place}"].clone() for place in range(len(widths)))
            for layer, widths in enumerate(states)
        ]
        for number, states in enumerate(starts)
    ]
    said = [tensors[f"said/{number}"].clone() for number in range(len(starts))]
    return ForecastState(engine, series, read, states_of, said)


def _row(name: str, values: Any, width: int) -> Floats:
    if not width:
        if values is not None:
            raise ArgumentError(f"{name}: expected None, the model has no such columns, got {values!r}")
        return np.zeros(0)
    if values is None:
        raise ArgumentError(f"{name}: expected {width} values, got none")
    row = np.asarray(values, np.float64)
    if row.shape != (width,):
        raise ArgumentError(f"{name}: expected {width} values, got the shape {row.shape}")
    return row
