"""What a forecast read: how far it moves with every past step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import Series
from nabi.models._forecaster._network import ForecastNetwork
from nabi.models._forecaster._state import Engine

__all__ = ["ForecastReading", "read_forecast"]

Floats = npt.NDArray[np.float64]

_CHANGE = 1e-3  # of an observation, as a share of the deviation of the series
_MIDDLE = 3


@dataclass(frozen=True)
class ForecastReading:
    """Which past steps moved a forecast.

    Attributes:
        name: of the series.
        times: `[steps]`, of the past.
        values: `[steps]`, what was observed.
        ahead: `[H]`, times of the forecast.
        median: `[H]`.
        weights: `[steps, H]`: by how much the median changes if the observation is larger by one; NaN where
            nothing was observed. The last value as the forecast has a 1 in the last row.
        past_weights: `[steps, P, H]`, the same for past columns, by one standard deviation of each.
    """

    name: str
    times: tuple[Any, ...]
    values: Floats
    ahead: tuple[Any, ...]
    median: Floats
    weights: Floats
    past_weights: Floats


@torch.no_grad()
def read_forecast(engine: Engine, series: Series, steps: int) -> ForecastReading:
    """Return how far the network's forecast moves with each of the last steps.

    The derivative of everything from the observation to the forecast, smoothing included: the last steps are
    read once for each of them with this observation changed by a little, all side by side.
    """
    inputs, plan = engine.inputs, engine.inputs.plan
    begin = len(series) - steps
    spread = max(float(np.nanstd(series.target)), 1e-6)
    size = _CHANGE * spread
    kinds = 1 + plan.past
    batch = 1 + steps * kinds
    values = np.repeat(series.target[begin:, None], batch, 1)
    past = np.repeat(series.past[begin:, None], batch, 1)
    spreads = np.array(plan.spreads[: plan.past])
    for step in range(steps):
        values[step, 1 + step * kinds] += size
        for column in range(plan.past):
            past[step, 2 + step * kinds + column, column] += _CHANGE * spreads[column]
    if begin:
        before = Series(
            series.name, series.start, series.target[:begin], series.known, series.past[:begin], series.static
        )
        [read] = inputs.read([before])
        states, _ = engine.run(read)
        filters = read.state.rows(np.zeros(batch, int))
        states = [
            [tuple(one.expand(batch, -1).contiguous() for one in layer) for layer in member]
            for member in states
        ]
    else:
        filters = inputs.filters.start(batch)
        states = [member.recurrent.start(batch) for member in engine.members]
    known = inputs.known_ahead(series, begin, steps) if plan.known else np.zeros((steps, 0))
    calendar = inputs.calendar(series, begin + 1, steps) if plan.calendar else np.zeros((steps, 0))
    static = np.repeat(series.static[None], batch, 0)
    xs = []
    for step in range(steps):
        found = inputs.step(
            filters, values[step], past[step], np.repeat(known[step][None], batch, 0), static,
            np.repeat(calendar[step][None], batch, 0),
        )  # fmt: skip
        xs.append(found.x)
    x, methods = torch.from_numpy(np.stack(xs, 1)), torch.from_numpy(found.methods)
    outlooks = []
    for member, state in zip(engine.members, states, strict=True):
        said, _ = member.recurrent(x[..., : member.reads], state)
        outlooks.append(member.ahead(said[:, -1], x[:, -1], methods))
    quantiles = ForecastNetwork.average(outlooks).quantiles.double().numpy()
    median = quantiles[..., _MIDDLE] * found.scale + found.centre
    moved = ((median[1:] - median[0]) / _CHANGE).reshape(steps, kinds, plan.horizon)
    weights = np.where(np.isnan(values[:, 0])[:, None], np.nan, moved[:, 0] / spread)
    times = inputs.frequency.times(series.start, steps, first=begin)
    ahead = inputs.frequency.times(series.start, plan.horizon, first=len(series))
    return ForecastReading(
        series.name, tuple(times), series.target[begin:], tuple(ahead), median[0], weights, moved[:, 1:]
    )
