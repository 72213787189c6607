"""Functions for the equations of a cell.

Each takes values of a step (and numbers) and returns a value of the step. `activation(name)` returns one by
its Keras or torch name; `nabi.ir.elementwise` adds one of your own.

Jumps (`step`, `floor`, `rounded`, `sign`) have the derivative zero. Another one is declared by name
(`DERIVATIVES`) or with `with_derivative`.
"""

from collections.abc import Callable

from nabi.errors import CellError, unknown_name
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
from nabi.ir._graph._declared import DERIVATIVES, derivative_of
from nabi.ir._graph._nodes import Node, apply
from nabi.ir._graph._value import FUNCTION_NAMES

__all__ = [
    "ACTIVATIONS",
    "DERIVATIVES",
    "absolute",
    "activation",
    "cos",
    "cumulative_sum",
    "elu",
    "equal",
    "exp",
    "flat",
    "floor",
    "fold",
    "frac",
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
    "repeat",
    "rounded",
    "select",
    "selu",
    "shift",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "smallest",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "sqrt",
    "step",
    "stop_gradient",
    "straight_through",
    "tanh",
    "total",
    "vector",
    "with_derivative",
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


stop_gradient = _function(
    "stop_gradient", "`x` as a number: nothing is differentiated through it (stop-gradient, detach)."
)


def smallest(x: Node) -> Node:
    """Smallest of the units: one number a row."""
    return -largest(-x)


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


def with_derivative(value: Node, of: Node, derivative: Node | float) -> Node:
    """Return `value` with a declared derivative: `derivative` with respect to `of`, and nothing else.

    What `value` and `derivative` are computed from has no part in the gradient through the result.
    Derivatives of second order are those of `derivative`.

    Args:
        value: any value of the step, of the width of `of`.
        of: a value of the step.
        derivative: elementwise, as wide as `of`, or one number.

    Raises:
        CellError: `value` or `of` is a number, or their widths differ.

    Example:
        A spike with the derivative of a sigmoid:

        >>> from nabi.ir import Cell
        >>> class Spiking(Cell):
        ...     def step(self, x, h):
        ...         v = self.affine("h", x, h)
        ...         soft = sigmoid(4 * v)
        ...         return with_derivative(v > 0, v, 4 * soft * (1 - soft))
        >>> Spiking(2).program(3).equations[-1]
        'h_t = (v_t > 0)'
    """
    for argument, given in (("value", value), ("of", of)):
        if not isinstance(given, Node):
            raise CellError(f"with_derivative: {argument}: expected a value of the step, got {given!r}")
    if value.width != of.width:
        raise CellError(
            f"{of.trace.where()}: with_derivative: value {value!r} and of {of!r} have different widths"
        )
    flat = value if value.operation in _FLAT else stop_gradient(value)
    if of.operation == "constant":
        return flat
    return apply("with_derivative", flat, of, derivative)


_FLAT = frozenset(
    {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "floor", "round", "sign"}
)
"""Operations whose derivative is zero already."""


def straight_through(value: Node, of: Node) -> Node:
    """Return `value` with the derivative of `of` (straight-through estimator, Bengio et al. 2013)."""
    return with_derivative(value, of, 1.0)


def _jump(value: Node, of: Node, derivative: str | None, sharpness: float) -> Node:
    slope = derivative_of(of, derivative, sharpness)
    return value if slope is None else with_derivative(value, of, slope)


def step(x: Node, derivative: str | None = None, sharpness: float = 1.0) -> Node:
    """Return 1 where `x` is positive, else 0 (Heaviside's step, a spike).

    Args:
        x: a value of the step.
        derivative: None for zero, or the name of a surrogate in `DERIVATIVES`.
        sharpness: `k` of the surrogate, positive: how steep it is around 0.

    Raises:
        UnknownNameError: no surrogate has this name.
        CellError: `sharpness` is not a positive number.
    """
    return _jump(apply("greater", x, 0.0), x, derivative, sharpness)


def sign(x: Node, derivative: str | None = None, sharpness: float = 1.0) -> Node:
    """Return 1, 0 or -1: the sign of `x`; `derivative` and `sharpness` as in `step`."""
    return _jump(apply("sign", x), x, derivative, sharpness)


def floor(x: Node, derivative: str | None = None) -> Node:
    """Return the largest whole number up to `x`; `derivative` as in `step`, usually "straight_through"."""
    return _jump(apply("floor", x), x, derivative, 1.0)


def rounded(x: Node, derivative: str | None = None) -> Node:
    """Return the nearest whole number, an even one from the middle; `derivative` as in `floor`."""
    return _jump(apply("round", x), x, derivative, 1.0)


def frac(x: Node) -> Node:
    """Return `x - floor(x)`, from 0 to 1; its derivative is 1."""
    return x - floor(x)


def cumulative_sum(x: Node, chunk: int = 1, *, reverse: bool = False) -> Node:
    """Return the sums of the units up to each one.

    Args:
        x: a value of the step.
        chunk: the units are taken in chunks of so many, and chunks are added up, unit by unit; the width of
            `x` is a whole number of chunks.
        reverse: whether sums run from the last unit to the first.

    Raises:
        CellError: `x` is one number a row, or its units are no whole number of chunks.
    """
    return apply("reverse_cumulative_sum" if reverse else "cumulative_sum", x, chunk)


def shift(x: Node, by: int, chunk: int = 1) -> Node:
    """Return the units moved by some chunks of `chunk` units towards the last (negative: the first).

    Zeros take the places that become free.

    Raises:
        CellError: nothing of `x` would be left, or `x` is one number a row.
    """
    return apply("shift", x, by * chunk)


def repeat(x: Node, times: int) -> Node:
    """Return every unit `times` times, side by side: `times` as many units."""
    return apply("repeat", x, times)


def fold(x: Node, size: int) -> Node:
    """Return the sum of every `size` units that lie side by side: so many times fewer units."""
    return apply("fold", x, size)


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
