"""The elementwise operations of the language on vectors, with the semantics of torch's functions."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nabi.native._code import _math
from nabi.native.vectors import Vectors

__all__ = ["apply", "apply_parts", "renders"]


def renders(name: str) -> bool:
    """Tell whether `apply` knows the operation.

    Other operations are either decomposed (`Operation.decomposition`) or reductions.

    >>> renders("tanh"), renders("softmax"), renders("sum")
    (True, False, False)
    """
    return name in _RENDERED


def apply(v: Vectors, name: str, *values: Any) -> Any:
    """Write one elementwise operation and return its result.

    Args:
        v: writes the instructions.
        name: an operation for which `renders` is true.
        values: its arguments, vectors of `v.type`.

    Raises:
        KeyError: for a name that `renders` does not know.
    """
    return _RENDERED[name](v, *values)


def apply_parts(v: Vectors, write: Callable[..., Any], name: str, *values: Any) -> Any:
    """Write one elementwise operation whose longer parts are written by `write(v, name, *values)`.

    The result has the same bits as that of `apply`. Beside operations, a part may be "wave", the sine of
    its first argument and so many quarters of a turn as its second one says, which are integers.

    Args:
        v: writes the instructions.
        write: writes the parts.
        name: an operation for which `renders` is true.
        values: its arguments.
    """
    match name:
        case "silu":
            return v.mul(values[0], write(v, "sigmoid", *values))
        case "softplus":
            return _math.softplus(v, values[0], exp=lambda v, x: write(v, "exp", x))
        case "erf":
            return _math.erf(v, values[0], exp=lambda v, x: write(v, "exp", x))
        case "sin" | "cos":
            return write(v, "wave", *values, v.integer_constant(int(name == "cos")))
        case "wave":
            return _math.wave(v, *values)
        case _:
            return apply(v, name, *values)


def _extreme(sign: str) -> Callable[[Vectors, Any, Any], Any]:
    """Return the rendering of maximum (`>`) or minimum (`<`): NaN if either argument is NaN.

    If one is NaN, the comparison yields its second argument, like x86's instruction. A constant, which is not
    NaN, goes first and needs no further check.
    """

    def extreme(v: Vectors, a: Any, b: Any) -> Any:
        if isinstance(b, ir.Constant):
            a, b = b, a
        value = v.select(v.compare(sign, a, b), a, b)
        if isinstance(a, ir.Constant):
            return value
        return v.select(v.builder.fcmp_unordered("uno", a, a), a, value)

    return extreme


def _relu(v: Vectors, a: Any) -> Any:
    return v.select(v.compare(">", v.zero, a), v.zero, a)


def _comparison(sign: str) -> Callable[[Vectors, Any, Any], Any]:
    """Return the rendering of a comparison: 1 where it holds, else 0; for NaN only `!=` holds."""

    def comparison(v: Vectors, a: Any, b: Any) -> Any:
        flags = v.builder.fcmp_unordered(sign, a, b) if sign == "!=" else v.compare(sign, a, b)
        return v.select(flags, v.constant(1.0), v.zero)

    return comparison


def _select(v: Vectors, condition: Any, a: Any, b: Any) -> Any:
    # NaN is not zero, so it selects the first, as in torch.
    return v.select(v.builder.fcmp_unordered("!=", condition, v.zero), a, b)


def _elu(v: Vectors, a: Any) -> Any:
    return v.select(v.compare(">", a, v.zero), a, _math.expm1(v, _extreme("<")(v, a, v.zero)))


def _selu(v: Vectors, a: Any) -> Any:
    below = v.mul(v.constant(1.6732632423543772), _math.expm1(v, _extreme("<")(v, a, v.zero)))
    return v.mul(v.constant(1.0507009873554805), v.select(v.compare(">", a, v.zero), a, below))


def _gelu(v: Vectors, a: Any) -> Any:
    share = v.add(v.constant(1.0), _math.erf(v, v.mul(a, v.constant(0.7071067811865476))))
    return v.mul(v.mul(v.constant(0.5), a), share)


def _silu(v: Vectors, a: Any) -> Any:
    return v.mul(a, _math.sigmoid(v, a))


def _sigmoid_gradient(v: Vectors, d: Any, y: Any) -> Any:
    # y - y y with a single rounding keeps every digit of the small factor at both ends.
    return v.mul(d, v.fma(v.neg(y), y, y))


def _tanh_gradient(v: Vectors, d: Any, y: Any) -> Any:
    return v.mul(d, v.fma(v.neg(y), y, v.constant(1.0)))


def _sign(v: Vectors, a: Any) -> Any:
    one = v.constant(1.0)
    below = v.select(v.compare("<", a, v.zero), v.constant(-1.0), v.zero)
    return v.select(v.compare(">", a, v.zero), one, below)


def _power(v: Vectors, a: Any, b: Any) -> Any:
    """Return `a` to the power of `b`: NaN for a below zero, and 1 for 1 or to the power of 0.

    In float32 it is computed in float64 and rounded. In float64, and where the processor does not compute in
    float64, the error of the logarithm grows with the exponent: about |b log a| units in the last place.
    """
    wide = _math.widened(v)
    base, exponent = (one if wide is v else v.builder.fpext(one, wide.type) for one in (a, b))
    value = _math.exp(wide, wide.mul(exponent, _math.log(wide, base)))
    value = value if wide is v else v.builder.fptrunc(value, v.type)
    is_one = v.builder.or_(v.compare("==", a, v.constant(1.0)), v.compare("==", b, v.zero))
    return v.select(is_one, v.constant(1.0), value)


_RENDERED: dict[str, Callable[..., Any]] = {
    "add": Vectors.add,
    "sub": Vectors.sub,
    "mul": Vectors.mul,
    "div": Vectors.div,
    "neg": Vectors.neg,
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "greater": _comparison(">"),
    "greater_equal": _comparison(">="),
    "less": _comparison("<"),
    "less_equal": _comparison("<="),
    "equal": _comparison("=="),
    "not_equal": _comparison("!="),
    "floor": Vectors.floor,
    "round": Vectors.round,
    "sign": _sign,
    "power": _power,
    "stop_gradient": lambda v, a: a,
    "with_derivative": lambda v, value, of, slope: value,
    # A scalar is already in every lane.
    "spread": lambda v, a: a,
    "select": _select,
    "sigmoid": _math.sigmoid,
    "tanh": _math.tanh,
    "relu": _relu,
    "exp": _math.exp,
    "sqrt": lambda v, a: v.call("llvm.sqrt", a),
    "log": _math.log,
    "abs": lambda v, a: v.call("llvm.fabs", a),
    "sin": _math.sin,
    "cos": _math.cos,
    "softplus": _math.softplus,
    "erf": _math.erf,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "sigmoid_gradient": _sigmoid_gradient,
    "tanh_gradient": _tanh_gradient,
}
