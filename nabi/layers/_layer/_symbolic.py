"""Symbolic tensors: layers are first called on shapes, and on numbers once a model is made of the calls."""

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

    `arguments` and `keywords` are those of the call, `outputs` the symbolic tensors it returned: one, or
    several in the layer's structure.
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
        """Create and return the outputs, of these shapes."""
        numbers = iter(range(len(list(_shapes_in(shapes)))))
        self.outputs = _for_each_shape(
            lambda shape: SymbolicTensor(shape, dtype, self, next(numbers)), shapes
        )
        return self.outputs


def _refused(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(self: "SymbolicTensor", *others: Any) -> NoReturn:
        raise ArgumentError(
            f"{what}: {self!r} has no numbers yet, so only layers can be called on it; {instead}"
        )

    return refuse


_OWN = "write your own layer that does it in its call()"


class SymbolicTensor:
    """A tensor without values yet: its `shape` (None for open axes), its `dtype`, and its origin.

    `nabi.Input` returns one, and layers called on symbolic tensors return symbolic tensors. `name` is that of
    the layer, with a number from the second output on.

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
        """The name of the layer that returns it, followed by `[1]` and so on from its second output on."""
        return f"{self.call.layer.name}[{self.index}]" if self.index else self.call.layer.name

    @property
    def ndim(self) -> int:
        """The number of axes, including the batch."""
        return len(self.shape)

    def zeros(self, sizes: tuple[int, int]) -> Tensor:
        """Return zeros of the shape, with `sizes` for an open batch and for other open axes."""
        return torch.zeros(open_to(self.shape, sizes), dtype=self.dtype)

    def __repr__(self) -> str:
        return f"<symbolic tensor {self.shape} {str(self.dtype).removeprefix('torch.')} of {self.name}>"

    __add__ = __radd__ = _refused("+", "add with layers.Add()([x, y])")
    __sub__ = __rsub__ = _refused("-", "subtract with layers.Subtract()([x, y])")
    __mul__ = __rmul__ = _refused("*", "multiply with layers.Multiply()([x, y])")
    __truediv__ = __rtruediv__ = _refused("/", f"average with layers.Average()([x, y]), or {_OWN}")
    __matmul__ = __rmatmul__ = _refused("@", "multiply matrices with layers.Dot(axes)([x, y])")
    __getitem__ = _refused("[]", f"rearrange with layers.Reshape or layers.Permute, or {_OWN}")
    __iter__ = _refused("iter", f"rearrange with layers.Reshape or layers.Permute, or {_OWN}")
    __neg__ = _refused("-", _OWN)
    __pow__ = _refused("**", _OWN)
    __abs__ = _refused("abs", _OWN)
    __len__ = _refused("len", "its shape is in .shape")
    __bool__ = _refused("bool", _OWN)
    __float__ = __int__ = _refused("numbers", "use a model's predict()")
    __lt__ = __le__ = __gt__ = __ge__ = _refused("a comparison", _OWN)

    def __array__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        _refused("numbers", "use a model's predict()")(self)

    @classmethod
    def __torch_function__(cls, function: Any, *arguments: Any, **keywords: Any) -> NoReturn:
        """Refuse torch functions, which need numbers."""
        name = getattr(function, "__name__", str(function))
        raise ArgumentError(
            f"torch.{name}: called on a symbolic tensor, which has no numbers yet; use a layer such as "
            f"layers.Activation or layers.Concatenate, layers.Lambda(function), "
            f"layers.TorchModuleWrapper(module), or {_OWN}"
        )


class OfFirstCall:
    """Descriptor of a layer's `input` or `output`: the symbolic tensors of its first call.

    A user's attribute of the same name takes precedence, even if torch stores it elsewhere.
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
                f"{type(layer).__name__} has no {self._name!r}; it was not called on an Input"
            )
        if self._name == "output":
            return call.outputs
        inputs = call.inputs
        return inputs[0] if len(inputs) == 1 else inputs


def is_symbolic(inputs: Any) -> bool:
    """Tell whether a layer's inputs contain a symbolic tensor."""
    if isinstance(inputs, SymbolicTensor):
        return True
    if isinstance(inputs, dict):
        inputs = list(inputs.values())
    return isinstance(inputs, list | tuple) and any(is_symbolic(one) for one in inputs)


def call_symbolically(layer: LayerLike, *arguments: Any, **keywords: Any) -> Any:
    """Call a layer on symbolic tensors: create its weights and return symbolic tensors.

    Raises:
        ShapeError: if the layer does not take such shapes; the message names it.
        ArgumentError: if its inputs contain numbers.
    """
    keywords = {name: value for name, value in keywords.items() if value is not None}
    for leaf in leaves([*arguments, keywords]):
        if isinstance(leaf, Tensor | np.ndarray):
            raise ArgumentError(
                f"inputs: {layer.name} ({type(layer).__name__}) expected symbolic tensors, got an array; "
                "put constants into your own layer, other data into an Input"
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
    """Refuse arguments that the layer's `call` does not take; a graph would keep them until it is called."""
    training = keywords.get("training")
    if training is not None and not isinstance(training, bool):
        raise ArgumentError(f"training: expected True or False, got {training!r} (at {layer.name})")
    own = {name: value for name, value in keywords.items() if name not in ("mask", "training")}
    for name in getattr(layer, "only_on_numbers", ()):
        if name in own:
            raise ArgumentError(
                f"{name}: {layer.name} ({type(layer).__name__}) takes it only with numbers; call the layer "
                "in the call() of a model of your own"
            )
    signature = inspect.signature(type(layer).call)
    try:
        signature.bind_partial(layer, *arguments, **own)
        known: tuple[str, ...] | None = getattr(layer, "further_inputs", None)
        for name in own:
            if known is not None and name not in signature.parameters and name not in known:
                raise TypeError(f"got an unexpected keyword argument {name!r}")
    except TypeError as problem:
        raise ArgumentError(f"{layer.name} ({type(layer).__name__}): call(): {problem}") from problem


def _outputs_of(
    layer: LayerLike, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, torch.dtype]:
    """Return the shapes of the outputs and their dtype; create the weights along the way."""
    inputs = arguments[0]
    for leaf in leaves(inputs):
        if not isinstance(leaf, SymbolicTensor):
            raise ArgumentError(
                f"inputs: {layer.name} ({type(layer).__name__}) expected symbolic tensors, got {leaf!r}"
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
