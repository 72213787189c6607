"""The layer calls between inputs and outputs, traced once into a flat list of steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nabi._tree import leaves, mapped
from nabi.errors import ArgumentError
from nabi.layers import Call, InputLayer, Layer, SymbolicTensor, Weighted
from nabi.training import LayerCall

__all__ = ["Graph", "Slot", "trace"]


@dataclass(frozen=True)
class Slot:
    """The index of a tensor among all tensors of a graph."""

    number: int


class Step(NamedTuple):
    """One call of a layer: the sources of its arguments and the destinations of its outputs."""

    layer: Layer
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    # The only tensor, or list of tensors, if the call has no other arguments.
    source: int | None
    sources: tuple[int, ...] | None
    targets: tuple[int, ...]
    single: bool
    # The modules that hold penalties of an earlier call of the same layer.
    called_before: tuple[Weighted, ...]
    # Tensors that are not needed afterwards.
    done: tuple[int, ...]


class Graph:
    """Layers, and the steps that lead from the inputs to the outputs.

    The inputs are in slots 0, 1, ...; `outputs` are the slots of the outputs. `layers` are in Keras' order:
    those farthest from the outputs first.
    """

    def __init__(
        self,
        layers: list[Layer],
        entries: list[InputLayer],
        steps: list[Step],
        outputs: list[int],
        shapes: list[Any],
    ) -> None:
        self.layers, self.entries, self.steps, self.outputs = layers, entries, steps, outputs
        # The shape of the tensor in each slot.
        self.shapes = shapes
        self.size = len(shapes)

    @property
    def calls(self) -> list[LayerCall] | None:
        """The steps, if each is a call on nothing but tensors that gives one, no layer's second one."""
        found = []
        for step in self.steps:
            sources = step.sources if step.source is None else (step.source,)
            if sources is None or not step.single or step.keywords or step.called_before:
                return None
            found.append(LayerCall(step.layer, sources, step.targets[0]))
        return found

    @property
    def chain(self) -> tuple[Layer, ...] | None:
        """The layers in order, if each is called once on the output of the previous one; otherwise None."""
        last = 0
        for step in self.steps:
            if step.source != last or not step.single or step.keywords or step.called_before:
                return None
            last = step.targets[0]
        alone = len(self.entries) == 1 and self.outputs == [last]
        return tuple(step.layer for step in self.steps) if alone and self.steps else None

    def run(self, inputs: Sequence[Any], training: bool | None = None) -> list[Any]:
        """Return the outputs for the inputs; `training` is passed on unless it is None."""
        options: dict[str, Any] = {} if training is None else {"training": training}
        values: list[Any] = [*inputs, *[None] * (self.size - len(inputs))]
        for step in self.steps:
            layer, arguments, keywords, source, sources, targets, single, called_before, done = step
            earlier = _take_losses(called_before) if called_before else ()
            if source is not None:
                result = layer(values[source], **options)
            elif sources is not None:
                result = layer([values[slot] for slot in sources], **options)
            else:
                given, named = _filled((arguments, keywords), values)
                result = layer(*given, **{**options, **named})
            for module, losses in zip(called_before, earlier, strict=True):
                module._call_losses = [*losses, *module._call_losses]
            if single:
                values[targets[0]] = result
            else:
                for target, one in zip(targets, leaves(result), strict=True):
                    values[target] = one
            for slot in done:
                values[slot] = None
        return [values[slot] for slot in self.outputs]


def _take_losses(modules: Sequence[Weighted]) -> list[list[Any]]:
    """Take the penalties of an earlier call, which the next one would clear."""
    taken = [module._call_losses for module in modules]
    for module in modules:
        module._call_losses = []
    return taken


def _filled(structure: Any, values: Sequence[Any]) -> Any:
    return mapped(lambda one: values[one.number] if isinstance(one, Slot) else one, structure)


def trace(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> Graph:
    """Return the graph between symbolic tensors.

    An input that is the output of a layer other than `Input` becomes a new input; earlier layers are left
    out.

    Raises:
        ArgumentError: if an output needs an Input that is not among the inputs, an input occurs twice, or two
            layers have the same name.
    """
    entries = [_entry(one) for one in inputs]
    slots = {id(one): number for number, one in enumerate(inputs)}
    shapes: list[Any] = [one.shape for one in inputs]
    if len(slots) < len(inputs):
        raise ArgumentError(f"inputs: expected each once, got {', '.join(one.name for one in inputs)}")
    calls, seen = _ordered(inputs, entries, outputs)
    layers = _arranged(calls, seen, inputs, entries)
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"layers: the name {name!r} is used twice; names in a model must be unique")
    entry_calls = {id(entry.symbol().call) for entry in entries}
    steps: list[Step] = []
    called: set[int] = set()
    for call in calls:
        if id(call) in entry_calls:
            continue
        made = list(leaves(call.outputs))
        for one in made:
            slots[id(one)] = len(slots)
        shapes += [one.shape for one in made]
        steps.append(_step(call, slots, id(call.layer) in called))
        called.add(id(call.layer))
    kept = [slots[id(one)] for one in outputs]
    return Graph(layers, entries, _releasing(steps, kept), kept, shapes)


