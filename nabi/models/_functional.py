"""Models built from layer calls on symbolic tensors, with any number of inputs and outputs."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from nabi import training
from nabi._public import public
from nabi._tree import leaves
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import Call, SymbolicTensor, call_symbolically, is_symbolic, to_mask, to_tensor
from nabi.models._data_adapter import adjusted
from nabi.models._graph import Graph, Slot, trace
from nabi.models._graph_config import graph_config, tensors_from_config
from nabi.models._graph_ends import ends, masked, packed, unique
from nabi.models._model import Model
from nabi.models._readouts import Readout, find_readout, giving_logits, with_logits
from nabi.training import Part

__all__ = ["Functional"]


class Functional(Model):
    """A functional model, `Model(inputs, outputs)`: the layers between symbolic tensors.

    Args:
        inputs: outputs of `Input`: one, a list, or a dictionary by names. The output of another layer is
            accepted too; the model then starts there.
        outputs: symbolic outputs of layers: one, a list, or a dictionary.
        name: name of the model (default: "functional" with a number).
        trainable: False freezes all layers.

    Raises:
        ArgumentError: for invalid inputs or outputs, an output that needs another Input, or two layers with
            the same name.

    >>> import nabi
    >>> from nabi import layers
    >>> question, text = nabi.Input((5,), name="question"), nabi.Input((20,), name="text")
    >>> words = layers.Embedding(100, 8)
    >>> both = layers.concatenate([layers.GRU(4)(words(question)), layers.GRU(4)(words(text))])
    >>> model = nabi.Model([question, text], layers.Dense(1)(both))
    >>> model.output_shape, model.count_params()
    ((None, 1), 1145)
    """

    @public
    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True
    ) -> None:
        given, taken, names = ends("inputs", inputs)
        asked, made, output_names = ends("outputs", outputs)
        graph = trace(given, asked)
        super().__init__(name=name)
        self._graph, self._input_structure, self._output_structure = graph, taken, made
        self.stack = torch.nn.ModuleList(graph.layers)
        self._input_names = names or [entry.name for entry in graph.entries]
        self._output_names = output_names or unique([one.call.layer.name for one in asked])
        self._input_shapes = [entry.batch_shape for entry in graph.entries]
        self._output_shapes = [one.shape for one in asked]
        if len(given) == 1:
            self.declared_input_shape = self._input_shapes[0]
        own = zip(given, graph.entries, strict=True)
        # If the model starts at a layer's output, its symbolic tensors are created on demand.
        begins_at_inputs = all(one.call.layer is entry for one, entry in own)
        self._symbolic = (given, asked) if begins_at_inputs else None
        self._readouts = [self._readout_of(slot) for slot in graph.outputs]
        self._chain = graph.chain
        self.built = True
        if not trainable:
            self.trainable = False

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_symbolic": None}  # they refer to the layers of the original

    # Inputs and outputs -----------------------------------------------------------------------------------

    def _symbols(self) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
        if self._symbolic is None:
            inputs = [entry.symbol() for entry in self._graph.entries]
            self._symbolic = (inputs, self._graph.run(inputs))
        return self._symbolic

    @property
    def graph(self) -> Graph:
        """The calls of layers between inputs and outputs, in an order in which they can be computed."""
        return self._graph

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic input tensors."""
        return list(self._symbols()[0])

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic output tensors."""
        return list(self._symbols()[1])

    @property
    def input(self) -> Any:
        """The inputs in their original structure."""
        return packed(self._input_structure, self.inputs)

    @property
    def output(self) -> Any:
        """The outputs in their original structure."""
        return packed(self._output_structure, self.outputs)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs: the keys of their dictionary, or the names of their layers."""
        return list(self._input_names)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: the keys of their dictionary, or the names of their layers."""
        return list(self._output_names)

    @property
    def input_shape(self) -> Any:
        """Shape of the input, a list of shapes for several; None for open axes."""
        return self._input_shapes[0] if len(self._input_shapes) == 1 else list(self._input_shapes)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, a list of shapes for several; None for open axes."""
        return self._output_shapes[0] if len(self._output_shapes) == 1 else list(self._output_shapes)

    @property
    def fixed_batch_size(self) -> int | None:
        """The number of samples that every batch must have, if an Input declares it."""
        return next((shape[0] for shape in self._input_shapes if shape[0] is not None), None)

    def adjust_input(self, x: Part) -> Part:
        """Return inputs in the shapes of the Inputs; a last axis of length 1 may be missing."""
        if not isinstance(x, tuple):
            return adjusted(x, self._input_shapes[0], "x", self.name)
        return tuple(
            None if one is None else adjusted(one, shape, f"x[{name!r}]", self.name)
            for one, shape, name in zip(x, self._input_shapes, self._input_names, strict=True)
        )

    # Calling ----------------------------------------------------------------------------------------------

    def forward(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Order and reshape the inputs, then `call`."""
        if is_symbolic(inputs):
            return call_symbolically(self, inputs, training=training, mask=mask)
        parts = [one if isinstance(one, Tensor) else to_tensor(self, one) for one in self._parts(inputs)]
        given = self.adjust_input(tuple(parts) if len(parts) > 1 else parts[0])
        if mask is not None and not isinstance(mask, Tensor):
            mask = to_mask(mask, parts, len(parts) > 1)
        return self.call(list(given) if isinstance(given, tuple) else given, training, mask)

    def _parts(self, inputs: Any) -> list[Any]:
        if len(self._input_names) == 1 and isinstance(inputs, list | tuple) and len(inputs) == 1:
            inputs = inputs[0] if isinstance(inputs[0], Tensor) else inputs
        return training.named("inputs", inputs, self._input_names)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the outputs in their original structure; a list or tuple of one is returned as that one."""
        parts = self._parts(inputs)
        if mask is not None:
            masks = mask if isinstance(mask, list | tuple) else [mask]
            parts = [masked(one, own) for one, own in zip(parts, masks, strict=True)]
        return self._given(self._graph.run(parts, None if training == self.training else training))

    def _given(self, outputs: list[Any]) -> Any:
        """Return the outputs in their structure."""
        if len(outputs) == 1 and not isinstance(self._output_structure, Mapping):
            return outputs[0]
        return packed(self._output_structure, outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for full shapes of the inputs, in the structure of the inputs."""
        shapes = self._shapes_by_name(input_shape)
        for shape, wanted, name in zip(shapes, self._input_shapes, self._input_names, strict=True):
            sizes = zip(shape, wanted, strict=False)
            if len(shape) != len(wanted) or any(None not in pair and pair[0] != pair[1] for pair in sizes):
                raise ShapeError(
                    f"inputs: {self.name} (Functional) expected the shape {wanted} for {name}, "
                    f"got {tuple(shape)}"
                )
        if [tuple(shape) for shape in shapes] == self._input_shapes:
            found = list(self._output_shapes)
        else:
            entries = zip(self._graph.entries, shapes, strict=True)
            given = [
                SymbolicTensor(tuple(shape), entry.dtype, Call(entry, (), {})) for entry, shape in entries
            ]
            found = [one.shape for one in self._graph.run(given)]
        return self._given(found)

    def _shapes_by_name(self, shapes: Any) -> list[Any]:
        several = isinstance(shapes, Mapping) or any(isinstance(one, list | tuple) for one in shapes)
        if len(self._input_names) == 1 and not isinstance(shapes, Mapping):
            return list(shapes) if several else [shapes]
        try:
            return training.named("inputs", shapes if several else [shapes], self._input_names)
        except ArgumentError as problem:
            raise ShapeError(f"{problem} (at {self.name}, Functional)") from problem

    def _cast(self, inputs: Tensor) -> Tensor:
        return inputs  # each layer casts its inputs

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the first layer's weights."""
        return self._graph.steps[0].layer.dtype if self._graph.steps else self._dtype

    def _forward(self, x: Part) -> Any:
        # Call the layers directly: the preparation in a call of the model is already done.
        return self._given(self._flat(x))

    def _flat(self, x: Part) -> list[Any]:
        return self._graph.run(x if isinstance(x, tuple) else (x,))

    def _build_from(self, x: Tensor) -> None:
        """Do nothing: the weights exist."""

    def rebuild(self, shape: Any, dtype: str) -> None:
        """Do nothing: the weights exist."""

    # Training ---------------------------------------------------------------------------------------------

    def _readout_of(self, slot: int) -> Readout | None:
        """Return the layer of an output if a cross-entropy can use its logits and nothing else reads it."""
        graph = self._graph
        makers = [step for step in graph.steps if slot in step.targets]
        read = [one for step in graph.steps for one in leaves([step.arguments, step.keywords])]
        if not makers or Slot(slot) in read or graph.outputs.count(slot) > 1:
            return None
        calls = sum(step.layer is makers[0].layer for step in graph.steps)
        return find_readout(makers[0].layer) if calls == 1 else None

    def training_outputs(self, x: Part, logits_of: Any) -> Any:
        """Return the outputs of a batch, one or a tuple, with the logits requested by the losses attached."""
        asked = logits_of if isinstance(logits_of, tuple) else (logits_of,)
        readouts = [
            own if own is not None and own[1] == wanted else None
            for own, wanted in zip(self._readouts, asked, strict=True)
        ]
        with giving_logits(readouts):
            outputs = self._collected(lambda: self._flat(x))
        outputs = [
            one if readout is None else with_logits(readout, one)
            for one, readout in zip(outputs, readouts, strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def steps(self) -> training.Steps | None:
        """The calls of the layers, each on nothing but tensors, unless a subclass says what is computed."""
        if not self._computes_as(Functional):
            return None
        calls = self._graph.calls
        readout = self._readouts[0] if len(self._readouts) == 1 else None
        return None if calls is None else training.Steps(calls, tuple(self._graph.outputs), readout)

    # Summary and configuration ----------------------------------------------------------------------------

    def output_shapes(self) -> list[Any]:
        """Return the shape of each layer's output, a list of shapes for several."""
        graph = self._graph
        found: dict[int, Any] = {id(entry): entry.batch_shape for entry in graph.entries}
        for step in graph.steps:
            shapes = [graph.shapes[slot] for slot in step.targets]
            found.setdefault(id(step.layer), shapes[0] if step.single else shapes)
        return [found[id(layer)] for layer in self.layers]

    def connections(self) -> list[str] | None:
        """Return the inputs of each layer, by name; None for a chain, where it is the layer above."""
        if self._chain is not None:
            return None
        names = {slot: entry.name for slot, entry in enumerate(self._graph.entries)}
        reads: dict[int, list[str]] = {id(layer): [] for layer in self.layers}
        for step in self._graph.steps:
            for number, slot in enumerate(step.targets):
                names[slot] = f"{step.layer.name}[{number}]" if number else step.layer.name
            given = leaves([step.arguments, step.keywords])
            reads[id(step.layer)] += [names[one.number] for one in given if isinstance(one, Slot)]
        return [", ".join(reads[id(layer)]) for layer in self.layers]

    def get_config(self) -> dict[str, Any]:
        """Return name, layers and the calls between inputs and outputs, as JSON-able values."""
        outputs = [Slot(slot) for slot in self._graph.outputs]
        graph = graph_config(self._graph, self._input_structure, packed(self._output_structure, outputs))
        own = {"name": self.name} if self.trainable else {"name": self.name, "trainable": False}
        return {**own, **graph}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make a model from what `get_config` returned."""
        inputs, outputs = tensors_from_config(config, custom_objects)
        return cls(inputs, outputs, name=config.get("name"), trainable=config.get("trainable", True))


Model._of_inputs_and_outputs = Functional
