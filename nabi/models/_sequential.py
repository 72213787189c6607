"""Sequential models."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nabi import training
from nabi._shown import short
from nabi.errors import ArgumentError, NotReadyError, ShapeError
from nabi.layers import InputLayer, Layer, PreparedCalls, SymbolicTensor, as_layer, deserialize, serialize
from nabi.models._model import Model
from nabi.models._readouts import Readout, find_readout, giving_logits, with_logits

__all__ = ["Sequential"]

Shape = tuple[int | None, ...]

# Attributes that would decide what `predict` does, if a model itself had them.
_PREDICTING = frozenset(("predict_step", "call", "_forward", "adjust_input"))
_KINDS, _NONE = 64, object()


class Sequential(Model):
    """A stack of layers, each called on the output of the previous one.

    With an input shape (the first layer's `input_shape`, or an `Input`), the weights are created immediately,
    otherwise on the first data.

    Args:
        layers: the layers; more can be added with `add`. A `torch.nn.Module` is a layer too.
        name: name of the model (default: "sequential" with a number).
        trainable: False freezes all layers, including those added later.

    Raises:
        ArgumentError: for anything that is not a layer, or two layers with the same name.
        ShapeError: if a layer does not match the previous one.

    >>> from nabi import layers
    >>> model = Sequential([layers.Dense(3, input_shape=[4], activation="relu"), layers.Dense(2)])
    >>> model.count_params(), model.output_shape
    (23, (None, 2))
    """

    _prepared_calls: PreparedCalls | None = None  # of the class: models pickled before have none

    def __init__(
        self,
        layers: Sequence[Layer | SymbolicTensor] | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self.stack = torch.nn.ModuleList()
        self._entry: InputLayer | None = None
        # Shapes after each layer, with an open batch; the first is that of the inputs.
        self._shapes: list[Shape] = []
        self._readout: Readout | None = None
        # The input of the layers if the model is used in functional ones.
        self._symbolic_entry: InputLayer | None = None
        if layers is not None and not isinstance(layers, list | tuple):
            raise ArgumentError(f"layers: expected a list of layers, got {layers!r}")
        names: set[str] = set()
        for layer in layers or ():
            self._add(layer, names)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_prepared_calls": None}  # they refer to the original's weights

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over the layers."""
        return iter(self.layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `Input`."""
        return list(self.stack)  # type: ignore[arg-type]

    def add(self, layer: Layer | SymbolicTensor) -> None:
        """Append a layer, or an `Input` as the first element.

        Raises:
            ArgumentError: for anything that is not a layer, or a name that is already used.
            ShapeError: if it does not match the previous layer.
        """
        self._add(layer, {other.name for other in self.layers})

    def _add(self, layer: Layer | SymbolicTensor, names: set[str]) -> None:
        """Append a layer and add its name to the `names` of all layers."""
        if isinstance(layer, SymbolicTensor) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        layer = as_layer(layer)
        if not isinstance(layer, Layer):
            raise ArgumentError(f"layer: expected a layer or a torch module, got {short(layer)}")
        if layer.name in names:
            raise ArgumentError(f"layer: the name {layer.name!r} is already used; names must be unique")
        if isinstance(layer, InputLayer):
            if len(self.stack) or self._entry is not None:
                raise ArgumentError("layer: expected at most one Input, as the first layer")
            self._entry = layer
            self._begin(layer.batch_shape)
            return
        names.add(layer.name)
        if not len(self.stack) and self._entry is None and layer.declared_input_shape is not None:
            self._begin(layer.declared_input_shape)
        if self._shapes:
            self._shapes.append(self._build_layer(layer, self._shapes[-1]))
        self.stack.append(layer)
        self._freeze()
        self._find_readout()
        if self._shapes:
            self.built = True

    def pop(self) -> Layer:
        """Remove the last layer and return it.

        Raises:
            ArgumentError: if there is none.
        """
        if not self.layers:
            raise ArgumentError(f"pop: {self.name} has no layers")
        layer = self.layers[-1]
        del self.stack[-1]
        if self._shapes:
            self._shapes.pop()
        if not self.layers and self._entry is None:
            self._shapes, self.built, self.declared_input_shape, self._input = [], False, None, None
        self._find_readout()
        return layer

    def _begin(self, shape: Shape) -> None:
        self.declared_input_shape = tuple(shape)
        self._shapes = [self.declared_input_shape]
        self._input = ([None, *shape[1:]], str(self.dtype).removeprefix("torch."))

    def build(self, input_shape: Any = None) -> None:
        """Create the weights for a full input shape, batch first.

        Raises:
            ShapeError: if a layer does not match the previous one.
            ArgumentError: if there are no layers.
        """
        if not self.layers:
            raise ArgumentError(f"layers: {self.name} has no layers; add some first")
        if input_shape is None:
            raise ArgumentError("input_shape: expected a full shape such as (None, 4, 1), got None")
        shape: Shape = (None, *input_shape[1:])
        if self._input is None:
            self._input = (list(shape), str(self.dtype).removeprefix("torch."))
        shapes = [shape]
        for layer in self.layers:
            shapes.append(self._build_layer(layer, shapes[-1]))
        self._shapes = shapes

    def _build_layer(self, layer: Layer, shape: Shape) -> Shape:
        layer.build(shape)
        if self._device is not None:
            layer.to(self._device)
        result = layer.compute_output_shape(shape)
        if isinstance(result, list) or any(isinstance(size, tuple | list) for size in result):
            raise ShapeError(
                f"layers: expected one output per layer in a Sequential, got several from {layer.name} "
                f"({type(layer).__name__}), of shapes {result}"
            )
        return tuple(result)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for a full input shape."""
        shape = tuple(input_shape)
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the outputs; None before the shape of the inputs is known."""
        return self._shapes[-1] if self._shapes else None

    def _symbols(self) -> tuple[SymbolicTensor, SymbolicTensor]:
        if not self._shapes:
            raise NotReadyError(f"inputs: {self.name} has no input shape yet; start with an Input")
        if self._symbolic_entry is None:
            self._symbolic_entry = self._entry or InputLayer(batch_shape=self._shapes[0])
        first = last = self._symbolic_entry.symbol()
        for layer in self.layers:
            last = layer(last)
        return first, last

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic input tensor; accessing it gives the layers an `output`."""
        return [self._symbols()[0]]

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic output tensor."""
        return [self._symbols()[1]]

    @property
    def input(self) -> SymbolicTensor:
        """The symbolic input tensor, for a functional model of a part of this one."""
        return self._symbols()[0]

    @property
    def output(self) -> SymbolicTensor:
        """The symbolic output tensor."""
        return self._symbols()[1]

    def output_shapes(self) -> list[Any]:
        """Return the output shape of each layer."""
        return self._shapes[1:] if self._shapes else [None] * len(self.layers)

    def call(self, inputs: Any, training: bool | None = None, mask: Tensor | None = None) -> Any:
        """Return the outputs of the last layer."""
        if mask is not None and getattr(inputs, "_keras_mask", None) is not mask:
            inputs = inputs.view_as(inputs)  # the caller's tensor must not change
            inputs._keras_mask = mask
        if training is None or training == self.training:
            if not (self.training or torch.is_grad_enabled() or torch.compiler.is_compiling()):
                prepared = self._prepared_calls
                if prepared is None:
                    prepared = self._prepared_calls = PreparedCalls()
                found = prepared(self.stack, inputs)
                if found is not None:
                    return found
            for layer in self.stack:
                inputs = layer(inputs)
        else:
            for layer in self.stack:
                inputs = layer(inputs, training=training)
        return inputs

    def _predict_again(self, x: Any) -> Any:
        own, prepared = vars(self), self._prepared_calls
        if prepared is None or type(self) is not Sequential or type(x) is not np.ndarray:
            return None
        stack: Any = own["_modules"]["stack"]
        if own["training"] or stack.training or not own["built"] or not _PREDICTING.isdisjoint(own):
            return None
        if not x.flags.carray:
            return None
        kind = x.shape, x.dtype
        taken_for = prepared.arrays.get(kind)
        if taken_for is None:
            self._note_array(x, kind, prepared)
            return None
        if taken_for[0] is not own["declared_input_shape"]:
            return None
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)  # as in `predict_batch`
        try:
            found = prepared.of_array(stack, torch.from_numpy(x))
            # A copy: the output may share its memory with the input.
            return None if found is None else found.numpy().copy()
        finally:
            torch._C._set_grad_enabled(before)

    def _note_array(self, x: Any, kind: Any, prepared: PreparedCalls) -> None:
        """Note whether arrays of this shape and dtype are batches as they are, and for which input shape."""
        batch = self._only_batch(x, None)
        as_it_is = batch is not None and batch.shape == x.shape and batch.data_ptr() == x.ctypes.data
        if len(prepared.arrays) >= _KINDS:
            prepared.arrays.clear()
        prepared.arrays[kind] = (self.declared_input_shape if as_it_is else _NONE,)

    def _cast(self, inputs: Tensor) -> Tensor:
        return inputs  # each layer casts its inputs

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the first layer's weights."""
        # Not by iterating over the list, which takes as long as a small kernel.
        for layer in self._modules["stack"]._modules.values():  # type: ignore[union-attr]
            assert isinstance(layer, Layer)
            return layer.dtype
        return self._dtype

    def _forward(self, x: Tensor) -> Any:
        # Call the layers directly: the preparation in a call of the model is already done.
        return self.call(x) if self.built else self(x)

    def _build_from(self, x: Tensor) -> None:
        if not self.built:
            self.build(tuple(x.shape))
            self.to(self.device if self._device is None else self._device)

    def rebuild(self, shape: Any, dtype: str) -> None:
        """Create the weights for an input shape, as when the file was written."""
        if not self.built:
            self._input = (list(shape), str(dtype))
            self.build(tuple(shape))

    def reset_state(self) -> None:
        """Reset the states of stateful layers."""
        for layer in self.stack:
            layer.reset_state()  # type: ignore[operator]

    # Logits -----------------------------------------------------------------------------------------------

    def _find_readout(self) -> None:
        """Store whether the outputs are a softmax or sigmoid, so that a cross-entropy can use the logits."""
        last: Any = self.stack[-1] if len(self.stack) else None
        self._readout = find_readout(last)

    def training_outputs(self, x: Tensor, logits_of: str | None) -> Any:
        """Return the outputs of a batch, with logits attached if they are the requested activation."""
        if logits_of is None or self._readout is None or self._readout[1] != logits_of or not self.built:
            return super().training_outputs(x, logits_of)
        with giving_logits([self._readout]):
            logits = self._collected(lambda: self.call(x))
        return with_logits(self._readout, logits)

    def steps(self) -> training.Steps | None:
        """The layers one after the other, unless a subclass says what is computed."""
        if not self.built or not self._computes_as(Sequential):
            return None
        calls = [training.LayerCall(layer, (number,), number + 1) for number, layer in enumerate(self.layers)]
        return training.Steps(calls, (len(calls),), self._readout)

    # Configuration ----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return name and layers, as JSON-able values."""
        first = [] if self._entry is None else [self._entry]
        own = {"name": self.name} if self.trainable else {"name": self.name, "trainable": False}
        return {**own, "layers": [serialize(layer) for layer in [*first, *self.layers]]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make a model from what `get_config` returned."""
        layers = [deserialize(layer, custom_objects) for layer in config["layers"]]
        model = cls(layers, name=config.get("name"))
        if not config.get("trainable", True):
            model.trainable = False
        return model
