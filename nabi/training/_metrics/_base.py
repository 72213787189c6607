"""The base of metrics as objects: numbers that are kept from batch to batch, and what becomes of them."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import dtype_named, unique_name
from nabi.nn import initializers
from nabi.training._data._align import align_weights

__all__ = ["Metric", "as_tensor", "flat_weights", "numbers_of"]


class _State(Tensor):
    """A tensor that a metric changes in place, by the names that Keras' variables have."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def assign(self, value: Any) -> Self:
        """Set the numbers."""
        with torch.no_grad():
            self.copy_(torch.as_tensor(value))
        return self

    def assign_add(self, value: Any) -> Self:
        """Add to the numbers."""
        return self._add(value, 1)

    def assign_sub(self, value: Any) -> Self:
        """Subtract from the numbers."""
        return self._add(value, -1)

    def _add(self, value: Any, sign: int) -> Self:
        with torch.no_grad():
            self.add_(torch.as_tensor(value).detach().to(self.device, self.dtype), alpha=sign)
        return self

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The numbers as an array."""
        array: np.ndarray[Any, Any] = self.detach().cpu().as_subclass(Tensor).numpy(force=force).copy()
        return array


class Metric:
    """A figure over many batches: `update_state(...)` takes one in, `result()` gives the figure so far.

    A metric of your own makes its numbers with `add_weight` in `__init__`, and overrides `update_state` and
    `result`; `reset_state` puts the numbers back to what they were at first. `name` is its key in the
    history, made from the class name by default.

    >>> from nabi import metrics
    >>> class Largest(metrics.Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.found = self.add_weight(name="found", initializer="zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.found.assign(max(float(self.found), float(y_pred.max())))
    ...     def result(self):
    ...         return self.found
    >>> import torch
    >>> largest = Largest()
    >>> float(largest(torch.zeros(2), torch.tensor([3.0, 1.0])))
    3.0
    >>> largest.reset_state()
    >>> float(largest.result())
    0.0
    """

    name: str
    # What `add_weight` made, each with its numbers at first.
    _states: list[tuple[_State, Tensor]]

    def __init__(self, name: str | None = None, dtype: str | torch.dtype | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"name: expected a text or None, got {short(name)}")
        self.name = name or unique_name(type(self).__name__)
        self.dtype = dtype_named(dtype)
        self._states = []

    def add_weight(
        self,
        shape: int | Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: str | torch.dtype | None = None,
        name: str | None = None,
    ) -> Any:
        """Make numbers that the metric keeps: a tensor with `assign`, `assign_add` and `assign_sub`."""
        kind = self.dtype if dtype is None else dtype_named(dtype)
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        make: Callable[..., Any] = initializers.get(initializer or "zeros")
        first = torch.as_tensor(make(sizes, dtype=kind)).to(kind).reshape(sizes)
        state = first.clone().as_subclass(_State)
        self._states.append((state, first))
        return state

    add_variable = add_weight

    @property
    def variables(self) -> list[Tensor]:
        """What `add_weight` made."""
        return [state for state, _ in vars(self).get("_states", ())]

    def update_state(self, *arguments: Any, **keywords: Any) -> None:
        """Take in a batch; overridden by every metric."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(y_true, y_pred)")

    def result(self) -> Any:
        """The figure of all batches since the last reset; overridden by every metric."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset_state(self) -> None:
        """Start anew: the numbers become what they were at first."""
        for state, first in self._states:
            state.assign(first)

    def reset_states(self) -> None:
        """Start anew, as `reset_state` (Keras 2's name)."""
        self.reset_state()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Take in a batch, and return the figure so far."""
        self.update_state(*arguments, **keywords)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same metric again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a metric from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def as_tensor(values: Any, like: Tensor | None = None) -> Tensor:
    """A tensor of numbers, on the device of another."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    if array.dtype == np.float64 and not isinstance(values, np.ndarray):
        array = array.astype(np.float32)
    return torch.as_tensor(array.copy() if not array.flags.writeable else array).to(
        "cpu" if like is None else like.device
    )


def flat_weights(argument: str, y_pred: Tensor, sample_weight: Any) -> Tensor | None:
    """The weight of each number of the outputs, the mask that they carry among it; None where all count.

    Raises:
        ShapeError: for weights of another shape than the outputs' or its first axes.
    """
    mask: Tensor | None = getattr(y_pred, "_keras_mask", None)
    found: Tensor | None = None
    for name, given in (("mask", mask), ("sample_weight", sample_weight)):
        if given is None:
            continue
        weights = as_tensor(given, y_pred).to(torch.float64)
        if name == "mask" and weights.shape != y_pred.shape[: weights.dim()]:
            continue  # of steps that the outputs do not have any more
        if not weights.dim():
            weights = weights.expand(y_pred.shape[:1])
        try:
            weights = align_weights(weights, y_pred, name)
        except ShapeError as problem:
            raise ShapeError(f"{problem} (metric {argument})") from None
        found = weights if found is None else found * weights
    return found


def numbers_of(metric: Any) -> dict[str, float]:
    """The figure of a metric under its name, or several by their own names.

    Raises:
        ArgumentError: for a figure that is not one number.
    """
    value = metric.result()
    if isinstance(value, dict):
        return {str(name): float(one) for name, one in value.items()}
    try:
        return {metric.name: float(value)}
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"metrics: {metric.name} gives {value!r}; in training a metric gives one number, or a dictionary "
            "of numbers by name (see the argument average of F1Score)"
        ) from None
