"""The equations of a step as Python expressions on tensors, written as one would write them by hand.

Values with axes are tensors with these axes, behind the one for the batch. What is computed from weights
alone has no axis for the batch.
"""

from collections.abc import Callable, Iterable, Sequence

from nabi.errors import ArgumentError
from nabi.ir import Node, operation, sum_terms

__all__ = ["ATOM", "Expressions", "is_joined", "number", "viewed"]

# How strongly operators bind in Python; what binds less than its place asks for gets brackets.
_COMPARISON, _SUM, _PRODUCT, _UNARY, _POWER, ATOM = range(6)
_INFIX = {"add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT)}
_COMPARISONS = {
    "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
# Functions whose template in the table is written for flat rows, or is more than is needed here.
_CALLS = {
    "softplus": "F.softplus({0})",
    "softsign": "F.softsign({0})",
    "elu": "F.elu({0})",
    "selu": "F.selu({0})",
    "gelu": "F.gelu({0})",
    "silu": "F.silu({0})",
    "leaky_relu": "F.leaky_relu({0}, 0.2)",
}
_FLAT = frozenset(
    {"sum", "mean", "max", "largest", "norm", "softmax", "cumulative_sum", "reverse_cumulative_sum", "shift",
     "repeat", "fold"}
)  # fmt: skip
"""Operations along all units of a row."""


def number(value: float) -> str:
    """Return a number as Python source: a whole one as such, an infinite one by its name."""
    if value != value or value in (float("inf"), float("-inf")):
        return f"math.{value}" if value > 0 or value != value else "-math.inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else repr(value)


def viewed(text: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return the source of a value with other axes; `text` binds as an atom."""
    given, wanted = given or (1,), wanted or (1,)
    if given == wanted:
        return text
    more = len(wanted) - len(given)
    if more > 0 and wanted == (*given, *(1,) * more):
        return f"{text}[..., {', '.join(['None'] * more)}]"
    for axis in range(len(wanted)):
        if wanted == (*given[:axis], 1, *given[axis:]):
            return f"{text}.unsqueeze({axis - len(wanted)})"
    for axis in range(len(given)):
        if given == (*wanted[:axis], 1, *wanted[axis:]):
            return f"{text}.squeeze({axis - len(given)})"
    flat = text if len(given) == 1 else f"{text}.flatten({-len(given)})"
    return flat if len(wanted) == 1 else f"{flat}.unflatten(-1, {wanted})"


class Expressions:
    """Writes the values of a step.

    Args:
        names: the names of values that have one, by node index; leaves first, then what has a line.
        function: returns the name of a function for an operation that a user has added.
        like: a tensor of the dtype and on the device of all values.
    """

    def __init__(self, names: dict[int, str], function: Callable[[str], str], like: str) -> None:
        self._names, self._function, self._like = names, function, like

    def line(self, node: Node) -> str:
        """Return the right side of the line of a value."""
        return self._write(node)[0]

    def of(self, node: Node, least: int = 0) -> str:
        """Return the source of a value, in brackets where it binds less than `least`."""
        if node.index in self._names:
            return self._names[node.index]
        text, binding = self._write(node)
        return f"({text})" if binding < least else text

    def _write(self, node: Node) -> tuple[str, int]:
        arguments = node.arguments
        if node.operation == "constant":
            return number(node.value), _UNARY if node.value < 0 else ATOM
        if node.operation == "linear":
            matrix, operand = arguments
            return f"{self.of(operand, ATOM)} @ {self.of(matrix, ATOM)}.T", _PRODUCT
        if node.operation == "view":
            return viewed(self.of(arguments[0], ATOM), arguments[0].axes, node.axes), ATOM
        if node.operation in ("expand", "spread"):
            return self._repeated(node), ATOM
        if node.operation in _ON_AXES:
            return self._on_axis(node), ATOM
        if node.operation == "with_derivative":
            value, of = self.of(arguments[0], _SUM), self.of(arguments[1], ATOM)
            return f"{value} + ({of} - {of}.detach()) * {self.of(arguments[2], ATOM)}.detach()", _SUM
        if node.operation in _FLAT:
            return self._along_units(node), ATOM
        return self._of_units(node)

    # Element by element.

    def _of_units(self, node: Node) -> tuple[str, int]:
        name, arguments = node.operation, node.arguments
        if name in _INFIX:
            sign, binding = _INFIX[name]
            if name == "add":
                return self._sum(node)
            left, right = self._operands(node)
            # On the right of *, the same sign needs no brackets.
            other = arguments[1]
            tight = binding + (not (name == other.operation == "mul" and other.index not in self._names))
            return f"{left(binding)} {sign} {right(tight)}", binding
        if name == "neg":
            return f"-{self.of(arguments[0], _UNARY)}", _UNARY
        if name == "power":
            left, right = self._operands(node)
            return f"{left(ATOM)} ** {right(_POWER)}", _POWER
        if name in _COMPARISONS:
            like = self.of(next(one for one in arguments if one.operation != "constant"), ATOM)
            return f"({self._comparison(node)}).to({like}.dtype)", ATOM
        if name == "select":
            return self._select(node), ATOM
        texts = [part(0) for part in self._operands(node)]
        if name in ("maximum", "minimum") and any(one.operation == "constant" for one in arguments):
            at = 0 if arguments[0].operation == "constant" else 1
            bound = {"maximum": "min", "minimum": "max"}[name]
            return f"{self.of(arguments[1 - at], ATOM)}.clamp({bound}={texts[at]})", ATOM
        row = operation(name)
        if row.definition:
            return f"{self._function(name)}({', '.join(texts)})", ATOM
        if name in ("stop_gradient", "hard_sigmoid"):
            texts = [self.of(one, ATOM) for one in arguments]
        template = _CALLS.get(name, row.torch)
        if "{like}" in template or "{width}" in template:
            raise ArgumentError(f"--as torch: the operation {name} cannot be written in plain PyTorch")
        return template.format(*texts), ATOM

    def _sum(self, node: Node) -> tuple[str, int]:
        """Write a sum, with products first and biases last, as in the equations; or values side by side."""
        terms = sum_terms(node, self._names)
        if is_joined(terms, self._names) and sum(one.arguments[0].axes[-1] for one in terms) == node.axes[-1]:
            return self._side_by_side([one.arguments[0] for one in terms]), ATOM
        terms.sort(key=lambda term: term.operation == "parameter")
        return " + ".join(part(_SUM) for part in self._operands(node, terms)), _SUM

    def _side_by_side(self, parts: Sequence[Node]) -> str:
        fixed = [one.arguments[0] for one in parts if one.operation == "spread" and one.axes == (1,)]
        if len(fixed) == len(parts) and all(one.operation == "constant" for one in fixed):
            return f"{self._like}.new_tensor([{', '.join(number(one.value) for one in fixed)}])"
        return f"torch.cat([{', '.join(self.of(one) for one in parts)}], -1)"

    def _operands(self, node: Node, arguments: Sequence[Node] = ()) -> list[Callable[[int], str]]:
        """Return the arguments of an elementwise operation, which broadcast to the axes of its result."""
        arguments = arguments or node.arguments
        inner = [self._broadcast(one) for one in arguments]
        rank = len(node.axes)
        whole = [found.axes for found in inner if len(found.axes) == rank]
        if rank > 1 and tuple(max(sizes) for sizes in zip(*whole, strict=True)) != node.axes:
            inner = list(arguments)
        return [self._aligned(one, node) for one in inner]

    def _broadcast(self, node: Node) -> Node:
        """Return what torch repeats by itself."""
        return node.arguments[0] if node.operation == "expand" and node.index not in self._names else node

    def _aligned(self, node: Node, result: Node) -> Callable[[int], str]:
        """Return the source of an argument with as many axes as the result has."""
        missing = len(result.axes) - max(len(node.axes), 1)
        if missing <= 0 or not node.has_rows or node.operation == "constant":
            return lambda least: self.of(node, least)
        shape = (*(1,) * missing, *(node.axes or (1,)))
        return lambda least: viewed(self.of(node, ATOM), node.axes, shape)

    def _comparison(self, node: Node) -> str:
        left, right = (part(_COMPARISON + 1) for part in self._operands(node))
        return f"{left} {_COMPARISONS[node.operation]} {right}"

    def _select(self, node: Node) -> str:
        condition, first, second = node.arguments
        texts = [part(0) for part in self._operands(node)]
        test = f"{self.of(condition, ATOM)} != 0"
        if condition.operation in _COMPARISONS and condition.index not in self._names:
            test = self._comparison(condition)
        if first.operation == "constant" and second.operation == "constant":
            # For two numbers, torch would use the default dtype.
            texts[1] = f"{self._like}.new_tensor({texts[1]})"
        return f"torch.where({test}, {texts[1]}, {texts[2]})"

    # Along units and axes.

    def _along_units(self, node: Node) -> str:
        value = node.arguments[0]
        several = len(value.axes) > 1
        inside = node.operation in ("norm", "softmax") and not several  # of the brackets of a call
        text = self.of(value) if inside else viewed(self.of(value, ATOM), value.axes, (value.width or 1,))
        others = [self.of(one) for one in node.arguments[1:]]
        if node.operation in ("cumulative_sum", "reverse_cumulative_sum", "fold"):
            text = self._by_chunks(node, text, int(node.arguments[1].value))
        elif node.operation == "norm":
            text = f"F.layer_norm({text}, ({value.width},))"
        elif node.operation == "max":
            text = f"{text}.detach().amax(-1, keepdim=True)"
        elif node.operation in ("sum", "mean", "largest"):
            text = f"{text}.{'amax' if node.operation == 'largest' else node.operation}(-1, keepdim=True)"
        elif node.operation == "shift":
            by = int(node.arguments[1].value)
            text = f"F.pad({text}, ({by}, {-by}))"
        elif node.operation == "repeat":
            text = f"{text}.repeat_interleave({others[0]}, -1)"
        else:
            template = _CALLS.get(node.operation, operation(node.operation).torch)
            text = template.format(text, *others)
        return viewed(text, (node.width or 1,), node.axes) if several and node.axes else text

    def _by_chunks(self, node: Node, text: str, size: int) -> str:
        """Write a sum over chunks of so many units, or within them."""
        chunks = f"{text}.unflatten(-1, (-1, {size}))"
        if node.operation == "fold":
            return f"{chunks}.sum(-1)"
        chunks, axis, flat = (text, -1, "") if size == 1 else (chunks, -2, ".flatten(-2)")
        if node.operation == "cumulative_sum":
            return f"{chunks}.cumsum({axis}){flat}"
        return f"{chunks}.flip({axis}).cumsum({axis}).flip({axis}){flat}"

    def _on_axis(self, node: Node) -> str:
        value = node.arguments[0]
        text, axes = self.of(value, ATOM), value.axes
        if node.operation == "part":
            return f"{text}[..., {node.details[0]}:{node.details[1]}]"
        if node.operation == "pad":
            return f"F.pad({text}, {node.details})"
        axis = node.details[0] - len(axes)
        keep = ", keepdim=True" if not node.axes else ""
        if node.operation == "axis_sum":
            return f"{text}.sum({axis}{keep})"
        if node.operation == "axis_max":
            return f"{text}.amax({axis}{keep})"
        if node.operation == "axis_shift":
            return f"{text}.detach().amax({axis}{keep})"
        if node.operation == "axis_softmax":
            return f"torch.softmax({text}, {axis})"
        if axis == -1:
            return f"F.layer_norm({text}, {axes[-1:]})"
        return f"F.layer_norm({text}.movedim({axis}, -1), ({axes[axis]},)).movedim(-1, {axis})"

    def _repeated(self, node: Node) -> str:
        value = node.arguments[0]
        sizes = ", ".join(map(str, node.axes))
        if value.operation == "constant":
            return f"{self._like}.new_full(({sizes},), {number(value.value)})"
        given = value.axes or (1,)
        text = viewed(self.of(value, ATOM), given, (*(1,) * (len(node.axes) - len(given)), *given))
        return f"{text}.expand({'-1, ' if node.has_rows else ''}{sizes})"


_ON_AXES = frozenset({"axis_sum", "axis_max", "axis_shift", "axis_softmax", "axis_norm", "part", "pad"})


def is_joined(terms: Iterable[Node], names: dict[int, str]) -> bool:
    """Whether terms are values that are put side by side, each with zeros around it."""
    before = 0
    for term in terms:
        if term.operation != "pad" or term.index in names or term.details[0] != before:
            return False
        before += term.arguments[0].axes[-1]
    return True
