"""The networks of a forecaster, and the series that it has read."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.models._forecaster._filters import METHODS
from nabi.models._forecaster._inputs import InputPlan
from nabi.models._forecaster._settings import ForecastSettings
from nabi.models._networks._dropout import drop_features
from nabi.models._networks._recurrent_stack import RecurrentStack, StackNetwork

__all__ = ["QUANTILES", "ForecastNetwork", "Heads", "HeldSeries", "Member", "Outlook"]

QUANTILES: tuple[float, ...] = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""What a network forecasts of every step, beside the mean."""
_MIDDLE = len(QUANTILES) // 2
_NARROW = -2.0  # of the distances between quantiles at the beginning, before softplus
# How far the simple methods are trusted at the beginning: a season before is rarely best.
_TRUST = {"seasonal naive": -1.0, "naive": -1.0}


class Outlook(NamedTuple):
    """A forecast in units of the scale."""

    quantiles: Tensor
    """`[..., horizon, quantiles]`, rising."""
    mean: Tensor
    """`[..., horizon]`."""


class Member(StackNetwork):
    """One network: what is known at each step to the forecast of all steps ahead.

    Recurrent layers read the features of every step. What they say, and a dense layer over the features of
    the last step, give for every step ahead the shares of the simple methods in the forecast, what is added
    to it, the distances between its quantiles (softplus, added up: quantiles cannot cross), and how far the
    mean is from the median. A linear map is added as well, of the features and of products of them; where
    there are few series, it is fitted before training (`set_linear`).
    """

    def __init__(self, plan: InputPlan, settings: ForecastSettings, cell: Cell) -> None:
        """Make the network with weights from torch's random numbers; it begins with the simple methods."""
        super().__init__()
        self.dropout, self.horizon = settings.dropout, plan.horizon
        self.reads = plan.read
        self.recurrent = RecurrentStack(cell, plan.read, settings.layers)
        self.front = layers.Dense(settings.units, activation="tanh", name="front")
        self.front.build((None, plan.read))
        self.readout = layers.Dense(
            plan.horizon * (len(METHODS) + len(QUANTILES) + 1), kernel_initializer="zeros", name="readout"
        )
        self.readout.build((None, cell.output_width + settings.units))
        self.linear = layers.Dense(plan.horizon, kernel_initializer="zeros", name="linear")
        self.linear.build((None, plan.width))
        first = torch.zeros(plan.horizon, len(METHODS) + len(QUANTILES) + 1)
        first[:, : len(METHODS)] = torch.tensor([_TRUST.get(name, 1.0) for name in METHODS])
        first[:, len(METHODS) + 1 : -1] = _NARROW
        assert self.readout.bias is not None
        with torch.no_grad():
            self.readout.bias.copy_(first.flatten())

    def at_first(self, methods: Tensor) -> Tensor:
        """Return what is forecast before anything is learnt `[N, horizon]`, for `[N, methods, horizon]`."""
        trust = torch.tensor([_TRUST.get(name, 1.0) for name in METHODS]).softmax(0)
        return torch.einsum("nmh,m->nh", methods, trust)

    def set_linear(self, weights: Tensor) -> None:
        """Take `[width + 1, horizon]` as the linear map, whose last row is the bias; it is not trained."""
        assert self.linear.bias is not None
        with torch.no_grad():
            self.linear.kernel.copy_(weights[:-1])
            self.linear.bias.copy_(weights[-1])
        self.linear.kernel.requires_grad_(False)
        self.linear.bias.requires_grad_(False)

    def forward(
        self,
        x: Tensor,
        methods: Tensor,
        lengths: Tensor | None = None,
        chosen: tuple[Tensor, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Outlook:
        """Read `[B, T, width]` from the beginning, and forecast from some of the steps.

        Args:
            x: features.
            methods: `[B, T, methods, horizon]`, or of the chosen steps `[N, methods, horizon]`.
            lengths: `[B]`, how many steps of a row count.
            chosen: rows and steps `[N]` from which there are forecasts; all by default.
            generator: for dropout; None for none, which is not training.
        """
        read = x[..., : self.reads]
        said, _ = self.recurrent(read, self.recurrent.start(len(x)), lengths=lengths, generator=generator)
        said = drop_features(said, self.dropout, generator)
        return (
            self.ahead(said, x, methods) if chosen is None else self.ahead(said[chosen], x[chosen], methods)
        )

    def ahead(self, said: Tensor, x: Tensor, methods: Tensor) -> Outlook:
        """Return forecasts from what the recurrent layers say `[N, units]` and the features `[N, width]`."""
        front = self.front(x[..., : self.reads])
        read = self.readout(torch.cat([said, front], -1)).unflatten(-1, (self.horizon, -1))
        return _outlook(read, self.linear(x), methods)


def _outlook(read: Tensor, linear: Tensor, methods: Tensor) -> Outlook:
    """Put a forecast together from what is read out `[..., horizon, figures]` and the linear map."""
    shares = read[..., : len(METHODS)].softmax(-1)
    middle = (shares * methods.transpose(-1, -2)).sum(-1) + read[..., len(METHODS)] + linear
    apart = functional.softplus(read[..., len(METHODS) + 1 : -1])
    below = middle[..., None] - apart[..., :_MIDDLE].cumsum(-1).flip(-1)
    above = middle[..., None] + apart[..., _MIDDLE:].cumsum(-1)
    return Outlook(torch.cat([below, middle[..., None], above], -1), middle + read[..., -1])


class Heads:
    """What follows the recurrent layers, of several networks at once, prepared for one step of one series.

    Args:
        members: the networks, with their weights as they are now.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        """Copy the weights."""
        self._horizon, self._reads = members[0].horizon, members[0].reads

        def stacked(name: str) -> tuple[Tensor, Tensor]:
            dense = [getattr(member, name) for member in members]
            kernels = torch.stack([one.kernel.detach() for one in dense])
            return kernels, torch.stack([one.bias.detach()[None] for one in dense])

        with torch.inference_mode(False), torch.no_grad():
            self._front, self._readout, self._linear = map(stacked, ("front", "readout", "linear"))

    def __call__(self, said: Sequence[Tensor], x: Tensor, methods: Tensor) -> Outlook:
        """Return the mean forecast `[1, horizon, ...]` from what each network says `[1, units]`."""
        rows = x.expand(len(said), *x.shape)
        front = torch.baddbmm(self._front[1], rows[..., : self._reads], self._front[0]).tanh()
        read = torch.baddbmm(
            self._readout[1], torch.cat([torch.stack(list(said)), front], -1), self._readout[0]
        )
        linear = torch.baddbmm(self._linear[1], rows, self._linear[0])
        outlook = _outlook(read.unflatten(-1, (self._horizon, -1)), linear, methods)
        return Outlook(outlook.quantiles.mean(0), outlook.mean.mean(0))


class HeldSeries(torch.nn.Module):
    """The series that a forecaster was trained on, one after the other: a file has them too.

    Args:
        sizes: how many "steps" there are of `target`, "rows" of `known`, and "series"; and how many columns
            of each kind.
    """

    target: Tensor
    known: Tensor
    past: Tensor
    static: Tensor

    def __init__(self, sizes: Mapping[str, Any]) -> None:
        """Make room for them."""
        super().__init__()
        shapes = {
            "target": (sizes["steps"],),
            "known": (sizes["rows"], sizes["known"]),
            "past": (sizes["steps"], sizes["past"]),
            "static": (sizes["series"], sizes["static"]),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))


class ForecastNetwork(torch.nn.Module):
    """The networks whose forecasts are averaged, those that are measured, and the series.

    The measured ones have not learnt from the end of the series; where nothing is trained again, they
    forecast, too.
    """

    def __init__(
        self, plan: InputPlan, settings: ForecastSettings, cell: Cell, sizes: Mapping[str, Any]
    ) -> None:
        """Make the networks with weights from torch's random numbers."""
        super().__init__()
        count = settings.networks
        self.measured = torch.nn.ModuleList(Member(plan, settings, cell) for _ in range(count))
        self.again = torch.nn.ModuleList(
            Member(plan, settings, cell) for _ in range(count if settings.refit else 0)
        )
        self.held = HeldSeries(sizes)

    @property
    def forecasting(self) -> Any:
        """The networks that forecast what nobody has seen."""
        return self.again if len(self.again) else self.measured

    @staticmethod
    def average(outlooks: list[Outlook]) -> Outlook:
        """Return the mean of forecasts."""
        quantiles = torch.stack([one.quantiles for one in outlooks]).mean(0)
        return Outlook(quantiles, torch.stack([one.mean for one in outlooks]).mean(0))
