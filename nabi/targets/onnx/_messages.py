"""ONNX's messages as data classes, read from bytes and written to them.

The numbers of the fields are those of `onnx.proto3` in the ONNX specification. Fields that nabi does not
use (training information, quantization annotations, ...) are skipped when a file is read.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields as fields_of
from typing import Any, TypeVar

from nabi.errors import FileFormatError
from nabi.files import protobuf as wire

__all__ = [
    "Attribute",
    "Dimension",
    "Function",
    "Graph",
    "Model",
    "Node",
    "OperatorSet",
    "StringEntry",
    "Tensor",
    "ValueInfo",
    "decoded",
    "encoded",
]

# Deeper nesting than any exporter writes; the reader calls itself for each level.
_DEEPEST = 64
Message = TypeVar("Message")


@dataclass(frozen=True)
class _Kind:
    """How a field is written: its number in the message and the kind of its value."""

    number: int
    kind: str  # int, float, double, text, bytes, message
    repeated: bool
    optional: bool  # a missing value (None) differs from 0 or empty text, which are not written otherwise
    message: Callable[[], type] | None = None


def _one(number: int, kind: str, default: Any, message: Callable[[], type] | None = None) -> Any:
    return field(default=default, metadata={"wire": _Kind(number, kind, False, default is None, message)})


def _many(number: int, kind: str, message: Callable[[], type] | None = None) -> Any:
    return field(default_factory=list, metadata={"wire": _Kind(number, kind, True, False, message)})


@dataclass
class StringEntry:
    """A key and its value, both text."""

    key: str = _one(1, "text", "")
    value: str = _one(2, "text", "")


@dataclass
class Tensor:
    """A constant tensor: an initial value of a graph, or the value of an attribute.

    Its numbers are in `raw_data` (little-endian), in one of the typed lists, or, with `data_location` 1, in
    another file that `external_data` names.
    """

    dims: list[int] = _many(1, "int")
    data_type: int = _one(2, "int", 0)
    float_data: list[float] = _many(4, "float")
    int32_data: list[int] = _many(5, "int")
    string_data: list[bytes] = _many(6, "bytes")
    int64_data: list[int] = _many(7, "int")
    name: str = _one(8, "text", "")
    raw_data: bytes = _one(9, "bytes", b"")
    double_data: list[float] = _many(10, "double")
    uint64_data: list[int] = _many(11, "int")
    external_data: list[StringEntry] = _many(13, "message", lambda: StringEntry)
    data_location: int = _one(14, "int", 0)


@dataclass
class Dimension:
    """The size of an axis, a name for it (such as "batch"), or neither."""

    value: int | None = _one(1, "int", None)
    parameter: str | None = _one(2, "text", None)


@dataclass
class _Shape:
    dimensions: list[Dimension] = _many(1, "message", lambda: Dimension)


@dataclass
class _TensorType:
    element: int = _one(1, "int", 0)
    shape: _Shape | None = _one(2, "message", None, lambda: _Shape)


@dataclass
class _Type:
    tensor: _TensorType | None = _one(1, "message", None, lambda: _TensorType)


@dataclass
class ValueInfo:
    """The name, element type and shape of an input, an output or a value between them."""

    name: str = _one(1, "text", "")
    type: _Type | None = _one(2, "message", None, lambda: _Type)

    @classmethod
    def of(cls, name: str, element: int, shape: Iterable[int | str | None] | None) -> "ValueInfo":
        """Describe a tensor; an axis is a size, a name or None, and a shape of None says nothing."""
        if shape is None:
            return cls(name, _Type(_TensorType(element)))
        axes = [Dimension(axis) if isinstance(axis, int) else Dimension(None, axis) for axis in shape]
        return cls(name, _Type(_TensorType(element, _Shape(axes))))

    @property
    def element(self) -> int | None:
        """The element type, as in `Tensor.data_type`; None if the value is no tensor."""
        return None if self.type is None or self.type.tensor is None else self.type.tensor.element

    @property
    def shape(self) -> list[int | str | None] | None:
        """A size, a name or None for each axis; None if the number of axes is not stated."""
        if self.type is None or self.type.tensor is None or self.type.tensor.shape is None:
            return None
        axes = self.type.tensor.shape.dimensions
        return [axis.value if axis.value is not None else axis.parameter or None for axis in axes]


@dataclass
class Attribute:
    """An attribute of a node. `type` says which of the values counts; 0 in old files, which then fill one."""

    name: str = _one(1, "text", "")
    f: float | None = _one(2, "float", None)
    i: int | None = _one(3, "int", None)
    s: bytes | None = _one(4, "bytes", None)
    t: Tensor | None = _one(5, "message", None, lambda: Tensor)
    g: "Graph | None" = _one(6, "message", None, lambda: Graph)
    floats: list[float] = _many(7, "float")
    ints: list[int] = _many(8, "int")
    strings: list[bytes] = _many(9, "bytes")
    tensors: list[Tensor] = _many(10, "message", lambda: Tensor)
    graphs: "list[Graph]" = _many(11, "message", lambda: Graph)
    type: int = _one(20, "int", 0)
    ref_attr_name: str = _one(21, "text", "")


@dataclass
class Node:
    """One operation of a graph; an input or output without a name is left out."""

    op_type: str = _one(4, "text", "")
    input: list[str] = _many(1, "text")
    output: list[str] = _many(2, "text")
    attribute: list[Attribute] = _many(5, "message", lambda: Attribute)
    name: str = _one(3, "text", "")
    domain: str = _one(7, "text", "")
    doc_string: str = _one(6, "text", "")
    overload: str = _one(8, "text", "")


@dataclass
class Graph:
    """Operations in an order in which they can be computed, with constants, inputs and outputs."""

    node: list[Node] = _many(1, "message", lambda: Node)
    name: str = _one(2, "text", "")
    initializer: list[Tensor] = _many(5, "message", lambda: Tensor)
    doc_string: str = _one(10, "text", "")
    input: list[ValueInfo] = _many(11, "message", lambda: ValueInfo)
    output: list[ValueInfo] = _many(12, "message", lambda: ValueInfo)
    value_info: list[ValueInfo] = _many(13, "message", lambda: ValueInfo)


@dataclass
class OperatorSet:
    """The version of a set of operators; the domain of ONNX's own is empty."""

    domain: str = _one(1, "text", "")
    version: int = _one(2, "int", 0)


