"""The graph of a functional model as plain JSON: layers, calls, inputs and outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

from nabi._tree import leaves
from nabi.errors import ArgumentError
from nabi.layers import InputLayer, Layer, deserialize, serialize
from nabi.models._graph import Graph, Slot

__all__ = ["graph_config", "tensors_from_config"]


def graph_config(graph: Graph, inputs: Any, outputs: Any) -> dict[str, Any]:
    """Return a description from which the graph can be recreated.

    `layers` are described as by `serialize`. `calls` contain the number of a layer and its arguments; a
    tensor is `{"tensor": number}`, counted through the inputs and then the outputs of all calls.

    Raises:
        ArgumentError: if a layer was called with a value that JSON can't represent.
    """
    number_of = {id(layer): number for number, layer in enumerate(graph.layers)}
    return {
        "layers": [serialize(layer) for layer in graph.layers],
        "entries": [number_of[id(entry)] for entry in graph.entries],
        "calls": [
            {
                "layer": number_of[id(step.layer)],
                "arguments": [_encode(step.layer, one) for one in step.arguments],
                "keywords": {name: _encode(step.layer, one) for name, one in step.keywords.items()},
            }
            for step in graph.steps
        ],
        "inputs": _encode(None, inputs),
        "outputs": _encode(None, outputs),
    }


def tensors_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> tuple[Any, Any]:
    """Create and call the layers of a config; return the symbolic inputs and outputs.

    Raises:
        ArgumentError: for a layer that can't be created, or calls that do not match.
    """
    layers: list[Any] = [deserialize(layer, custom_objects) for layer in config["layers"]]
    entries = [_numbered("entries", layers, number) for number in config["entries"]]
    if not all(isinstance(entry, InputLayer) for entry in entries):
        raise ArgumentError("entries: expected the numbers of input layers")
    tensors = [entry.symbol() for entry in entries]
    for call in config["calls"]:
        given = [_decode(one, tensors) for one in call["arguments"]]
        keywords = {str(name): _decode(one, tensors) for name, one in call["keywords"].items()}
        tensors += leaves(_numbered("layer", layers, call["layer"])(*given, **keywords))
    return _decode(config["inputs"], tensors), _decode(config["outputs"], tensors)


def _numbered(what: str, known: Sequence[Any], number: Any) -> Any:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(known):
        raise ArgumentError(f"{what}: expected one of the first {len(known)} numbers, got {number!r}")
    return known[number]


def _encode(layer: Layer | None, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Slot):
        return {"tensor": value.number}
    if isinstance(value, list):
        return [_encode(layer, one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(layer, one) for one in value]}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {"dictionary": {name: _encode(layer, one) for name, one in value.items()}}
    raise ArgumentError(
        f"{layer.name if layer else 'inputs'}: expected arguments that a file can hold (numbers, text and "
        f"lists of them), got {value!r}"
    )


def _decode(value: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(value, list):
        return [_decode(one, tensors) for one in value]
    if not isinstance(value, Mapping):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return _numbered("tensor", tensors, held)
    if kind == "tuple":
        return tuple(_decode(one, tensors) for one in held)
    return {str(name): _decode(one, tensors) for name, one in held.items()}
