"""Writing nodes: names that occur once, constants, attributes, and the operators that differ by version."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.targets.onnx._messages import Attribute, Function, Graph, Node, Tensor

__all__ = ["OLDEST_OPSET", "OPSETS", "GraphScope", "Scope", "attribute", "element_type", "tensor"]

OLDEST_OPSET = 17  # the first with LayerNormalization
OPSETS = range(OLDEST_OPSET, 23)
"""Versions of ONNX's operators that nabi writes."""

_ELEMENTS = {
    "float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11,
}  # fmt: skip

Array = npt.NDArray[Any]


def element_type(dtype: Any) -> int:
    """Return ONNX's number of a NumPy data type.

    >>> element_type("float32")
    1
    """
    return _ELEMENTS[np.dtype(dtype).name]


def tensor(name: str, values: Any) -> Tensor:
    """Return an array as ONNX's message."""
    array = np.ascontiguousarray(values)
    shape = list(np.shape(values))  # ascontiguousarray makes an axis for a single number
    return Tensor(
        dims=shape, data_type=element_type(array.dtype), name=name,
        raw_data=array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(),
    )  # fmt: skip


def attribute(name: str, value: Any) -> Attribute:
    """Return an attribute of a node; its type is that of the value."""
    if isinstance(value, Graph):
        return Attribute(name, g=value, type=5)
    if isinstance(value, Tensor):
        return Attribute(name, t=value, type=4)
    if isinstance(value, str):
        return Attribute(name, s=value.encode(), type=3)
    if isinstance(value, bool | int | np.integer):
        return Attribute(name, i=int(value), type=2)
    if isinstance(value, float):
        return Attribute(name, f=value, type=1)
    several = list(value)
    if several and isinstance(several[0], str):
        return Attribute(name, strings=[one.encode() for one in several], type=8)
    if several and isinstance(several[0], float):
        return Attribute(name, floats=several, type=6)
    return Attribute(name, ints=[int(one) for one in several], type=7)


class Scope:
    """A list of nodes that is being written: a graph, a function, or the body of a loop.

    Args:
        opset: the version of ONNX's operators.
        outer: the scope around it, whose values its nodes can read; constants go there, so that a loop does
            not make them at every step.
    """

    def __init__(self, opset: int, outer: "Scope | None" = None) -> None:
        if opset not in OPSETS:
            raise ArgumentError(
                f"opset: expected a version from {OPSETS.start} to {OPSETS.stop - 1}, got {opset}"
            )
        self.opset = opset
        self.nodes: list[Node] = []
        self._outer = outer
        self._taken: set[str] = set() if outer is None else outer._taken
        self._constants: dict[tuple[Any, ...], str] = {}

    # Names and constants ----------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """Return a name that nothing in the file's graph has yet, `wanted` if possible."""
        found, number = wanted, 1
        while found in self._taken:
            number += 1
            found = f"{wanted}_{number}"
        self._taken.add(found)
        return found

    def constant(self, values: Any, name: str = "constant") -> str:
        """Return the name of a constant; equal ones are written once."""
        if self._outer is not None:
            return self._outer.constant(values, name)
        array = np.asarray(values)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._write_constant(self.name(name), array)
        return self._constants[key]

    def _write_constant(self, name: str, array: Array) -> str:
        self.nodes.append(Node("Constant", [], [name], [attribute("value", tensor("", array))], name=name))
        return name

    def number(self, value: float) -> str:
        """Return the name of a single number, float32."""
        return self.constant(np.float32(value), "number")

    def ints(self, *values: int) -> str:
        """Return the name of a list of whole numbers, as operators take for axes and sizes."""
        return self.constant(np.array(values, np.int64), "ints")

    # Nodes ------------------------------------------------------------------------------------------------

    def add(
        self,
        operator: str,
        inputs: Iterable[str],
        name: str = "",
        *,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Write a node with one output, and return the output's name."""
        return self.several(operator, inputs, [name or operator.lower()], domain=domain, **attributes)[0]

    def several(
        self,
        operator: str,
        inputs: Iterable[str],
        names: Sequence[str],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Write a node with several outputs, and return their names; an empty name leaves one out."""
        outputs = [self.name(name) if name else "" for name in names]
        given = [attribute(key, value) for key, value in attributes.items() if value is not None]
        label = next(output for output in outputs if output)
        self.nodes.append(Node(operator, list(inputs), outputs, given, name=f"{label}", domain=domain))
        return outputs

    def add_under(self, name: str, value: str) -> None:
        """Write a node that gives a value a name that was taken for it before."""
        self.nodes.append(Node("Identity", [value], [name], name=name))

    def reduce(self, operator: str, value: str, axes: Sequence[int], keep: bool, name: str = "") -> str:
        """Write ReduceSum, ReduceMean, ReduceMax or ReduceMin over axes."""
        if operator == "ReduceSum" or self.opset >= 18:
            return self.add(operator, [value, self.ints(*axes)], name, keepdims=int(keep))
        return self.add(operator, [value], name, axes=list(axes), keepdims=int(keep))

    def split(self, value: str, sizes: Sequence[int], axis: int, names: Sequence[str]) -> list[str]:
        """Cut a value into pieces along an axis."""
        if len(sizes) == 1:
            return [value]
        return self.several("Split", [value, self.ints(*sizes)], names, axis=axis)

    def transpose(self, value: str, *axes: int, name: str = "") -> str:
        """Put the axes into another order."""
        return value if list(axes) == sorted(axes) else self.add("Transpose", [value], name, perm=axes)

    def cut(self, value: str, start: int, end: int | None, axis: int, name: str = "") -> str:
        """Return a part of a value along an axis; `end` None is its end."""
        stop = np.iinfo(np.int64).max if end is None else end
        return self.add("Slice", [value, self.ints(start), self.ints(int(stop)), self.ints(axis)], name)

    def size(self, value: str, axis: int, name: str = "size") -> str:
        """Return the size of an axis as a list of one number."""
        return self.add("Shape", [value], name, start=axis, end=axis + 1)

    def cast(self, value: str, dtype: Any, name: str = "") -> str:
        """Return a value in another data type."""
        return self.add("Cast", [value], name, to=element_type(dtype))

    def zeros(self, sizes: Sequence[str], name: str = "zeros") -> str:
        """Return zeros, float32, of a shape given by lists of one number each."""
        shape = self.add("Concat", sizes, f"{name}_shape", axis=0)
        return self.add("ConstantOfShape", [shape], name, value=tensor("", np.zeros(1, np.float32)))


class GraphScope(Scope):
    """The main graph of a file: its constants are initializers, and it holds the file's functions."""

    def __init__(self, opset: int) -> None:
        super().__init__(opset)
        self.initializers: list[Tensor] = []
        self.functions: dict[Any, Function] = {}

    def _write_constant(self, name: str, array: Array) -> str:
        self.initializers.append(tensor(name, array))
        return name

    def function_name(self, wanted: str) -> str:
        """Return a name that no function of the file has yet."""
        taken = {function.name for function in self.functions.values()}
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}{number}"
        return found
