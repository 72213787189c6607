"""The network of a forecaster with torch's recurrent layers in the place of nabi's, for `forecasting.py`."""

import time

import torch
from torch import Tensor

from nabi.cells import get
from nabi.data import SeriesSet
from nabi.models import ForecastSettings
from nabi.models._baselines._forecast_measures import smape
from nabi.models._forecaster._inputs import Inputs
from nabi.models._forecaster._network import ForecastNetwork
from nabi.models._forecaster._planning import hold_out, make_plan
from nabi.models._forecaster._rolling import origins_of, roll
from nabi.models._forecaster._training import ForecastTraining
from nabi.models._forecaster._windows import Windows
from nabi.training import CallbackList, make_display

Figures = dict[str, dict[str, float]]


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


def beside_torch(train: SeriesSet) -> Figures:
    """Train a network for quarterly series with nabi's GRU and with torch's: time and accuracy.

    Everything else is the same: inputs, heads, loss, batches, optimizer. Accuracy is of the held-out ends.
    """
    settings = ForecastSettings(networks=1, refit=False, epochs=25)
    plan = make_plan(train, 8, settings)
    held_out = hold_out(train, 8, 0.2, plan.season)
    inputs = Inputs(plan, train.frequency)
    reads = inputs.read(train.series)
    windows = Windows(plan, train.series, reads, held_out)
    origins = origins_of(train.series, held_out, 8)
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
