"""Which activation of ONNX's recurrent operators a node of a step is."""

from collections.abc import Iterator
from dataclasses import dataclass

from nabi.ir import Node
from nabi.targets._matching import commuted

__all__ = ["Activation", "activations_of", "clipped", "constant_in"]

_BY_NAME = {
    "sigmoid": ("Sigmoid", None, None),
    "tanh": ("Tanh", None, None),
    "relu": ("Relu", None, None),
    "softsign": ("Softsign", None, None),
    "softplus": ("Softplus", None, None),
    "elu": ("Elu", 1.0, None),
    "leaky_relu": ("LeakyRelu", 0.2, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
}


@dataclass(frozen=True)
class Activation:
    """An activation function of the operators RNN, LSTM and GRU; `alpha` and `beta` where it takes them."""

    name: str
    alpha: float | None = None
    beta: float | None = None

    @property
    def is_odd_around_half(self) -> bool:
        """Whether `f(-a) = 1 - f(a)`, so that the opposite of a gate is the gate of the opposite sum."""
        return self.name == "Sigmoid" or (self.name == "HardSigmoid" and self.beta == 0.5)


def activations_of(node: Node) -> Iterator[tuple[Activation, Node]]:
    """Return the activations that a node can be, each with its argument; the identity comes last."""
    if node.operation in _BY_NAME:
        yield Activation(*_BY_NAME[node.operation]), node.arguments[0]
    yield from _hard_sigmoid(node)
    yield from _scaled_tanh(node)
    yield from _with_a_condition(node)
    yield from _affine(node)
    yield Activation("Affine", 1.0, 0.0), node


def constant_in(node: Node, operation: str) -> Iterator[tuple[float, Node]]:
    """Return the number and the other argument of an operation that commutes."""
    for number, other in commuted(node, operation):
        if number.operation == "constant" and other.operation != "constant":
            yield number.value, other


def clipped(node: Node) -> tuple[float, Node] | None:
    """Return the limit and the value of `min(max(a, -limit), limit)`, or None if a node is no such thing."""
    for outer, inner in (("minimum", "maximum"), ("maximum", "minimum")):
        for one, within in constant_in(node, outer):
            for other, value in constant_in(within, inner):
                limit = one if outer == "minimum" else other
                if limit > 0 and {one, other} == {limit, -limit}:
                    return limit, value
    return None


def _hard_sigmoid(node: Node) -> Iterator[tuple[Activation, Node]]:
    """`max(0, min(1, alpha a + beta))`, also as nabi's own function of a multiple, such as Keras 2's."""
    if node.operation == "hard_sigmoid":
        for slope, value in constant_in(node.arguments[0], "mul"):
            yield Activation("HardSigmoid", slope / 6, 0.5), value
    for outer, inner, first, second in (("maximum", "minimum", 0.0, 1.0), ("minimum", "maximum", 1.0, 0.0)):
        for one, within in constant_in(node, outer):
            for other, line in constant_in(within, inner):
                if (one, other) == (first, second):
                    for affine, value in _affine(line):
                        yield Activation("HardSigmoid", affine.alpha, affine.beta), value


def _affine(node: Node) -> Iterator[tuple[Activation, Node]]:
    """`alpha a + beta`."""
    for beta, product in constant_in(node, "add"):
        for alpha, value in constant_in(product, "mul"):
            yield Activation("Affine", alpha, beta), value
    for alpha, value in constant_in(node, "mul"):
        yield Activation("Affine", alpha, 0.0), value


def _scaled_tanh(node: Node) -> Iterator[tuple[Activation, Node]]:
    """`alpha tanh(beta a)`."""
    for alpha, inner in [*constant_in(node, "mul"), (1.0, node)]:
        if inner.operation == "tanh":
            scaled = list(constant_in(inner.arguments[0], "mul"))
            for beta, value in scaled:
                yield Activation("ScaledTanh", alpha, beta), value
            if inner is not node:
                yield Activation("ScaledTanh", alpha, 1.0), inner.arguments[0]


def _with_a_condition(node: Node) -> Iterator[tuple[Activation, Node]]:
    """`LeakyRelu`, `Elu` and `ThresholdedRelu`, written with a condition."""
    if node.operation != "select":
        return
    condition, value, otherwise = node.arguments
    if condition.operation not in ("greater", "greater_equal") or condition.arguments[0] is not value:
        return
    limit = condition.arguments[1]
    if limit.operation != "constant":
        return
    if otherwise.operation == "constant" and otherwise.value == 0.0:
        yield Activation("ThresholdedRelu", limit.value), value
    if limit.value != 0.0:
        return
    for alpha, slope in constant_in(otherwise, "mul"):
        if slope is value:
            yield Activation("LeakyRelu", alpha), value
        if _is_exp_minus_one(slope, value):
            yield Activation("Elu", alpha), value


def _is_exp_minus_one(node: Node, value: Node) -> bool:
    if node.operation == "sub" and node.arguments[1].operation == "constant":
        power, number = node.arguments[0], node.arguments[1].value
    elif node.operation == "add":
        found = next(constant_in(node, "add"), None)
        if found is None:
            return False
        power, number = found[1], -found[0]
    else:
        return False
    if power.operation != "exp" or number != 1.0:
        return False
    exponent = power.arguments[0]
    # Of the minimum with zero, as the language itself writes it, or of the value.
    below = [inner for zero, inner in constant_in(exponent, "minimum") if zero == 0.0]
    return exponent is value or any(inner is value for inner in below)