def _entry(tensor: SymbolicTensor) -> InputLayer:
    layer = tensor.call.layer
    return (
        layer if isinstance(layer, InputLayer) else InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype)
    )


def _step(call: Call, slots: dict[int, int], called_before: bool) -> Step:
    def slot(one: Any) -> Any:
        return Slot(slots[id(one)]) if isinstance(one, SymbolicTensor) else one

    arguments, keywords = mapped(slot, (call.arguments, call.keywords))
    only = arguments[0] if len(arguments) == 1 and not keywords else None
    listed = isinstance(only, list) and all(isinstance(one, Slot) for one in only)
    holding = [module for module in call.layer.modules() if isinstance(module, Weighted)]
    return Step(
        call.layer,
        arguments,
        keywords,
        only.number if isinstance(only, Slot) else None,
        tuple(one.number for one in only or ()) if listed else None,
        tuple(slots[id(one)] for one in leaves(call.outputs)),
        isinstance(call.outputs, SymbolicTensor),
        tuple(holding) if called_before else (),
        (),
    )


def _releasing(steps: list[Step], kept: list[int]) -> list[Step]:
    """Return the steps, each with the tensors that are no longer needed after it."""
    needed = set(kept)
    result: list[Step] = []
    for step in reversed(steps):
        touched = {one.number for one in leaves([step.arguments, step.keywords]) if isinstance(one, Slot)}
        touched |= set(step.targets)
        result.append(step._replace(done=tuple(sorted(touched - needed))))
        needed |= touched
    return result[::-1]


def _ordered(
    inputs: Sequence[SymbolicTensor], entries: Sequence[InputLayer], outputs: Sequence[SymbolicTensor]
) -> tuple[list[Call], dict[int, int]]:
    """Return the calls, each after those it needs, and the order in which layers were first encountered."""
    entry_of = {id(one): entry.symbol().call for one, entry in zip(inputs, entries, strict=True)}
    order: list[Call] = []
    finished: set[int] = set()
    seen: dict[int, int] = {}

    def begin(tensor: SymbolicTensor, reader: str) -> tuple[Call, Iterable[SymbolicTensor]]:
        call = entry_of.get(id(tensor), tensor.call)
        if isinstance(call.layer, InputLayer) and call not in entry_of.values():
            raise ArgumentError(
                f"inputs: {reader} needs {tensor!r}, an Input that is not among the inputs of the model "
                f"({', '.join(entry.name for entry in entries)})"
            )
        seen.setdefault(id(call.layer), len(seen))
        return call, iter(call.inputs)

    # A stack instead of recursion, which would be too deep for a chain of a thousand layers.
    for output in outputs:
        waiting = [begin(output, "an output")]
        while waiting:
            call, parents = waiting[-1]
            parent = next(iter(parents), None) if id(call) not in finished else None
            if parent is not None:
                if id(entry_of.get(id(parent), parent.call)) not in finished:
                    waiting.append(begin(parent, call.layer.name))
                continue
            waiting.pop()
            if id(call) not in finished:
                finished.add(id(call))
                order.append(call)
    return order, seen


def _arranged(
    calls: Sequence[Call],
    seen: dict[int, int],
    inputs: Sequence[SymbolicTensor],
    entries: Sequence[InputLayer],
) -> list[Layer]:
    """Return the layers in Keras' order: by distance from the outputs, then as first encountered."""
    entry_of = {id(one): entry.symbol().call for one, entry in zip(inputs, entries, strict=True)}
    distance: dict[int, int] = {}
    layers: dict[int, Layer] = {}
    of_layer: dict[int, int] = {}
    for call in reversed(calls):
        own = max(distance.get(id(call), 0), of_layer.get(id(call.layer), 0))
        distance[id(call)] = of_layer[id(call.layer)] = own
        layers[id(call.layer)] = call.layer
        for one in call.inputs:
            parent = entry_of.get(id(one), one.call)
            distance[id(parent)] = max(own + 1, distance.get(id(parent), 0))
    for entry in entries:  # one that no output needs
        if id(entry) not in layers:
            layers[id(entry)], of_layer[id(entry)], seen[id(entry)] = entry, 0, -1
    return sorted(layers.values(), key=lambda layer: (-of_layer[id(layer)], seen[id(layer)]))