@dataclass
class Function:
    """A function local to a model: a node of its name and domain stands for its nodes."""

    name: str = _one(1, "text", "")
    input: list[str] = _many(4, "text")
    output: list[str] = _many(5, "text")
    attribute: list[str] = _many(6, "text")
    node: list[Node] = _many(7, "message", lambda: Node)
    doc_string: str = _one(8, "text", "")
    opset_import: list[OperatorSet] = _many(9, "message", lambda: OperatorSet)
    domain: str = _one(10, "text", "")
    attribute_proto: list[Attribute] = _many(11, "message", lambda: Attribute)
    value_info: list[ValueInfo] = _many(12, "message", lambda: ValueInfo)
    overload: str = _one(13, "text", "")


@dataclass
class Model:
    """A whole file: a graph, the versions of its operators, and text about it."""

    ir_version: int = _one(1, "int", 0)
    producer_name: str = _one(2, "text", "")
    producer_version: str = _one(3, "text", "")
    domain: str = _one(4, "text", "")
    model_version: int = _one(5, "int", 0)
    doc_string: str = _one(6, "text", "")
    graph: Graph | None = _one(7, "message", None, lambda: Graph)
    opset_import: list[OperatorSet] = _many(8, "message", lambda: OperatorSet)
    metadata_props: list[StringEntry] = _many(14, "message", lambda: StringEntry)
    functions: list[Function] = _many(25, "message", lambda: Function)


_TABLES: dict[type, dict[int, tuple[str, _Kind]]] = {}


def _table(message: type) -> dict[int, tuple[str, _Kind]]:
    """Return the name and the kind of each field of a message, by its number."""
    if message not in _TABLES:
        kinds = ((place.name, place.metadata["wire"]) for place in fields_of(message))
        _TABLES[message] = {kind.number: (name, kind) for name, kind in kinds}
    return _TABLES[message]


def encoded(message: Any) -> list[bytes]:
    """Return a message as pieces of bytes, in their order; large tensors are not copied."""
    pieces: list[bytes] = []
    for number, (name, kind) in sorted(_table(type(message)).items()):
        value = getattr(message, name)
        if value is None or (kind.repeated and not value):
            continue
        if value in (0, "", b"") and not kind.optional:
            continue
        if kind.repeated and kind.kind in ("int", "float", "double"):
            pieces += wire.length_delimited(number, b"".join(_number(kind.kind, one) for one in value))
            continue
        for one in value if kind.repeated else [value]:
            pieces += _field(number, kind.kind, one)
    return pieces


def _number(kind: str, value: float) -> bytes:
    return wire.varint(int(value)) if kind == "int" else struct.pack("<f" if kind == "float" else "<d", value)


def _field(number: int, kind: str, value: Any) -> list[bytes]:
    if kind == "message":
        return wire.length_delimited(number, encoded(value))
    if kind in ("text", "bytes"):
        return wire.length_delimited(number, value.encode() if kind == "text" else value)
    code = {"int": wire.VARINT, "float": wire.FIXED32, "double": wire.FIXED64}[kind]
    return [wire.key(number, code), _number(kind, value)]


def decoded(kind: type[Message], data: bytes | memoryview, depth: int = 0) -> Message:
    """Read a message of a kind from its bytes.

    Raises:
        FileFormatError: if the bytes are no such message.
    """
    if depth > _DEEPEST:
        raise FileFormatError(f"{kind.__name__}: expected at most {_DEEPEST} messages inside one another")
    table, found = _table(kind), kind()
    for given in wire.fields(data):
        if given.number not in table:
            continue
        name, what = table[given.number]
        try:
            value = _value(what, given, depth)
        except FileFormatError as problem:
            raise FileFormatError(f"{kind.__name__}.{name}: {problem}") from problem
        if what.repeated:
            getattr(found, name).extend(value)
        else:
            setattr(found, name, value[-1] if value else getattr(found, name))
    return found


def _value(kind: _Kind, given: wire.Field, depth: int) -> list[Any]:
    if kind.kind == "int":
        if given.wire not in (wire.VARINT, wire.BYTES):
            raise FileFormatError("expected an integer")
        return wire.varints(given)
    if kind.kind in ("float", "double"):
        if given.wire == wire.VARINT:
            raise FileFormatError("expected a floating-point number")
        return wire.floats(given, double=kind.kind == "double")
    if given.wire != wire.BYTES or isinstance(given.value, int):
        raise FileFormatError(f"expected {kind.kind}, got wire type {given.wire}")
    if kind.kind == "message":
        assert kind.message is not None
        return [decoded(kind.message(), given.value, depth + 1)]
    if kind.kind == "bytes":
        return [bytes(given.value)]
    try:
        return [str(given.value, "utf-8")]
    except UnicodeDecodeError as problem:
        raise FileFormatError("expected text in UTF-8") from problem
