"""A node with its attributes, read with the defaults and kinds that the operators state."""

import re
from typing import Any

from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.targets.onnx import Attribute, Graph, Node, Tensor

__all__ = ["Call", "shown"]

_MISSING: Any = object()


def shown(node: Node) -> str:
    """Name a node for a message: its own name, else what it computes."""
    name = node.name or (f"of {node.output[0]}" if node.output else "without a name")
    return name[:80]


class Call:
    """A node that is being read: its operator, the values that it reads, and its attributes by name."""

    def __init__(self, node: Node, inputs: list[Any], opset: int) -> None:
        self.node, self.inputs, self.opset = node, inputs, opset
        self.kind = node.op_type
        self._attributes = {one.name: one for one in node.attribute}

    @property
    def name(self) -> str:
        """A name for a layer: that of the node, with letters, digits and underscores only."""
        return re.sub(r"[^0-9A-Za-z]+", "_", self.node.name).strip("_")[-60:].strip("_")

    def input(self, number: int, what: str = "") -> Any:
        """Return an input; `Refusal` if it is left out."""
        found = self.optional(number)
        if found is None:
            raise Refusal(f"input {number}{f' ({what})' if what else ''} is missing", damaged=True)
        return found

    def optional(self, number: int) -> Any:
        """Return an input, None if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def has(self, name: str) -> bool:
        """Tell whether the node states an attribute."""
        return name in self._attributes

    def _value(self, name: str, field: str, default: Any) -> Any:
        given = self._attributes.get(name)
        if given is None:
            if default is _MISSING:
                raise Refusal(f"attribute {name} is missing", damaged=True)
            return default
        if given.ref_attr_name:
            raise Refusal(
                f"attribute {name} is that of a function around it, which is not given", damaged=True
            )
        found = getattr(given, field)
        if found is None:
            raise Refusal(f"attribute {name} has another type than ONNX states", damaged=True)
        return found

    def int(self, name: str, default: Any = _MISSING) -> Any:
        """Return a whole number."""
        return self._value(name, "i", default)

    def float(self, name: str, default: Any = _MISSING) -> Any:
        """Return a number."""
        return self._value(name, "f", default)

    def text(self, name: str, default: Any = _MISSING) -> Any:
        """Return a text."""
        found = self._value(name, "s", default)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def texts(self, name: str) -> list[str]:
        """Return texts; none by default."""
        return [one.decode("utf-8", "replace") for one in self._value(name, "strings", [])]

    def ints(self, name: str, default: Any = _MISSING) -> Any:
        """Return whole numbers."""
        found = self._value(name, "ints", default)
        return list(found) if isinstance(found, list) else found

    def floats(self, name: str) -> list[Any]:
        """Return numbers; none by default."""
        return list(self._value(name, "floats", []))

    def tensor(self, name: str, default: Any = _MISSING) -> Tensor:
        """Return a tensor."""
        found: Tensor = self._value(name, "t", default)
        return found

    def graph(self, name: str) -> Graph:
        """Return a graph."""
        found: Graph = self._value(name, "g", _MISSING)
        return found

    def attributes(self) -> dict[str, Attribute]:
        """Return all attributes by their names."""
        return dict(self._attributes)
