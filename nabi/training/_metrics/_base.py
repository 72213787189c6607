"""The base class of metrics: state kept from batch to batch, and the result computed from it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import dtype_named, unique_name
from nabi.nn import initializers
from nabi.training._data._align import align_weights

__all__ = ["Metric", "added", "as_tensor", "flat_weights", "numbers_of"]


class _State(Tensor):
    """A tensor that a metric updates in place with the methods of Keras' variables."""

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
        """Return the numbers as an array."""
        array: np.ndarray[Any, Any] = self.detach().cpu().as_subclass(Tensor).numpy(force=force).copy()
        return array


class Metric:
    """A value over many batches: `update_state(...)` adds a batch, `result()` returns the value so far.

    Your own metric creates its state with `add_weight` in `__init__` and overrides `update_state` and
    `result`; `reset_state` restores the initial state. `name` is its key in the history (default: from the
    class name).

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
    _summed: ClassVar[tuple[str, ...]] = ()
    """Attributes that are added up over workers, beside the states made by `add_weight`: means and sums."""
    # The tensors made by `add_weight`, each with its initial values.
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
        """Create a state of the metric: a tensor with `assign`, `assign_add` and `assign_sub`."""
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
        """The states created by `add_weight`."""
        return [state for state, _ in vars(self).get("_states", ())]

    def update_state(self, *arguments: Any, **keywords: Any) -> None:
        """Update the metric with a batch; overridden by every metric."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(y_true, y_pred)")

    def result(self) -> Any:
        """Return the value over all batches since the last reset; overridden by every metric."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def reset_state(self) -> None:
        """Reset the states to their initial values."""
        for state, first in self._states:
            state.assign(first)

    def reset_states(self) -> None:
        """Reset the states, as `reset_state` (Keras 2's name)."""
        self.reset_state()

    def sums(self) -> list[Any]:
        """Return what is added up over the workers that train one model together.

        That are the states made by `add_weight`, so these must be sums and counts. (Of a state that begins
        with other values than zero, what came to them is added up.)

        Raises:
            ArgumentError: if the metric keeps what it counts elsewhere.
        """
        states = vars(self).get("_states", ())
        if not states and not self._summed:
            raise ArgumentError(
                f"metrics: {self.name} ({type(self).__name__}) has no state made by add_weight, so what it "
                "counts cannot be added up over several workers; make its sums and counts with add_weight"
            )
        kept = [getattr(self, name) for name in self._summed]
        plain = [one.sums() if hasattr(one, "sums") else one for one in kept]
        return [*plain, *((state - first).as_subclass(Tensor).clone() for state, first in states)]

    def take_sums(self, sums: Sequence[Sequence[Any]]) -> None:
        """Be the metric of everything that these, from `sums` of several workers, have counted."""
        parts = list(zip(*sums, strict=True))
        for name, part in zip(self._summed, parts, strict=False):
            own = getattr(self, name)
            if hasattr(own, "take_sums"):
                own.take_sums(part)
            else:
                setattr(self, name, added(part))
        for (state, first), part in zip(
            vars(self).get("_states", ()), parts[len(self._summed) :], strict=True
        ):
            state.assign(first + added(part))

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Update the metric with a batch and return the value so far."""
        self.update_state(*arguments, **keywords)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a metric from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def added(values: Iterable[Any]) -> Any:
    """Return the sum of numbers or tensors; None counts nothing.

    >>> added([1.0, None, 2.0])
    3.0
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    return torch.stack(there).sum(0) if isinstance(there[0], Tensor) else sum(there)


def as_tensor(values: Any, like: Tensor | None = None) -> Tensor:
    """Return a tensor of numbers, on the device of `like`."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    if array.dtype == np.float64 and not isinstance(values, np.ndarray):
        array = array.astype(np.float32)
    return torch.as_tensor(array.copy() if not array.flags.writeable else array).to(
        "cpu" if like is None else like.device
    )


def flat_weights(argument: str, y_pred: Tensor, sample_weight: Any) -> Tensor | None:
    """Return the weight of each number of the outputs, including their mask; None if all count equally.

    Raises:
        ShapeError: if the weights have neither the shape of the outputs nor that of their first axes.
    """
    mask: Tensor | None = getattr(y_pred, "_keras_mask", None)
    found: Tensor | None = None
    for name, given in (("mask", mask), ("sample_weight", sample_weight)):
        if given is None:
            continue
        weights = as_tensor(given, y_pred).to(torch.float64)
        if name == "mask" and weights.shape != y_pred.shape[: weights.dim()]:
            continue  # for steps that the outputs no longer have
        if not weights.dim():
            weights = weights.expand(y_pred.shape[:1])
        try:
            weights = align_weights(weights, y_pred, name)
        except ShapeError as problem:
            raise ShapeError(f"{problem} (metric {argument})") from None
        found = weights if found is None else found * weights
    return found


def numbers_of(metric: Any) -> dict[str, float]:
    """Return the value of a metric by its name, or several values by their own names.

    Raises:
        ArgumentError: if a value is not a single number.
    """
    value = metric.result()
    if isinstance(value, dict):
        return {str(name): float(one) for name, one in value.items()}
    try:
        return {metric.name: float(value)}
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"metrics: expected one number, or a dictionary of numbers by name, from {metric.name}, "
            f"got {value!r} (see the argument average of F1Score)"
        ) from None
