"""Symbolic tensors: layers are called on shapes first, and on numbers once a model is made of the calls."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from nabi._tree import leaves, mapped
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._layer_like import LayerLike
from nabi.layers._layer._shapes import open_to, trial_shape

__all__ = ["Call", "OfFirstCall", "SymbolicTensor", "call_symbolically", "is_symbolic"]


class Call:
    """One call of a layer on symbolic tensors.

    `arguments` and `keywords` are what it was called with, `outputs` the symbolic tensors that it gave: one,
    or several in the layer's structure.
    """

    def __init__(self, layer: LayerLike, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.layer: Any = layer  # a Layer, which stands above
        self.arguments, self.keywords = arguments, keywords
        self.outputs: Any = None

    @property
    def inputs(self) -> list["SymbolicTensor"]:
        """The symbolic tensors among the arguments."""
        given = leaves([*self.arguments, self.keywords])
        return [one for one in given if isinstance(one, SymbolicTensor)]

    def give(self, shapes: Any, dtype: torch.dtype) -> Any:
        """Make the outputs, of these shapes; returns them."""
        numbers = iter(range(len(list(_shapes_in(shapes)))))
        self.outputs = _for_each_shape(
            lambda shape: SymbolicTensor(shape, dtype, self, next(numbers)), shapes
        )
        return self.outputs


def _refused(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(self: "SymbolicTensor", *others: Any) -> NoReturn:
        raise ArgumentError(
            f"{what}: {self!r} has no numbers yet, so that only layers can be called on it; {instead}"
        )

    return refuse


_OWN = "write a layer of your own with it in its call()"


class SymbolicTensor:
    """A tensor that is not there yet: its `shape` (None for open axes), its `dtype`, and where it comes from.

    `nabi.Input` makes one, and layers that are called on symbolic tensors give symbolic tensors. `name` is
    that of the layer, with a number from the second output on.

    >>> from nabi import layers
    >>> x = layers.Input((5, 3), name="x")
    >>> layers.LSTM(8, name="memory")(x)
    <symbolic tensor (None, 8) float32 of memory>
    """

    def __init__(self, shape: Shape, dtype: torch.dtype, call: Call, index: int = 0) -> None:
        self.shape, self.dtype = shape, dtype
        self.call, self.index = call, index

    @property
    def name(self) -> str:
        """The name of the layer that gives it, `[1]` and so on after it from its second output on."""
        return f"{self.call.layer.name}[{self.index}]" if self.index else self.call.layer.name

    @property
    def ndim(self) -> int:
        """The number of axes, batch included."""
        return len(self.shape)

    def zeros(self, sizes: tuple[int, int]) -> Tensor:
        """Make a tensor of the shape, with sizes for an open batch and for other open axes."""
        return torch.zeros(open_to(self.shape, sizes), dtype=self.dtype)

    def __repr__(self) -> str:
        return f"<symbolic tensor {self.shape} {str(self.dtype).removeprefix('torch.')} of {self.name}>"

    __add__ = __radd__ = _refused("+", "add with layers.Add()([x, y])")
    __sub__ = __rsub__ = _refused("-", "subtract with layers.Subtract()([x, y])")
    __mul__ = __rmul__ = _refused("*", "multiply with layers.Multiply()([x, y])")
    __truediv__ = __rtruediv__ = _refused("/", f"layers.Average()([x, y]) averages; else {_OWN}")
    __matmul__ = __rmatmul__ = _refused("@", "multiply matrices with layers.Dot(axes)([x, y])")
    __getitem__ = _refused("[]", f"layers.Reshape and layers.Permute rearrange; else {_OWN}")
    __iter__ = _refused("iter", f"layers.Reshape and layers.Permute rearrange; else {_OWN}")
    __neg__ = _refused("-", _OWN)
    __pow__ = _refused("**", _OWN)
    __abs__ = _refused("abs", _OWN)
    __len__ = _refused("len", "its shape is in .shape")
    __bool__ = _refused("bool", _OWN)
    __float__ = __int__ = _refused("numbers", "predict of a model gives them")
    __lt__ = __le__ = __gt__ = __ge__ = _refused("a comparison", _OWN)

    def __array__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        _refused("numbers", "predict of a model gives them")(self)

    @classmethod
    def __torch_function__(cls, function: Any, *arguments: Any, **keywords: Any) -> NoReturn:
        """Refuse functions of torch, which need numbers."""
        name = getattr(function, "__name__", str(function))
        raise ArgumentError(
            f"torch.{name}: it was called on a symbolic tensor, which has no numbers yet; use a layer such "
            f"as layers.Activation or layers.Concatenate, layers.Lambda(function), "
            "layers.TorchModuleWrapper(module) "
            f"around a module of torch, or {_OWN}"
        )


class OfFirstCall:
    """The attribute `input` or `output` of a layer: the symbolic tensors of its first call.

    What a layer of somebody's own has under that name comes first, also where torch keeps it out of sight.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        for store in ("_parameters", "_buffers", "_modules"):
            if self._name in vars(layer).get(store, ()):
                return vars(layer)[store][self._name]
        call: Call | None = vars(layer).get("_first_call")
        if call is None:
            raise AttributeError(
                f"{type(layer).__name__} has no {self._name!r}: it was not called on an Input"
            )
        if self._name == "output":
            return call.outputs
        inputs = call.inputs
        return inputs[0] if len(inputs) == 1 else inputs


