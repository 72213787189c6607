"""The body of a `Scan` or `Loop`, node by node: what reads a step's input or a state is an expression."""

from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call, shown
from nabi.interchange._onnx._reader._folding import fold, numbers
from nabi.interchange._onnx._reader._graphs import in_order
from nabi.interchange._onnx._reader._loops._expressions import Expression, joined, part_of, product
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._tensors import array_of
from nabi.interchange._onnx._reader._values import Array, Const, Group, Size, Value, static
from nabi.layers import SymbolicTensor
from nabi.targets.onnx import Graph, Node

__all__ = ["Body", "Counter", "Going"]


class Counter:
    """A number that goes up by one at every step: what a loop counts, or the place that it reads."""

    def __init__(self, start: int) -> None:
        self.start = start


class Going:
    """What a loop computes to know whether it goes on."""


_UNARY = {
    "Abs": "absolute",
    **{name.capitalize(): name for name in ("cos", "exp", "log", "relu", "sigmoid", "sin", "sqrt", "tanh")},
    **{name.capitalize(): name for name in ("softplus", "softsign")},
}
_BINARY = {
    "Add": "add",
    "Sum": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "maximum",
    "Min": "minimum",
    "And": "mul",
    "Or": "maximum",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
}


def _number(value: float) -> Expression:
    return Expression("number", 1, numbers=float(value))


