"""Models from Keras' description: layers inside of layers, Sequential, and graphs of calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nabi import layers
from nabi._shown import short
from nabi.interchange._keras._configs import arguments_of, class_of, plain_layer, plain_name
from nabi.interchange._keras._origin import Origin
from nabi.layers import InputLayer, Layer, SymbolicTensor
from nabi.models import Functional, Model, Sequential

__all__ = ["Made", "make_model"]

_MODELS = {"Sequential": "Sequential", "Functional": "Functional", "Model": "Functional"}
# Layers, calls, initializers and so on: more would take unreasonably long to create.
_MOST_PARTS = 10_000
# Operations of Keras 3 that stand for `x + y` and the like, by the layers that do the same.
_OPERATIONS = {
    "Add": "Add", "Maximum": "Maximum", "Minimum": "Minimum", "Multiply": "Multiply", "Subtract": "Subtract",
}  # fmt: skip
# What layers of Keras 3 compute masks with.
_MASKING = {"Any", "Cast", "ExpandDims", "Flip", "LogicalAnd", "LogicalOr", "NotEqual", "Reshape", "Squeeze"}


@dataclass
class Made:
    """What was made of a description: the layers of each model, in the order in which Keras counts them."""

    origin: Origin
    layers_of: dict[int, list[Layer]] = field(default_factory=dict)


def make_model(described: Any, origin: Origin) -> tuple[Model, Made]:
    """Return the model that Keras described.

    Raises:
        FileFormatError: for a description that is no model, or contains what nabi lacks; it names the layer.
    """
    _check_count(described, origin)
    made = Made(origin)
    name = _name_of(described)
    with origin.naming(name):
        kind = plain_name({**described, "config": {}} if _is_list_of_layers(described) else described)[0]
        if kind not in _MODELS and kind not in origin.custom_objects:
            raise ValueError(f"expected a Sequential or functional model, got {short(kind)}")
    model = _layer(described, made)
    if not isinstance(model, Model):
        raise origin.refusal(f"expected a model, got {type(model).__name__}")
    return model, made


def _is_list_of_layers(described: Any) -> bool:
    return isinstance(described, Mapping) and isinstance(described.get("config"), list)


def _check_count(described: Any, origin: Origin) -> None:
    count, level = 0, [described]
    while level:
        parts = [one for one in level if isinstance(one, dict | list)]
        count += sum("class_name" in one or "args" in one for one in parts if isinstance(one, dict))
        level = [value for one in parts for value in (one.values() if isinstance(one, dict) else one)]
    if count > _MOST_PARTS * 4:
        raise origin.refusal(f"expected {_MOST_PARTS * 4:,} layers and calls at most, got {count:,}")


def _name_of(described: Any) -> str:
    """Return the name of a layer for messages, as far as it has one."""
    if isinstance(described, Mapping):
        config = described.get("config")
        for one in (config.get("name") if isinstance(config, Mapping) else None, described.get("class_name")):
            if isinstance(one, str):
                return one
    return "?"


def _layer(described: Any, made: Made) -> Any:
    """Return the layer of a description, whatever it contains."""
    origin = made.origin
    name = _name_of(described)
    with origin.naming(name):
        if _is_list_of_layers(described):  # Sequential of Keras 1 and early Keras 2
            described = {**described, "config": {"layers": described["config"]}}
        kind, config = plain_name(described)
        if kind in origin.custom_objects or described.get("registered_name") in origin.custom_objects:
            return plain_layer(described, origin)
        if kind == "Sequential":
            return _sequential(config, made)
        if kind in _MODELS:
            return _functional(config, made)
        if kind in ("Bidirectional", "TimeDistributed"):
            return _wrapper(described, kind, config, made)
        if kind in ("RNN", "StackedRNNCells"):
            return _cells(described, kind, config, made)
        if kind in ("Add", "Subtract", "Multiply") and _is_operation(described):
            raise ValueError(_unknown_operation(kind))
        return plain_layer(described, origin)


def _wrapper(described: Mapping[str, Any], kind: str, config: dict[str, Any], made: Made) -> Any:
    inner = _layer(config.pop("layer", None), made)
    other = config.pop("backward_layer", None)
    made_class = class_of(kind, described, made.origin)
    arguments = arguments_of(made_class, kind, config, made.origin)
    if other is not None:
        arguments["backward_layer"] = _layer(other, made)
    layer = made_class(inner, **arguments)
    if kind == "Bidirectional" and made.origin.version < (2, 4) and not made.origin.in_tensorflow:
        # Before it was TensorFlow's, Keras repeated the last output at masked steps here as well.
        for one in (layer.forward_layer, layer.backward_layer):
            one.zero_output_for_mask = False
    return layer


def _cells(described: Mapping[str, Any], kind: str, config: dict[str, Any], made: Made) -> Any:
    made_class = class_of(kind, described, made.origin)
    if kind == "RNN":
        cell = _layer(config.pop("cell", None), made)
        return made_class(cell, **arguments_of(made_class, kind, config, made.origin))
    cells = config.pop("cells", None)
    if not isinstance(cells, list):
        raise ValueError(f"cells: expected a list of cells, got {short(cells)}")
    inside = [_layer(one, made) for one in cells]
    return made_class(inside, **arguments_of(made_class, kind, config, made.origin))


# Sequential -----------------------------------------------------------------------------------------------


def _sequential(config: dict[str, Any], made: Made) -> Sequential:
    described = config.get("layers")
    if not isinstance(described, list):
        raise ValueError(f"layers: expected a list, got {short(described)}")
    inside = [_layer(one, made) for one in described]
    model = Sequential(inside, **_model_arguments(config))
    shape = config.get("build_input_shape")
    if not model.built and isinstance(shape, list) and inside:
        model.build(tuple(shape))
    made.layers_of[id(model)] = [one for one in inside if not isinstance(one, InputLayer)]
    return model


def _model_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    name = config.get("name")
    if name is not None and not isinstance(name, str):
        raise ValueError(f"name: expected text, got {short(name)}")
    return {"name": name, "trainable": config.get("trainable", True) is not False}


# Functional models ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reference:
    """A tensor of a graph: an output of the n-th call of a layer."""

    layer: str
    call: int
    output: int


@dataclass
class _Node:
    """A layer or operation of a graph, and what each of its calls takes."""

    described: Mapping[str, Any]
    calls: list[tuple[list[Any], dict[str, Any]]]
    is_operation: bool
    layer: Any = None
    # Calls of a model are counted from 1 in some files: its own inputs were the first call.
    first_call: int = 0


def _functional(config: dict[str, Any], made: Made) -> Functional:
    described = config.get("layers")
    if not isinstance(described, list):
        raise ValueError(f"layers: expected a list, got {short(described)}")
    nodes: dict[str, _Node] = {}
    for one in described:
        if not isinstance(one, Mapping):
            raise ValueError(f"layers: expected layers, got {short(one)}")
        name = one.get("name", _name_of(one))
        if not isinstance(name, str) or name in nodes:
            raise ValueError(f"layers: expected a name that no other layer has, got {short(name)}")
        with made.origin.naming(name):
            nodes[name] = _Node(one, _calls(one.get("inbound_nodes")), _is_operation(one))
    inputs, outputs = _ends(config.get("input_layers")), _ends(config.get("output_layers"))
    for reference in _references([[node.calls for node in nodes.values()], inputs, outputs]):
        node = nodes.get(reference.layer)
        if node is not None and node.calls and reference.call >= len(node.calls) and _holds_model(node):
            node.first_call = 1
    graph = _Graph(nodes, made)
    given, asked = graph.tensors(inputs), graph.tensors(outputs)
    model = Functional(given, asked, **_model_arguments(config))
    in_file = [
        node.layer for node in nodes.values() if isinstance(node.layer, Layer) and not node.is_operation
    ]
    known = {id(one) for one in model.layers}
    made.layers_of[id(model)] = [one for one in in_file if id(one) in known]
    return model


def _holds_model(node: _Node) -> bool:
    return node.described.get("class_name") in _MODELS


def _is_operation(described: Mapping[str, Any]) -> bool:
    """Tell whether a node of a graph is an operation; Keras 3 writes no modules into `.h5`."""
    config = described.get("config")
    if "module" in described or not isinstance(config, Mapping):
        return str(described.get("module", "")).startswith("keras.src.ops")
    calls = described.get("inbound_nodes")
    of_third = isinstance(calls, list) and bool(calls) and isinstance(calls[0], Mapping)
    return of_third and not {"trainable", "dtype", "layers"} & config.keys()


def _unknown_operation(kind: Any) -> str:
    return (
        f"the operation {short(kind)} is not one that nabi has as a layer; put it into a layer class of your "
        "own in Keras, save the model again, and pass a class of the same name in custom_objects"
    )


def _calls(found: Any) -> list[tuple[list[Any], dict[str, Any]]]:
    """Return the arguments of each call, with references to tensors."""
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError(f"inbound_nodes: expected a list, got {short(found)}")
    return [_call(one) for one in found]


def _call(node: Any) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(node, Mapping):  # Keras 3
        arguments, keywords = node.get("args", []), node.get("kwargs", {})
        if not isinstance(arguments, list) or not isinstance(keywords, Mapping):
            raise ValueError(f"inbound_nodes: expected args and kwargs, got {short(dict(node))}")
        return [_tensor_in(one) for one in arguments], {str(k): _tensor_in(v) for k, v in keywords.items()}
    if not isinstance(node, list) or not node:
        raise ValueError(f"inbound_nodes: expected the inputs of a call, got {short(node)}")
    if isinstance(node[0], str):  # a single tensor, not in a list
        node = [node]
    tensors = [_old_reference(one) for one in node]
    keywords = {}
    for one in node:
        if len(one) > 3 and isinstance(one[3], Mapping):
            keywords |= {str(name): _old_argument(value) for name, value in one[3].items()}
    return [tensors if len(tensors) > 1 else tensors[0]], keywords


def _tensor_in(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            history = plain_name(value)[1].get("keras_history")
            return _old_reference(history)
        if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
            return tuple(_tensor_in(one) for one in value["items"])
        return {name: _tensor_in(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_tensor_in(one) for one in value]
    return value


def _old_reference(value: Any) -> _Reference:
    plain = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
    if not plain or any(type(one) is not int or not 0 <= one < 2**31 for one in value[1:3]):
        raise ValueError(f"inbound_nodes: expected [layer, call, output], got {short(value)}")
    return _Reference(*value[:3])


def _old_argument(value: Any) -> Any:
    """Return a keyword argument of Keras 2, in which tensors look like lists."""
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and type(value[1]) is int:
            return _old_reference(value)
        return [_old_argument(one) for one in value]
    return value


def _ends(value: Any) -> Any:
    """Return the inputs or outputs of a model as references, in their structure."""
    if isinstance(value, Mapping):
        return {str(name): _ends(one) for name, one in value.items()}
    if isinstance(value, list) and value:
        if isinstance(value[0], str):
            return _old_reference(value)
        return [_ends(one) for one in value]
    raise ValueError(f"input_layers, output_layers: expected tensors, got {short(value)}")


def _references(value: Any) -> list[_Reference]:
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _Reference):
            found.append(one)
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
    return found


class _Graph:
    """Makes tensors when they are asked for, so that what leads nowhere is left out."""

    def __init__(self, nodes: Mapping[str, _Node], made: Made) -> None:
        self._nodes, self._made = nodes, made
        self._outputs: dict[tuple[str, int], list[SymbolicTensor]] = {}

    def tensors(self, structure: Any) -> Any:
        """Return a structure with tensors in place of the references."""
        waiting = _references(structure)[::-1]
        open_calls: set[tuple[str, int]] = set()
        # A stack instead of recursion, which would be too deep for a chain of a thousand layers.
        while waiting:
            place = self._place(waiting[-1])
            if place in self._outputs:
                waiting.pop()
                continue
            needed = [one for one in self._needs(place) if self._place(one) not in self._outputs]
            if needed and place in open_calls:
                raise ValueError(f"inbound_nodes: {short(place[0])} needs its own output")
            open_calls.add(place)
            if needed:
                waiting += needed
                continue
            waiting.pop()
            with self._made.origin.naming(place[0]):
                self._outputs[place] = self._run(place)
        return self._filled(structure)

    def _place(self, reference: _Reference) -> tuple[str, int]:
        node = self._nodes.get(reference.layer)
        if node is None:
            raise ValueError(f"inbound_nodes: there is no layer {short(reference.layer)}")
        number = reference.call - node.first_call
        if not 0 <= number < max(len(node.calls), 1):
            raise ValueError(f"inbound_nodes: {short(reference.layer)} has no call {reference.call}")
        return (reference.layer, number)

    def _arguments(self, place: tuple[str, int]) -> tuple[list[Any], dict[str, Any]]:
        node = self._nodes[place[0]]
        if not node.calls:
            return [], {}
        arguments, keywords = node.calls[place[1]]
        mask = keywords.get("mask")
        if mask is not None and self._is_own_mask(mask):
            # Layers of nabi pass masks on with the tensors.
            keywords = {name: one for name, one in keywords.items() if name != "mask"}
        return arguments, keywords

    def _is_own_mask(self, mask: Any) -> bool:
        """Tell whether a mask is computed by operations, from what Embedding and Masking layers read."""
        waiting, seen = _references(mask), set()
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            node = self._nodes[self._place(one)[0]]
            if not node.is_operation:
                if not self._masks(one):
                    return False
            elif node.described.get("class_name") in _MASKING:
                waiting += _references(node.calls)
            else:
                return False
        return bool(seen) and all(self._nodes[one.layer].is_operation for one in _references(mask))

    def _masks(self, tensor: _Reference) -> bool:
        """Tell whether a layer that makes masks reads a tensor."""
        for node in self._nodes.values():
            kind, config = node.described.get("class_name"), node.described.get("config")
            makes = kind == "Masking" or (isinstance(config, Mapping) and config.get("mask_zero") is True)
            if not node.is_operation and makes and tensor in _references(node.calls):
                return True
        return False

    def _needs(self, place: tuple[str, int]) -> list[_Reference]:
        return _references(list(self._arguments(place)))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, _Reference):
            found = self._outputs[self._place(value)]
            if value.output >= len(found):
                raise ValueError(f"inbound_nodes: {short(value.layer)} has no output {value.output}")
            return found[value.output]
        if isinstance(value, Mapping):
            return {name: self._filled(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._filled(one) for one in value)
        return value

    def _run(self, place: tuple[str, int]) -> list[SymbolicTensor]:
        node = self._nodes[place[0]]
        arguments, keywords = self._arguments(place)
        if node.layer is None:
            node.layer = (
                self._operation(node, place[0]) if node.is_operation else _layer(node.described, self._made)
            )
        if isinstance(node.layer, InputLayer):
            return [node.layer.symbol()]
        if not arguments and not keywords:
            raise ValueError("inbound_nodes: expected at least one call")
        given = [self._filled(one) for one in arguments]
        if node.is_operation:
            if keywords or not all(isinstance(one, SymbolicTensor) for one in given):
                raise ValueError(_unknown_operation(node.described.get("class_name")))
            result = node.layer(given)
        else:
            result = node.layer(*given, **{name: self._filled(one) for name, one in keywords.items()})
        return list(_leaves(result))

    def _operation(self, node: _Node, name: str) -> Any:
        kind = node.described.get("class_name")
        if not isinstance(kind, str) or kind not in _OPERATIONS:
            raise ValueError(_unknown_operation(kind))
        return getattr(layers, _OPERATIONS[kind])(name=name)


def _leaves(result: Any) -> Sequence[SymbolicTensor]:
    if isinstance(result, SymbolicTensor):
        return [result]
    if isinstance(result, Mapping):
        return [leaf for one in result.values() for leaf in _leaves(one)]
    return [leaf for one in result for leaf in _leaves(one)]
