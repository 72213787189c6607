"""Layers that do one operation on tensors: parts of an axis, reductions, functions, constants, states.

Networks that were written with other programs are made of them where no layer of Keras does the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape, check_one_of
from nabi.layers._layer._base import Layer
from nabi.nn import initializers

__all__ = ["Arithmetic", "Elementwise", "Reduce", "SequenceMask", "Slice", "StartState"]


def _place(layer: Layer, axis: int, shape: Sequence[Any]) -> int:
    """Return an axis counted from 0; it exists and is not the batch."""
    place = axis + len(shape) if axis < 0 else axis
    if not 0 < place < len(shape):
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) expected an axis {axis} besides the batch, "
            f"got shape {tuple(shape)}"
        )
    return place


class Slice(Layer):
    """A part of an axis: `inputs[:, start:stop:step]`, for any axis but the batch.

    `start`, `stop` and `step` are those of Python's slices; `step=-1` reverses the axis. Masks are dropped.
    Raises `ShapeError` for inputs without the axis, `ArgumentError` for a step of 0.

    >>> import torch
    >>> Slice(1, -2)(torch.arange(6.0).reshape(1, 3, 2))
    tensor([[[2., 3.],
             [4., 5.]]])
    """

    def __init__(
        self,
        axis: int,
        start: int | None = None,
        stop: int | None = None,
        step: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = _checks.whole("axis", axis, None)
        self.start = None if start is None else _checks.whole("start", start, None, otherwise=" or None")
        self.stop = None if stop is None else _checks.whole("stop", stop, None, otherwise=" or None")
        self.step = _checks.whole("step", step, None)
        if not self.step:
            raise ArgumentError("step: expected a whole number other than 0, got 0")

    def call(self, inputs: Tensor) -> Tensor:
        """Return the part."""
        place = _place(self, self.axis, inputs.shape)
        if self.step < 0:
            taken = range(inputs.shape[place])[self.start : self.stop : self.step]
            return inputs.index_select(place, torch.tensor(taken, device=inputs.device, dtype=torch.long))
        return inputs[(slice(None),) * place + (slice(self.start, self.stop, self.step),)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the steps are other ones."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the length of the part."""
        place = _place(self, self.axis, input_shape)
        size = input_shape[place]
        part = None if size is None else len(range(size)[self.start : self.stop : self.step])
        return (*input_shape[:place], part, *input_shape[place + 1 :])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        own = {name: getattr(self, name) for name in ("axis", "start", "stop", "step")}
        return {**super().get_config(), **own}


_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "max": torch.amax,
    "min": torch.amin,
    "norm": lambda x, dim, keepdim: torch.linalg.vector_norm(x, dim=dim, keepdim=keepdim),
}


class Reduce(Layer):
    """Axes reduced to one number: `function` is "mean", "sum", "max", "min" or "norm" (Euclidean).

    `axes` are counted with the batch, which stays; `keepdims` keeps them with size 1. Masks are dropped, and
    masked steps count: for means over steps that count, use `GlobalAveragePooling1D`.

    >>> import torch
    >>> Reduce("max", [1])(torch.arange(6.0).reshape(1, 3, 2))
    tensor([[4., 5.]])
    """

    _casts_integers = True

    def __init__(self, function: str, axes: Sequence[int], keepdims: bool = False, **kwargs: Any) -> None:
        check_one_of("function", function, sorted(_REDUCTIONS))
        super().__init__(**kwargs)
        self.function = function
        self.axes = tuple(_checks.whole("axes", axis, None) for axis in axes)
        if not self.axes:
            raise ArgumentError("axes: expected at least one axis besides the batch, got none")
        self.keepdims = bool(keepdims)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the reduced inputs."""
        places = [_place(self, axis, inputs.shape) for axis in self.axes]
        return _REDUCTIONS[self.function](inputs, dim=places, keepdim=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the axes are other ones."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape without the axes, or with 1 for them."""
        places = {_place(self, axis, input_shape) for axis in self.axes}
        if self.keepdims:
            return tuple(1 if number in places else size for number, size in enumerate(input_shape))
        return tuple(size for number, size in enumerate(input_shape) if number not in places)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        own = {"function": self.function, "axes": list(self.axes), "keepdims": self.keepdims}
        return {**super().get_config(), **own}