class Body:
    """A body being read. `names` holds what its names stand for; `sequences` what it reads step by step."""

    def __init__(self, builder: Builder, call: Call, graph: Graph) -> None:
        self.builder, self.call = builder, call
        self.names: dict[str, Any] = dict(builder.names)
        own = {one.name for one in graph.input}
        for tensor in graph.initializer:
            self.names[tensor.name] = Const(array_of(tensor, None))
        self.nodes = in_order(graph.node, {*self.names, *own} - {n for one in graph.node for n in one.output})
        self.makers: dict[str, tuple[Node, int]] = {}
        for node in self.nodes:
            for number, name in enumerate(node.output):
                if name:
                    self.makers[name] = node, number
                    self.names.pop(name, None)
        for name in own:
            self.names.pop(name, None)
        self.sequences: list[Value] = []
        self._widths: list[int] = []
        self._input: list[Expression] = []
        self._constants: dict[int, Expression] = {}
        self._kept: list[Const] = []  # so that no other constant gets the id of one of them
        self._numbers: dict[float, Expression] = {}

    def origin(self, name: str) -> str:
        """Return the name that a name repeats, through nodes that change nothing."""
        while name in self.makers and self.makers[name][0].op_type == "Identity":
            name = self.makers[name][0].input[0]
        return name

    def value(self, name: str) -> Any:
        """Return what a name of the body stands for, computing it if that was not done yet."""
        waiting = [name]
        while waiting:
            current = waiting[-1]
            if current in self.names:
                waiting.pop()
                continue
            if current not in self.makers:
                raise Refusal(f"its body reads {current[:80]!r}, which is nowhere", damaged=True)
            node = self.makers[current][0]
            missing = [one for one in node.input if one and one not in self.names]
            if missing:
                waiting += missing
                continue
            given = [self.names[one] if one else None for one in node.input]
            try:
                made = self._made(Call(node, given, self.call.opset))
            except Refusal as refusal:
                raise Refusal(
                    f"in its body, {node.op_type} (node {shown(node)}): {refusal.reason}", refusal.damaged
                ) from refusal
            for number, one in enumerate(node.output):
                if one:
                    self.names[one] = made[number] if number < len(made) else None
        return self.names[name]

    def expression(self, name: str) -> Expression:
        """Return what a name stands for as an expression."""
        return self._as_expression(self.value(self.origin(name)))

    def check_condition(self, name: str) -> None:
        """Refuse a loop that may end before its last step."""
        found = self.value(name)
        if isinstance(found, (Going, Counter)) or found is None:
            return
        if isinstance(found, Const) and found.array.size == 1 and found.array.all():
            return
        raise Refusal("it may end before its last step, which depends on what it computes")

    # Inputs -----------------------------------------------------------------------------------------------

    def element(self, value: Value) -> Expression:
        """Return the current step of a sequence `(time, batch, features)`; it is part of the input."""
        batch = (self.builder.batch,)
        if len(value.axes) == 2:
            if batch in value.axes:
                self.builder.no_batch()  # the file computes one sample
            value = value.seen([value.axes[0], (), value.axes[1]])
        if len(value.axes) != 3:
            raise Refusal(f"it reads sequences of {len(value.axes)} axes, not (time, batch, features)")
        if value.axes[1] not in (batch, ()):
            if len(value.axes[1]) == 1:
                self.builder.learn_batch(value.axes[1][0])
            raise Refusal("its sequences are put together from several axes")
        width = static(value.axes[2])
        if width is None or value.kind == "int":
            raise Refusal("it reads sequences whose features are open, or whole numbers")
        for number, one in enumerate(self.sequences):
            if one.axes[1] != value.axes[1]:
                raise Refusal("it reads sequences with and without a batch")
            if one.symbol is value.symbol and one.axes == value.axes:
                return self._input[number]
        self.sequences.append(value)
        self._widths.append(width)
        # The place in the whole input is known when all sequences are.
        self._input.append(Expression("sequence", width, name=str(len(self._input))))
        return self._input[-1]

    def sequence(self) -> SymbolicTensor:
        """Return the input of the layer: all sequences, with their features beside each other."""
        builder, first = self.builder, self.sequences[0]
        batch: Group = (builder.batch,)
        symbols = []
        for one in self.sequences:
            steps = one.axes[0]
            if steps != first.axes[0]:
                raise Refusal("it reads sequences of several lengths")
            symbols.append(builder.arranged(one, (batch, steps, one.axes[2])))
        if len(symbols) == 1:
            return symbols[0]
        made: SymbolicTensor = builder.plain(layers.Concatenate, kind=first.kind)(symbols)
        return made

    def placed(self) -> None:
        """Turn the steps of sequences into parts of the one input that the cell has."""
        if len(self._input) == 1:
            self._input[0].kind = "input"
            return
        total = sum(self._widths)
        whole = Expression("input", total)
        end = 0
        for one in self._input:
            matrix = np.eye(total, dtype=np.float32)[:, end : end + one.width]
            end += one.width
            one.kind, one.given, one.numbers = "linear", (whole,), matrix

    # Nodes ------------------------------------------------------------------------------------------------

    def _as_expression(self, given: Any) -> Expression:
        if isinstance(given, Expression):
            return given
        if isinstance(given, Const):
            if id(given) not in self._constants:
                array = self.builder.constant(given, "a constant")
                if array.size == 1:
                    number = float(array.ravel()[0])
                    self._constants[id(given)] = self._numbers.setdefault(number, _number(number))
                elif array.ndim == 1 or array.size == array.shape[-1]:
                    self._constants[id(given)] = Expression("vector", array.size, numbers=array.ravel())
                else:
                    raise Refusal(f"a constant of the shape {array.shape} within a step")
                self._kept.append(given)
            return self._constants[id(given)]
        if isinstance(given, (Counter, Going)):
            raise Refusal("it computes with the number of the step")
        raise Refusal("it reads something of another kind than a vector")

    def _made(self, call: Call) -> list[Any]:
        given = [one for one in call.inputs if one is not None]
        kind = call.kind
        if kind == "Gather" and isinstance(call.inputs[1], Counter) and isinstance(call.inputs[0], Value):
            if call.inputs[1].start or call.int("axis", 0):
                raise Refusal("it reads another step than the current one")
            return [self.element(call.inputs[0])]
        if any(isinstance(one, (Counter, Going)) for one in given):
            return [self._counting(call)]
        if not any(isinstance(one, (Expression, Value)) for one in given):
            folded = fold(call)
            if folded is None:
                raise Refusal("nabi has nothing for this operator within a step")
            return folded
        if any(isinstance(one, Value) for one in given):
            raise Refusal("it reads a tensor from outside, other than step by step")
        return self._computed(call)

    def _counting(self, call: Call) -> Any:
        values = call.inputs
        if call.kind in ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"):
            return values[0]
        if call.kind == "Add" and len(values) == 2:
            counter, other = values if isinstance(values[0], Counter) else values[::-1]
            if isinstance(counter, Counter) and isinstance(other, Const) and other.array.size == 1:
                step = other.array.ravel().tolist()[0]
                if not isinstance(step, Size):
                    return Counter(counter.start + int(step))
        bounded = all(isinstance(one, (Counter, Going, Const)) for one in values)
        if bounded and call.kind in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Not", "Or"):
            return Going()
        raise Refusal("it computes with the number of the step")

    def _computed(self, call: Call) -> list[Any]:
        kind = call.kind
        if kind in ("Identity", "Dropout", "Cast"):
            return [call.inputs[0]]
        if kind == "MatMul":
            return [product(self._as_expression(call.inputs[0]), self._matrix(call.inputs[1]))]
        if kind == "Gemm":
            return [self._gemm(call)]
        first = self._as_expression(call.inputs[0]) if call.inputs[0] is not None else None
        if first is None:
            raise Refusal("its first input is missing", damaged=True)
        if kind in _UNARY:
            return [Expression(_UNARY[kind], first.width, (first,))]
        if kind in _BINARY:
            result = first
            for other in call.inputs[1:]:
                result = self._pair(_BINARY[kind], result, self._as_expression(other))
            return [result]
        if kind in ("Split", "Slice"):
            return self._parts(call, first)
        if kind == "Concat":
            if call.int("axis") not in (1, -1):
                raise Refusal("it puts batches below each other")
            return [joined([self._as_expression(one) for one in call.inputs])]
        if kind == "Where":
            a, b = (self._as_expression(one) for one in call.inputs[1:3])
            return [Expression("select", max(first.width, a.width, b.width), (first, a, b))]
        if kind in ("LayerNormalization", "Softmax"):
            return [self._normalised(call, first)]
        made = self._function(call, first)
        if made is None:
            raise Refusal("nabi has nothing for this operator within a step")
        return [made]

    def _function(self, call: Call, x: Expression) -> Expression | None:
        """Return a function that the language of cells writes with several operations."""
        pair, kind = self._pair, call.kind
        if kind == "Neg":
            return pair("mul", x, _number(-1.0))
        if kind == "Not":
            return pair("sub", _number(1.0), x)
        if kind == "Reciprocal":
            return pair("div", _number(1.0), x)
        if kind == "HardSigmoid":
            line = pair(
                "add", pair("mul", x, _number(call.float("alpha", 0.2))), _number(call.float("beta", 0.5))
            )
            return pair("minimum", pair("maximum", line, _number(0.0)), _number(1.0))
        if kind == "LeakyRelu":
            low = pair("mul", x, _number(call.float("alpha", 0.01)))
            return Expression("select", x.width, (pair("greater", x, _number(0.0)), x, low))
        if kind == "Elu":
            low = pair("sub", Expression("exp", x.width, (pair("minimum", x, _number(0.0)),)), _number(1.0))
            low = pair("mul", low, _number(call.float("alpha", 1.0)))
            return Expression("select", x.width, (pair("greater", x, _number(0.0)), x, low))
        if (
            kind == "Pow"
            and isinstance(call.inputs[1], Const)
            and call.inputs[1].array.tolist() in (2.0, [2.0])
        ):
            return pair("mul", x, x)
        if kind == "Clip":
            if call.opset < 11:
                bounds = [call.float("min", None), call.float("max", None)]
            else:
                given = (call.optional(1), call.optional(2))
                bounds = [None if one is None else float(one.array.ravel()[0]) for one in given]
            x = x if bounds[0] is None else pair("maximum", x, _number(bounds[0]))
            return x if bounds[1] is None else pair("minimum", x, _number(bounds[1]))
        return None

    def _normalised(self, call: Call, x: Expression) -> Expression:
        if call.int("axis", -1) not in (1, -1):
            raise Refusal("it normalises over the batch")
        if call.kind == "Softmax":
            return Expression("softmax", x.width, (x,))
        if abs(call.float("epsilon", 1e-5) - 1e-5) > 1e-9 or len(call.node.output) > 1:
            raise Refusal("layer normalisation with another epsilon than 1e-5 within a step")
        result = Expression("norm", x.width, (x,))
        result = self._pair("mul", result, self._as_expression(call.input(1)))
        if call.optional(2) is None:
            return result
        return self._pair("add", result, self._as_expression(call.optional(2)))

    def _pair(self, operation: str, a: Expression, b: Expression) -> Expression:
        if a.width != b.width and 1 not in (a.width, b.width):
            raise Refusal(f"it puts together {a.width} and {b.width} numbers", damaged=True)
        return Expression(operation, max(a.width, b.width), (a, b))

    def _matrix(self, given: Any) -> Array:
        matrix = self.builder.constant(given, "the weights")
        if matrix.ndim != 2 or matrix.dtype.kind != "f" or not matrix.size:
            raise Refusal(f"it multiplies with weights of the shape {matrix.shape}")
        return matrix

    def _gemm(self, call: Call) -> Expression:
        if call.int("transA", 0):
            raise Refusal("it turns the batch")
        matrix = self._matrix(call.input(1))
        matrix = (matrix.T if call.int("transB", 0) else matrix) * np.float32(call.float("alpha", 1.0))
        result = product(self._as_expression(call.input(0)), matrix)
        if call.optional(2) is None:
            return result
        added = self._as_expression(call.optional(2))
        if call.float("beta", 1.0) != 1:
            raise Refusal("Gemm with another beta than 1")
        return self._pair("add", result, added)

    def _parts(self, call: Call, x: Expression) -> list[Any]:
        if call.kind == "Split":
            if call.int("axis", 0) not in (1, -1):
                raise Refusal("it splits the batch")
            sizes = call.ints("split", None) if call.opset < 13 else None
            if call.opset >= 13 and call.optional(1) is not None:
                sizes = numbers(call.optional(1), "split")
            count = len(call.node.output)
            sizes = [x.width // count] * count if sizes is None else sizes
            if sum(sizes) != x.width or min(sizes) < 1:
                raise Refusal(f"split: {sizes} of {x.width} units", damaged=True)
            ends = np.cumsum(sizes).tolist()
            return [part_of(x, end - size, end) for size, end in zip(sizes, ends, strict=True)]
        if call.opset < 10:
            starts, ends = call.ints("starts"), call.ints("ends")
            axes, steps = call.ints("axes", list(range(len(starts)))), [1] * len(starts)
        else:
            starts, ends = numbers(call.input(1), "starts"), numbers(call.input(2), "ends")
            axes = (
                numbers(call.optional(3), "axes")
                if call.optional(3) is not None
                else list(range(len(starts)))
            )
            steps = numbers(call.optional(4), "steps") if call.optional(4) is not None else [1] * len(starts)
        for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
            if any(isinstance(one, Size) for one in (start, stop)) or step != 1:
                raise Refusal("it takes a part that depends on an open axis, or in steps")
            if axis in (0, -2):
                if start != 0 or stop < 1 << 30:
                    raise Refusal("it takes a part of the batch")
                continue
            taken = range(x.width)[start:stop]
            if not taken:
                raise Refusal("it takes no unit", damaged=True)
            x = part_of(x, taken[0], taken[-1] + 1)
        return [x]
