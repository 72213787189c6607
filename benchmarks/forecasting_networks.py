"""The forecaster's parts of `forecasting.py`: its networks on the same data, and beside the same in torch."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.cells import get
from nabi.data import SeriesSet
from nabi.models import Forecaster, ForecastSettings
from nabi.models._baselines._forecast_measures import mae, mase, smape
from nabi.models._forecaster._inputs import Inputs
from nabi.models._forecaster._network import ForecastNetwork
from nabi.models._forecaster._planning import hold_out, make_plan
from nabi.models._forecaster._rolling import origins_of, roll
from nabi.models._forecaster._training import ForecastTraining
from nabi.models._forecaster._windows import Windows
from nabi.training import CallbackList, make_display

Numbers = npt.NDArray[np.float64]
Figures = dict[str, dict[str, float]]
Competition = Callable[[str], dict[tuple[int, int], tuple[SeriesSet, Numbers]]]

NAME = "nabi.Forecaster"


def trained(train: SeriesSet, horizon: int, **options: Any) -> Forecaster:
    """Train with the default settings, and print the report: what was chosen, by what is held out."""
    forecaster = Forecaster()
    begun = time.process_time()
    print(forecaster.fit(train, horizon=horizon, verbose=0, **options))
    print(f"  trained in {time.process_time() - begun:.0f} s of processor time", flush=True)
    return forecaster


def medians(train: SeriesSet, horizon: int) -> Numbers:
    """Return forecasts of all series."""
    return np.array([one.median for one in trained(train, horizon).forecast()])


def m3(competition: Competition) -> Figures:
    """sMAPE over all 3,003 series and by kind."""
    called = {(1, 6): "yearly", (4, 8): "quarterly", (12, 18): "monthly", (1, 8): "other"}
    figures = {"sMAPE": 0.0}
    total = 0
    for kind, (train, test) in competition("M3").items():
        figures[called[kind]] = smape(test, medians(train, kind[1]))
        figures["sMAPE"] += figures[called[kind]] * len(train)
        total += len(train)
    figures["sMAPE"] /= total
    return {NAME: figures}


def tourism(competition: Competition) -> Figures:
    """Mean absolute error of the monthly, quarterly and yearly series."""
    called = {12: "monthly", 4: "quarterly", 1: "yearly"}
    sets = competition("Tourism").items()
    return {
        NAME: {
            called[season]: mae(test, medians(train, horizon)) for (season, horizon), (train, test) in sets
        }
    }


def airline(passengers: SeriesSet) -> Figures:
    """MASE of the last 12, 24 and 36 months, each forecast from one origin."""
    [one] = passengers.series
    figures = {}
    for horizon in (12, 24, 36):
        history = one.until(len(one) - horizon)
        found = medians(passengers.with_series([history]), horizon)
        figures[f"{horizon} months"] = mase(one.target[-horizon:], found[0], history.target, 12)
    return {NAME: figures}


def sunspots(series: SeriesSet) -> Figures:
    """RMSE on the last 20 %, one step ahead and the mean of steps 1 to 12."""
    [one] = series.series
    first = int(len(one) * 0.8)
    forecaster = trained(series.with_series([one.until(first)]), 12)
    errors = errors_after(forecaster, series, first)
    return {NAME: {"one step": errors[0], "mean of 12 steps": float(np.mean(errors))}}


def pollution(hourly: SeriesSet) -> Figures:
    """RMSE of PM2.5 in 2014, trained on 2010 to 2013, of which the last year chooses."""
    [one] = hourly.series
    first = int(hourly.frequency.steps(one.start, datetime(2014, 1, 1)))
    train = hourly.with_series([one.until(first)])
    errors = errors_after(trained(train, 24, validation_share=8760 / first), hourly, first)
    return {NAME: {f"{hours} h": errors[hours - 1] for hours in (1, 6, 12, 24)}}


def errors_after(forecaster: Forecaster, series: SeriesSet, first: int) -> list[float]:
    """Return the RMSE of each step ahead, over every origin whose forecasts fall after `first` values."""
    horizon = forecaster.plan.horizon
    found = forecaster.evaluate(series, last=len(series.series[0]) - first + horizon - 1)
    errors = []
    for step in range(horizon):
        # Origins before the end of the training part forecast some steps that are in it.
        scored = np.array([origin + step >= first for _, origin in found.origins])
        missed = found.actual[scored, step] - found.mean[scored, step]
        errors.append(float(np.sqrt(np.nanmean(missed**2))))
    return errors


# The same network in plain torch ----------------------------------------------------------------------------


class TorchLayers(torch.nn.GRU):
    """`torch.nn.GRU` over packed rows, in the place of nabi's layers."""

    def start(self, batch: int) -> None:
        """Say that states begin with zero."""

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        states: None,
        *,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, None]:
        """Read `[B, T, D]`."""
        if lengths is None:
            return super().forward(x)[0], None
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = super().forward(packed)
        found, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
        return found, None


def beside_torch(competition: Competition) -> Figures:
    """The networks for the quarterly series of M3, with nabi's GRU and with torch's: time and accuracy.

    Everything else is the same: inputs, heads, loss, batches, optimizer. Accuracy is of the held-out ends.
    """
    train, _ = competition("M3")[4, 8]
    settings = ForecastSettings(networks=1, refit=False, epochs=25)
    plan = make_plan(train, 8, settings)
    held_out = hold_out(train, 8, 0.2)
    inputs = Inputs(plan, train.frequency)
    reads = inputs.read(train.series)
    windows = Windows(plan, train.series, reads, held_out)
    origins = origins_of([len(one) for one in train], held_out, 8)
    sizes = {"steps": 0, "rows": 0, "series": 0, "known": 0, "past": 0, "static": 0}
    figures: Figures = {}
    for name in ("nabi, GRU", "torch.nn.GRU, packed"):
        torch.manual_seed(0)
        network = ForecastNetwork(plan, settings, get("gru")(settings.units), sizes)
        if name.startswith("torch"):
            for member in network.measured:
                member.recurrent = TorchLayers(plan.width, settings.units, batch_first=True)
        training = ForecastTraining(network, windows, settings, False, None)
        begun = time.process_time()
        training.run(make_display(0), CallbackList([], network, {}))
        took = time.process_time() - begun
        rolled = roll(inputs, network.measured, train.series, reads, origins)
        error = smape(rolled.actual, rolled.quantiles[..., 3])
        figures[name] = {"processor seconds": took, "sMAPE of the held-out ends": error}
    return figures
