"""The losses and metrics of a model with several outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.training._data._inputs_outputs import named
from nabi.training._losses import _classes as _losses
from nabi.training._losses._classes import Loss
from nabi.training._metrics import _names as _metrics
from nabi.training._metrics._running_mean import RunningMean

__all__ = ["Losses", "losses_for", "metrics_for"]


class Losses(Loss):
    """The weighted sum of the losses of the outputs.

    Args:
        names: names of the outputs.
        losses: the loss of each output, None for an output that is not trained.
        weights: the factor of each loss.
    """

    def __init__(self, names: Sequence[str], losses: Sequence[Loss | None], weights: Sequence[float]) -> None:
        super().__init__("losses")
        self.names, self.losses, self.weights = tuple(names), tuple(losses), tuple(weights)
        self._means = [RunningMean() for _ in self.names]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the sum for a batch and record the single losses."""
        if isinstance(y_pred, Tensor):
            y_true, y_pred, sample_weight = (y_true,), (y_pred,), (sample_weight,)
        total: Tensor | None = None
        weights = (None,) * len(self.names) if sample_weight is None else sample_weight
        for number, (name, loss) in enumerate(zip(self.names, self.losses, strict=True)):
            if loss is None:
                continue
            if y_true[number] is None:
                raise ArgumentError(f"y: expected targets for {name}, which has a loss, got none")
            try:
                value = loss(y_true[number], y_pred[number], weights[number])
            except ShapeError as problem:
                raise type(problem)(f"{problem} (output {name})") from problem
            self._means[number].add(value.detach(), y_pred[number].shape[0])
            value = value * self.weights[number]
            total = value if total is None else total + value
        assert total is not None
        return total

    @property
    def shown(self) -> list[int]:
        """The numbers of the outputs whose losses are shown with their sum."""
        trained = [number for number, loss in enumerate(self.losses) if loss is not None]
        return trained if len(trained) > 1 else []

    def figures(self, prefix: str) -> dict[str, float]:
        """Return the unweighted loss of each output since the last reset."""
        return {f"{prefix}{self.names[number]}_loss": self._means[number].result() for number in self.shown}

    @property
    def means(self) -> list[RunningMean]:
        """The loss of each output in the mean, since the last reset."""
        return self._means

    def reset(self) -> None:
        """Reset the recorded losses."""
        for mean in self._means:
            mean.reset()


def losses_for(
    loss: Any, weights: Any, names: Sequence[str], custom_objects: Mapping[str, Any] | None
) -> Losses:
    """Return the losses of the outputs, given as one for all, a list, or a dictionary by name.

    Raises:
        UnknownNameError: for an unknown output or loss.
        ArgumentError: for a wrong number of losses or weights, or no loss at all.
    """
    if isinstance(loss, list | tuple) or (isinstance(loss, Mapping) and "class_name" not in loss):
        given = named("loss", loss, names, all_of_them=False)
    else:
        given = [loss] * len(names)
    if len(given) == 1 and isinstance(given[0], list | tuple) and len(given[0]) == 1:
        given = list(given[0])
    found = [None if one is None else _losses.get(one, custom_objects) for one in given]
    if not any(found):
        raise ArgumentError(f"loss: expected one for at least one of {', '.join(names)}, got none")
    factors = [1.0] * len(names)
    if weights is not None:
        if not isinstance(weights, list | tuple | Mapping):
            weights = [_checks.real("loss_weights", weights)] * len(names)
        for number, factor in enumerate(named("loss_weights", weights, names, all_of_them=False)):
            if isinstance(factor, list | tuple) and len(factor) == 1 == len(names):
                factor = factor[0]
            if factor is not None:
                factors[number] = _checks.real(f"loss_weights: {names[number]}", factor)
    return Losses(names, found, factors)


def metrics_for(metrics: Any, names: Sequence[str]) -> list[tuple[int, object]]:
    """Return the requested metrics, each with the number of its output.

    Raises:
        UnknownNameError: for an unknown output or metric.
        ArgumentError: if the output of a metric is ambiguous.
    """
    if metrics is None or (isinstance(metrics, list | tuple | Mapping) and not metrics):
        return []
    if len(names) < 2 and not isinstance(metrics, Mapping):
        return [(0, metric) for metric in _metrics.check(metrics)]
    try:
        given = named("metrics", metrics, names, all_of_them=False)
    except ArgumentError as problem:
        raise type(problem)(f"{problem}; each output has its own metrics") from problem
    return [(number, metric) for number, one in enumerate(given) for metric in _metrics.check(one)]
