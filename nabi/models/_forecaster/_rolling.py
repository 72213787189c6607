"""Forecasts from many origins of series at once, and what came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import Series
from nabi.models._baselines._forecasts import statistical_forecasts
from nabi.models._forecaster._inputs import Inputs, Read
from nabi.models._forecaster._network import ForecastNetwork

__all__ = ["Rolling", "baselines_of", "origins_of", "roll", "says_something"]

Floats = npt.NDArray[np.float64]
Origins = Sequence[tuple[int, int]]
"""The number of a series and how many of its steps are known, for each forecast."""

_AT_ONCE = 4_096  # steps whose recurrent layers run together
_MOST_ORIGINS, _MOST_PER_SERIES = 4_000, 100


@dataclass(frozen=True)
class Rolling:
    """Forecasts from `N` origins.

    Attributes:
        origins: of each.
        actual: `[N, H]`, what came, NaN where nothing was observed.
        quantiles: `[N, H, quantiles]`.
        mean: `[N, H]`.
        centre, scale: `[N, H]`, what the networks' figures were multiplied with and added to.
    """

    origins: Origins
    actual: Floats
    quantiles: Floats
    mean: Floats
    centre: Floats
    scale: Floats


def origins_of(series: Sequence[Series], held_out: Sequence[int], horizon: int) -> list[tuple[int, int]]:
    """Return origins in the held-out ends of series from which the whole horizon is known, spread evenly.

    Origins before or after which nothing was observed say nothing, and are left out.
    """
    measured = sum(1 for held in held_out if held)
    most = min(max(_MOST_ORIGINS // max(measured, 1), 1), _MOST_PER_SERIES)
    found = []
    for number, (one, held) in enumerate(zip(series, held_out, strict=True)):
        if held >= horizon:
            first, last = len(one) - held, len(one) - horizon
            places = np.linspace(last, first, min(most, last - first + 1)).round().astype(int)
            found += [(number, int(place)) for place in sorted(set(places.tolist()))]
    return [origin for origin in found if says_something(series, origin, horizon)]


def says_something(series: Sequence[Series], origin: tuple[int, int], horizon: int) -> bool:
    """Whether something was observed before an origin, and within the horizon after it."""
    there = ~np.isnan(series[origin[0]].target)
    return bool(there[: origin[1]].any() and there[origin[1] : origin[1] + horizon].any())


@torch.no_grad()
def roll(
    inputs: Inputs,
    members: Iterable[torch.nn.Module],
    series: Sequence[Series],
    reads: Sequence[Read],
    origins: Origins,
) -> Rolling:
    """Forecast with networks from origins, each from what was known then."""
    horizon = inputs.plan.horizon
    wanted: dict[int, list[int]] = {}
    for place, (number, _) in enumerate(origins):
        wanted.setdefault(number, []).append(place)
    actual = np.full((len(origins), horizon), np.nan)
    centre, scale = np.empty((2, len(origins), horizon))
    quantiles: npt.NDArray[np.float64] | None = None
    mean = np.empty((len(origins), horizon))
    members = list(members)
    for numbers in _groups(list(wanted), [len(read.x) for read in reads]):
        rows, places = [], []
        for row, number in enumerate(numbers):
            rows += [row] * len(wanted[number])
            places += wanted[number]
        steps = [origins[place][1] - 1 for place in places]
        x = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(reads[number].x) for number in numbers], batch_first=True
        )
        lengths = torch.tensor([len(reads[number].x) for number in numbers])
        methods = torch.from_numpy(
            np.stack([reads[numbers[row]].methods[step] for row, step in zip(rows, steps, strict=True)])
        )
        chosen = torch.tensor(rows), torch.tensor(steps)
        outlook = ForecastNetwork.average([member(x, methods, lengths, chosen) for member in members])
        if quantiles is None:
            quantiles = np.empty((len(origins), horizon, outlook.quantiles.shape[-1]))
        for place, row, step in zip(places, rows, steps, strict=True):
            number = numbers[row]
            centre[place], scale[place] = reads[number].centre[step], reads[number].scale[step]
            came = series[number].target[step + 1 : step + 1 + horizon]
            actual[place, : len(came)] = came
        around, unit = centre[places], scale[places]
        quantiles[places] = outlook.quantiles.double().numpy() * unit[..., None] + around[..., None]
        mean[places] = outlook.mean.double().numpy() * unit + around
    assert quantiles is not None
    return Rolling(origins, actual, quantiles, mean, centre, scale)


def _groups(numbers: list[int], lengths: Sequence[int]) -> list[list[int]]:
    """Divide series into groups of so many steps together that they fit into memory."""
    groups: list[list[int]] = []
    for number in sorted(numbers, key=lambda number: (-lengths[number], number)):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= _AT_ONCE * 4:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def baselines_of(
    series: Sequence[Series], seasons: Sequence[int], origins: Origins, horizon: int, names: Sequence[str]
) -> dict[str, Floats]:
    """Return what baselines forecast from the same origins, by their names `[N, H]`."""
    targets = [series[number].target[:step] for number, step in origins]
    return statistical_forecasts(targets, horizon, [seasons[number] for number, _ in origins], names)