def _elu(x: Tensor, alpha: float) -> Tensor:
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0.0)))


# Functions of a tensor and of their numbers, with the defaults of the numbers.
_FUNCTIONS: dict[str, tuple[Callable[..., Tensor], tuple[float, ...]]] = {
    "abs": (torch.abs, ()),
    "affine": (lambda x, a, b: a * x + b, (1.0, 0.0)),
    "ceil": (torch.ceil, ()),
    "celu": (lambda x, a: x.clamp(min=0) + a * torch.expm1(x.clamp(max=0) / a), (1.0,)),
    "clip": (torch.clamp, (-torch.inf, torch.inf)),
    "cos": (torch.cos, ()),
    "elu": (_elu, (1.0,)),
    "equal": (lambda x, a: (x == a).to(x.dtype), (0.0,)),
    "erf": (torch.erf, ()),
    "exp": (torch.exp, ()),
    "floor": (torch.floor, ()),
    "gelu": (functional.gelu, ()),
    "gelu_tanh": (lambda x: functional.gelu(x, approximate="tanh"), ()),
    "greater": (lambda x, a: (x > a).to(x.dtype), (0.0,)),
    "hard_sigmoid": (lambda x, a, b: (a * x + b).clamp(0.0, 1.0), (0.2, 0.5)),
    "hard_swish": (functional.hardswish, ()),
    "leaky_relu": (functional.leaky_relu, (0.01,)),
    "less": (lambda x, a: (x < a).to(x.dtype), (0.0,)),
    "log": (torch.log, ()),
    "mish": (functional.mish, ()),
    "negative": (torch.neg, ()),
    "power": (torch.pow, (2.0,)),
    "reciprocal": (torch.reciprocal, ()),
    "relu": (torch.relu, ()),
    "round": (torch.round, ()),
    "scaled_tanh": (lambda x, a, b: a * torch.tanh(b * x), (1.0, 1.0)),
    "selu": (functional.selu, ()),
    "sigmoid": (torch.sigmoid, ()),
    "sign": (torch.sign, ()),
    "silu": (functional.silu, ()),
    "sin": (torch.sin, ()),
    "softplus": (lambda x: functional.softplus(x), ()),
    "softsign": (functional.softsign, ()),
    "sqrt": (torch.sqrt, ()),
    "tanh": (torch.tanh, ()),
    "thresholded_relu": (lambda x, a: torch.where(x > a, x, 0.0), (1.0,)),
}


class Elementwise(Layer):
    """A function of every number of a tensor, with the function's own numbers.

    `function` is the name of one: elu, leaky_relu, hard_sigmoid, clip, power, sqrt, exp, log, erf, ...;
    `numbers` are those that it takes, such as the slope of leaky_relu and the bounds of clip. The defaults
    are ONNX's. Raises `ArgumentError` for an unknown function or too many numbers.

    >>> import torch
    >>> Elementwise("hard_sigmoid", [0.25, 0.5])(torch.tensor([-4.0, 1.0]))
    tensor([0.0000, 0.7500])
    """

    supports_masking = True
    _casts_integers = True

    def __init__(self, function: str, numbers: Sequence[float] = (), **kwargs: Any) -> None:
        check_one_of("function", function, sorted(_FUNCTIONS))
        super().__init__(**kwargs)
        defaults = _FUNCTIONS[function][1]
        given = tuple(float(number) for number in numbers)
        if len(given) > len(defaults):
            raise ArgumentError(f"numbers: {function} expected at most {len(defaults)}, got {list(given)}")
        self.function = function
        self.numbers = given + defaults[len(given) :]

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        return _FUNCTIONS[self.function][0](inputs, *self.numbers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "function": self.function, "numbers": list(self.numbers)}


_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}


