"""Steps and losses defined by a model itself: their detection, arguments and results."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor

from nabi.errors import ArgumentError
from nabi.training._data._batches import Batch

__all__ = ["as_data", "by_default", "defines", "figures_of", "reset_own_metrics"]

Method = TypeVar("Method", bound=Callable[..., Any])


def by_default(method: Method) -> Method:
    """Mark nabi's own method, to tell it from a subclass's override."""
    method._by_default = True  # type: ignore[attr-defined]
    return method


def defines(model: Any, name: str) -> bool:
    """Tell whether a model overrides nabi's method."""
    if name in vars(model):
        return True
    method = getattr(type(model), name, None)
    return method is not None and not getattr(method, "_by_default", False)


def as_data(batch: Batch) -> tuple[Any, ...]:
    """Return a batch as in Keras: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, several parts as lists."""
    x, y, weights = (list(part) if isinstance(part, tuple) else part for part in batch)
    if weights is not None:
        return x, y, weights
    return (x,) if y is None else (x, y)


def figures_of(step: str, logs: Any) -> dict[str, float]:
    """Return the result of a step as numbers.

    Raises:
        ArgumentError: if it is not a dictionary of numbers.
    """
    if not isinstance(logs, Mapping):
        raise ArgumentError(f"{step}: expected it to return a dictionary, got {type(logs).__name__}")
    found = {}
    for name, value in logs.items():
        try:
            found[str(name)] = float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError):
            raise ArgumentError(
                f"{step}: expected one number for {name!r} in the returned dictionary, got {value!r}"
            ) from None
    return found


def finite(figures: Mapping[str, float]) -> bool:
    """Tell whether the loss, if there is one, is finite."""
    return math.isfinite(figures.get("loss", 0.0))


def reset_own_metrics(model: Any) -> None:
    """Reset the metrics in a model's `metrics`, as Keras does before each epoch."""
    for metric in getattr(model, "metrics", None) or ():
        reset = getattr(metric, "reset_state", None)
        if reset is not None and not isinstance(metric, type):
            reset()