def is_symbolic(inputs: Any) -> bool:
    """Tell whether a symbolic tensor is among what a layer is called on."""
    if isinstance(inputs, SymbolicTensor):
        return True
    if isinstance(inputs, dict):
        inputs = list(inputs.values())
    return isinstance(inputs, list | tuple) and any(is_symbolic(one) for one in inputs)


def call_symbolically(layer: LayerLike, *arguments: Any, **keywords: Any) -> Any:
    """Call a layer on symbolic tensors: its weights are made, and its outputs are symbolic tensors.

    Raises:
        ShapeError: if it does not take such shapes; the message names it.
        ArgumentError: for numbers among its inputs.
    """
    keywords = {name: value for name, value in keywords.items() if value is not None}
    for leaf in leaves([*arguments, keywords]):
        if isinstance(leaf, Tensor | np.ndarray):
            raise ArgumentError(
                f"inputs: {layer.name} ({type(layer).__name__}) got an array beside symbolic tensors; "
                "numbers that never change belong into a layer of your own, others into an Input"
            )
    _check_call(layer, arguments, keywords)
    call = Call(layer, arguments, keywords)
    try:
        shapes, dtype = _outputs_of(layer, arguments, keywords)
    except ShapeError as problem:
        if layer.name in str(problem):
            raise
        raise type(problem)(f"{problem} (at {layer.name}, {type(layer).__name__})") from problem
    if vars(layer).get("_first_call") is None:
        layer._first_call = call
    return call.give(shapes, dtype)


def _check_call(layer: LayerLike, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Refuse what the layer's `call` does not take: a graph keeps it until the layer is called."""
    training = keywords.get("training")
    if training is not None and not isinstance(training, bool):
        raise ArgumentError(f"training: expected True or False, got {training!r} (at {layer.name})")
    own = {name: value for name, value in keywords.items() if name not in ("mask", "training")}
    try:
        inspect.signature(type(layer).call).bind_partial(layer, *arguments, **own)
    except TypeError as problem:
        raise ArgumentError(f"{layer.name} ({type(layer).__name__}): its call has {problem}") from problem


def _outputs_of(
    layer: LayerLike, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, torch.dtype]:
    """Return the shapes of the outputs, and their type; the weights are made by the way."""
    inputs = arguments[0]
    for leaf in leaves(inputs):
        if not isinstance(leaf, SymbolicTensor):
            raise ArgumentError(
                f"inputs: {layer.name} ({type(layer).__name__}) expected symbolic tensors; got {leaf!r}"
            )
    if layer.says_output_shape:
        shape = mapped(lambda one: one.shape, inputs)
        if not layer.built:
            layer.build(shape)
        keeps = not layer._casts_integers and next(layer.parameters(), None) is None
        return layer.compute_output_shape(shape), next(leaves(inputs)).dtype if keeps else layer.dtype

    def zeros(sizes: tuple[int, int]) -> Any:
        return mapped(lambda one: one.zeros(sizes) if isinstance(one, SymbolicTensor) else one, given)

    given = (arguments, keywords)
    return trial_shape(layer, zeros)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(size is None or isinstance(size, int) for size in value)


def _shapes_in(shapes: Any) -> Iterator[Any]:
    if _is_shape(shapes):
        yield tuple(shapes)
    else:
        for one in shapes.values() if isinstance(shapes, dict) else shapes:
            yield from _shapes_in(one)


def _for_each_shape(function: Callable[[Shape], Any], shapes: Any) -> Any:
    if _is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, dict):
        return {name: _for_each_shape(function, one) for name, one in shapes.items()}
    return type(shapes)(_for_each_shape(function, one) for one in shapes)