class Arithmetic(Layer):
    """The inputs and a constant, put together number by number: a learned offset, scale or bound.

    `operation` is "add", "subtract", "multiply", "divide", "maximum" or "minimum"; `constant_shape` the
    shape of the constant, without the batch; sizes of 1 broadcast;
    `constant_first` puts the constant before the inputs. Weight: `constant`, zeros at first (ones where it
    multiplies or divides).

    >>> import torch
    >>> Arithmetic("subtract", (2,), constant_first=True, weights=[[1.0, 2.0]])(torch.ones(1, 2))
    tensor([[0., 1.]], grad_fn=<SubBackward0>)
    """

    supports_masking = True
    _casts_integers = True

    def __init__(
        self, operation: str, constant_shape: Sequence[int], constant_first: bool = False, **kwargs: Any
    ) -> None:
        check_one_of("operation", operation, sorted(_OPERATIONS))
        super().__init__(**kwargs)
        self.operation = operation
        self.constant_shape = tuple(_checks.whole("constant_shape", size, 0) for size in constant_shape)
        self.constant_first = bool(constant_first)

    def build(self, input_shape: Shape) -> None:
        """Create `constant`."""
        self.compute_output_shape(input_shape)
        start = initializers.Ones() if self.operation in ("multiply", "divide") else initializers.Zeros()
        self.constant = self.add_weight(self.constant_shape, start, "constant")

    def call(self, inputs: Tensor) -> Tensor:
        """Return the result."""
        both = (self.constant, inputs) if self.constant_first else (inputs, self.constant)
        return _OPERATIONS[self.operation](*both)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the inputs and the constant together."""
        own = self.constant_shape
        inner = input_shape[1:][max(len(input_shape) - 1 - len(own), 0) :]
        if len(own) >= len(input_shape) or any(
            mine not in (1, theirs) and theirs != 1 for mine, theirs in zip(own, inner, strict=True)
        ):
            raise ShapeError(
                f"inputs: {self.name} (Arithmetic) has a constant of shape {own}, "
                f"got shape {tuple(input_shape)}"
            )
        wider = [mine if theirs == 1 else theirs for mine, theirs in zip(own, inner, strict=True)]
        return (*input_shape[: len(input_shape) - len(own)], *wider)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        own = {
            "operation": self.operation,
            "constant_shape": list(self.constant_shape),
            "constant_first": self.constant_first,
        }
        return {**super().get_config(), **own}


class SequenceMask(Layer):
    """The mask of sequences of given lengths: `[inputs [B, T, ...], lengths [B]]` to true and false `[B, T]`.

    Raises `ArgumentError` for a length below 0 or above T.

    >>> import torch
    >>> SequenceMask()([torch.zeros(2, 3, 1), torch.tensor([3, 1])])
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """

    _takes_several = True

    def call(self, inputs: Any) -> Tensor:
        """Return the mask."""
        sequences, lengths = inputs
        steps = sequences.shape[1]
        if lengths.numel() and not bool(((lengths >= 0) & (lengths <= steps)).all()):
            raise ArgumentError(
                f"lengths: {self.name} (SequenceMask) expected lengths from 0 to {steps}, "
                f"got {lengths.tolist()[:10]}"
            )
        mask: Tensor = torch.arange(steps, device=lengths.device) < lengths.reshape(-1, 1)
        return mask

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the batch and the steps."""
        return tuple(input_shape[0][:2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return super().get_config()


class StartState(Layer):
    """A learned vector, repeated for every sample: `[B, ...]` to `[B, units]`; an initial state of a layer.

    Weight: `state` `(units,)`, zeros at first.

    >>> import torch
    >>> StartState(3)(torch.zeros(2, 5, 1)).shape
    torch.Size([2, 3])
    """

    _casts_integers = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = _checks.whole("units", units)

    def build(self, input_shape: Shape) -> None:
        """Create `state`."""
        self.state = self.add_weight((self.units,), initializers.Zeros(), "state")

    def call(self, inputs: Tensor) -> Tensor:
        """Return the states."""
        return self.state.expand(inputs.shape[0], self.units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the batch and the units."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "units": self.units}
