"""Functions for the equations of a cell.

Each takes values of a step (and numbers) and returns a value of the step. `activation(name)` returns one by
its Keras or torch name.
"""

from collections.abc import Callable

from nabi.errors import unknown_name
from nabi.ir._axis_functions import (
    flat,
    join,
    largest,
    mean,
    norm,
    outer,
    part,
    read,
    softmax,
    split,
    total,
    vector,
)
from nabi.ir._graph._nodes import Node, apply
from nabi.ir._graph._value import FUNCTION_NAMES

__all__ = [
    "ACTIVATIONS",
    "absolute",
    "activation",
    "cos",
    "elu",
    "equal",
    "exp",
    "flat",
    "gelu",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hard_sigmoid_keras2",
    "hard_tanh",
    "join",
    "largest",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "log",
    "maximum",
    "mean",
    "minimum",
    "norm",
    "not_equal",
    "outer",
    "part",
    "read",
    "relu",
    "select",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "sqrt",
    "tanh",
    "total",
    "vector",
]

FUNCTION_NAMES.update(__all__)


def linear(x: Node) -> Node:
    """Identity: `x` itself."""
    return x


def _function(name: str, meaning: str) -> Callable[[Node], Node]:
    def function(x: Node) -> Node:
        return apply(name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


sigmoid = _function("sigmoid", "Logistic sigmoid `1 / (1 + exp(-x))`.")
tanh = _function("tanh", "Hyperbolic tangent.")
relu = _function("relu", "`max(x, 0)`.")
exp = _function("exp", "Exponential.")
log = _function("log", "Natural logarithm.")
sqrt = _function("sqrt", "Square root.")
absolute = _function("abs", "Absolute value.")
sin = _function("sin", "Sine.")
cos = _function("cos", "Cosine.")
softplus = _function("softplus", "`log(1 + exp(x))`.")
softsign = _function("softsign", "`x / (1 + |x|)`.")
elu = _function("elu", "`x` where positive, else `exp(x) - 1`.")
selu = _function("selu", "Scaled exponential linear unit (Klambauer et al. 2017).")
gelu = _function("gelu", "`x` times the normal distribution function of `x` (Hendrycks and Gimpel 2016).")
silu = _function("silu", "`x` times the sigmoid of `x`, also called swish.")
leaky_relu = _function("leaky_relu", "`x` where positive, else `0.2 x`.")
hard_sigmoid = _function("hard_sigmoid", "`x / 6 + 1/2`, cut to 0 and 1.")
hard_tanh = _function("hard_tanh", "`x`, cut to -1 and 1.")


def hard_sigmoid_keras2(x: Node) -> Node:
    """`x / 5 + 1/2`, cut to 0 and 1: the hard sigmoid of Keras 1 and 2, that of Keras 3 at `1.2 x`."""
    return hard_sigmoid(1.2 * x)


def maximum(a: Node | float, b: Node | float) -> Node:
    """Return the larger of two values, unit by unit."""
    return apply("maximum", a, b)


def minimum(a: Node | float, b: Node | float) -> Node:
    """Return the smaller of two values, unit by unit."""
    return apply("minimum", a, b)


def _comparison(name: str, sign: str) -> Callable[[Node | float, Node | float], Node]:
    def function(a: Node | float, b: Node | float) -> Node:
        return apply(name, a, b)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return 1 where `a {sign} b`, else 0; the same as `a {sign} b`."
    return function


greater = _comparison("greater", ">")
greater_equal = _comparison("greater_equal", ">=")
less = _comparison("less", "<")
less_equal = _comparison("less_equal", "<=")
equal = _comparison("equal", "==")
not_equal = _comparison("not_equal", "!=")


def select(condition: Node, a: Node | float, b: Node | float) -> Node:
    """Return `a` where the condition is not zero, else `b`."""
    return apply("select", condition, a, b)


ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "elu": elu,
    "exponential": exp,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_keras2": hard_sigmoid_keras2,
    "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "relu": relu,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "swish": silu,
    "tanh": tanh,
}


def activation(name: str, argument: str = "activation") -> Callable[[Node], Node]:
    """Return an activation by name.

    Raises:
        UnknownNameError: the name is unknown; the message suggests the closest one.
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise unknown_name(argument, name, ACTIVATIONS)
    return ACTIVATIONS[name]
