"""The cell of a loop in an ONNX file: its equations come from the loop's body."""

from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, functions

__all__ = ["OnnxBody"]

_BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "maximum": functions.maximum,
    "minimum": functions.minimum,
    "greater": functions.greater,
    "greater_equal": functions.greater_equal,
    "less": functions.less,
    "less_equal": functions.less_equal,
    "equal": functions.equal,
}
_UNARY = {
    **{
        name: getattr(functions, name)
        for name in ("absolute", "cos", "exp", "log", "norm", "relu", "sigmoid")
    },
    **{name: getattr(functions, name) for name in ("sin", "softmax", "softplus", "softsign", "sqrt", "tanh")},
}


def _tuples(given: Any) -> Any:
    """Return nested lists as tuples, which can be compared and hashed."""
    return tuple(map(_tuples, given)) if isinstance(given, list | tuple) else given


class OnnxBody(Cell):
    """A cell whose step is a list of instructions: what the body of an ONNX `Scan` or `Loop` computes.

    Args:
        body: the instructions, each a tuple of its kind and what it takes; a whole number is the place of an
            instruction before it. `("input",)`; `("state", name)`; `("number", 0.5)`;
            `("linear", gate, letter, place, units)`; `("vector", gate, letter, units)`, learned numbers;
            `("tanh", place)` and the other functions of one value; `("mul", place, place)` and those of two;
            `("select", place, place, place)`.
        widths: name and width of each state, in order; the first is the output.
        outputs: for each state the place of its new value.

    Raises:
        ArgumentError: an instruction is not known, or a place is not that of an earlier one.

    >>> body = [["input"], ["state", "h"], ["linear", "h", "x", 0, 2], ["add", 2, 1], ["tanh", 3]]
    >>> OnnxBody(2, body, [["h", 2]], [4]).program(3).equations
    ('h_t = tanh(W_xh x_t + h_{t-1})',)
    """

    body: Any = ()
    widths: Any = ()
    outputs: Any = ()

    states: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("body", "widths", "outputs"):
            self._keep(name, _tuples(getattr(self, name)))
        known = {"input", "state", "number", "linear", "vector", "select", *_BINARY, *_UNARY}
        for number, line in enumerate(self.body):
            places = self._places(line) if line and line[0] in known else None
            if places is None or any(type(one) is not int or not 0 <= one < number for one in places):
                raise ArgumentError(
                    f"body: expected an instruction on earlier ones at {number}, got {line!r}"
                )
        if not self.widths or len(self.outputs) != len(self.widths):
            raise ArgumentError(f"outputs: expected one for each state, got {self.outputs!r}")
        if any(type(one) is not int or not 0 <= one < len(self.body) for one in self.outputs):
            raise ArgumentError(f"outputs: expected places of instructions, got {self.outputs!r}")
        widths = tuple((str(name), _checks.whole("widths", width)) for name, width in self.widths)
        self._keep("widths", widths)
        object.__setattr__(self, "states", tuple(name for name, _ in widths))

    @staticmethod
    def _places(line: tuple[Any, ...]) -> tuple[Any, ...]:
        if line[0] in ("input", "state", "number", "vector"):
            return ()
        return line[3:4] if line[0] == "linear" else line[1:]

    def state_width(self, name: str) -> int:
        """Return the width of a state."""
        width: int = dict(self.widths)[name]
        return width

    def step(self, x: Node, *states: Node) -> Any:
        """Follow the instructions."""
        of_name = dict(zip(self.states, states, strict=True))
        _values: list[Any] = []
        for kind, *given in self.body:
            if kind == "input":
                _values.append(x)
            elif kind == "state":
                _values.append(of_name[given[0]])
            elif kind == "number":
                _values.append(float(given[0]))
            elif kind == "linear":
                _values.append(self.linear(given[0], given[1], _values[given[2]], given[3]))
            elif kind == "vector":
                _values.append(
                    self._parameter(given[0], f"b_{given[1]}" if given[1] else "b", (given[2],), "bias")
                )
            elif kind == "select":
                _values.append(functions.select(*[_values[place] for place in given]))
            else:
                _values.append({**_BINARY, **_UNARY}[kind](*[_values[place] for place in given]))
        return tuple(_values[place] for place in self.outputs)
