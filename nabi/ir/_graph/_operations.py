"""The table of operations: one row drives tracing, derivatives and every target.

A row has the torch source of an operation, its LaTeX and plain text, the equivalent ONNX operator, and its
derivative as a rule in the language itself. An operation with a `decomposition` is differentiated through it,
and a target without a rendering for the operation uses it too.

The rules are given values of a step and reach the language through these: by Python's operators and by the
trace that the values belong to. So the table needs no node, and nodes need the table.
"""

from collections.abc import Callable
from typing import Any

from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._operation import Derivative, Operation
from nabi.ir._graph._value import Value

__all__ = ["OPERATIONS", "operation"]


def _call(name: str) -> str:
    return rf"\operatorname{{{{{name}}}}}({{0}})"


def _unary(name: str, onnx: str | None, derivative: Derivative | None = None, **more: Any) -> Operation:
    torch_name = more.pop("torch_name", f"torch.{name}")
    has_out = torch_name.startswith("torch.") and torch_name.count(".") == 1 and name != "relu"
    return Operation(
        name,
        1,
        f"{torch_name}({{0}})",
        more.pop("text", f"{name}({{0}})"),
        more.pop("latex", _call(name)),
        onnx,
        out=f"{torch_name}({{0}}, out={{out}})" if has_out else None,
        derivative=derivative,
        **more,
    )


def _binary(name: str, sign: str, latex: str, onnx: str, derivative: Derivative, **more: Any) -> Operation:
    return Operation(
        name,
        2,
        f"torch.{name}({{0}}, {{1}})",
        f"{sign}({{0}}, {{1}})" if sign.isalpha() else f"{{0}} {sign} {{1}}",
        latex,
        onnx,
        out=f"torch.{name}({{0}}, {{1}}, out={{out}})",
        derivative=derivative,
        **more,
    )


def _comparison(name: str, torch_name: str, text: str, latex: str, onnx: str | None) -> Operation:
    """Return the row of a comparison: 1 where it holds, else 0, with derivative zero."""
    return Operation(
        name,
        2,
        f"torch.{torch_name}({{0}}, {{1}}).to({{like}}.dtype)",
        f"({{0}} {text} {{1}})",
        rf"[{{0}} {latex} {{1}}]",
        onnx,
        derivative=lambda d, y, a, b: (None, None),
        decomposition=None if onnx else lambda a, b: 1.0 - _apply("equal", a, b),
    )


_ALPHA_SELU, _SCALE_SELU = 1.6732632423543772, 1.0507009873554805


def _apply(name: str, *values: Value | float) -> Any:
    """Apply an operation of the table, in the trace of the first value."""
    return next(value for value in values if isinstance(value, Value)).trace.apply(name, *values)


def _extreme(wins: str, loses: str, d: Value, a: Value, b: Value) -> tuple[Any, ...]:
    """Return the cotangents of two values whose maximum (or minimum) was taken.

    As in torch, equal values get half each, and a value that equals a number gets all. The other value gets
    zero, not zero times the cotangent, which may be infinite.
    """
    if b.operation == "constant":
        return _apply("select", _apply(f"{wins}_equal", a, b), d, 0.0), None
    if a.operation == "constant":
        return None, _apply("select", _apply(f"{wins}_equal", b, a), d, 0.0)
    shared = _apply("select", _apply("equal", a, b), 0.5 * d, d)
    return (
        _apply("select", _apply(loses, a, b), 0.0, shared),
        _apply("select", _apply(wins, a, b), 0.0, shared),
    )


def _power_derivative(d: Value, y: Value, a: Value, b: Value) -> tuple[Any, Any]:
    of_base = d * (b * _apply("power", a, b - 1.0))
    if b.operation == "constant":
        return of_base, None
    return of_base, d * _apply("select", _apply("greater", a, 0.0), y * _apply("log", a), 0.0)


def _largest_derivative(d: Value, y: Value, a: Value) -> tuple[Any]:
    # As in torch.amax, units that are equally large share the cotangent.
    is_largest = _apply("equal", a, y)
    return (_apply("select", is_largest, d / _apply("sum", is_largest), 0.0),)


def _chunked(width: int, size: float) -> int:
    """Return the width of a cumulative sum over chunks of `size` units."""
    if size < 1 or not float(size).is_integer() or width % int(size):
        raise ValueError(f"{width} units are no whole number of chunks of {size:g}")
    return width


def _shifted(width: int, by: float) -> int:
    if not float(by).is_integer() or abs(by) >= width:
        raise ValueError(f"{width} units cannot be shifted by {by:g}")
    return width


def _repeated(width: int, times: float) -> int:
    if times < 1 or not float(times).is_integer():
        raise ValueError(f"units cannot be repeated {times:g} times")
    return width * int(times)


def _folded(width: int, size: float) -> int:
    return _chunked(width, size) // int(size)


def _across(
    name: str, text: str, torch: str, width: Callable[[int, float], int], reverse: Callable[..., Any]
) -> Operation:
    """Return the row of a linear map along the units, with a number that says which: `{1}`, a constant."""
    return Operation(
        name,
        2,
        torch,
        f"{text}({{0}}, {{1}})",
        rf"\operatorname{{{{{text}}}}}({{0}}, {{1}})",
        None,
        derivative=lambda d, y, a, n: (reverse(d, n), None),
        across=width,
    )


_CHUNKS = "{0}.reshape(*{0}.shape[:-1], -1, int({1}))"


def _elu(x: Value) -> Any:
    return _apply("select", _apply("greater", x, 0.0), x, _apply("exp", _apply("minimum", x, 0.0)) - 1.0)


def _norm(x: Value) -> Any:
    centred = x - _apply("mean", x)
    return centred / _apply("sqrt", _apply("mean", centred * centred) + 1e-5)


def _gelu(x: Value) -> Any:
    return 0.5 * x * (1.0 + _apply("erf", x * 0.7071067811865476))


def _elu_derivative(d: Value, y: Value, a: Value) -> tuple[Any]:
    # The exponential instead of y + 1, which would lose digits of small values.
    below = d * _apply("exp", _apply("minimum", a, 0.0))
    return (_apply("select", _apply("greater", a, 0.0), d, below),)


def _selu_derivative(d: Value, y: Value, a: Value) -> tuple[Any]:
    below = d * (_SCALE_SELU * _ALPHA_SELU * _apply("exp", _apply("minimum", a, 0.0)))
    return (_apply("select", _apply("greater", a, 0.0), d * _SCALE_SELU, below),)


def _gelu_derivative(d: Value, y: Value, a: Value) -> tuple[Any]:
    share = 0.5 * (1.0 + _apply("erf", a * 0.7071067811865476))
    return (d * (share + a * (0.3989422804014327 * _apply("exp", -0.5 * (a * a)))),)


def _silu_derivative(d: Value, y: Value, a: Value) -> tuple[Any]:
    share = _apply("sigmoid", a)
    return (d * (share * (1.0 + a * (1.0 - share))),)


_TABLE = [
    # Arithmetic.
    _binary("add", "+", "{0} + {1}", "Add", lambda d, y, a, b: (d, d), cheap=True),
    _binary("sub", "-", "{0} - {1}", "Sub", lambda d, y, a, b: (d, -d), cheap=True),
    _binary("mul", "∘", r"{0} \circ {1}", "Mul", lambda d, y, a, b: (d * b, d * a), cheap=True),
    _binary("div", "/", r"{0} / {1}", "Div", lambda d, y, a, b: (d / b, -(d / b * y))),
    _unary("neg", "Neg", lambda d, y, a: (-d,), text="-{0}", latex="-{0}", cheap=True),
    _binary(
        "maximum",
        "max",
        r"\max({0}, {1})",
        "Max",
        lambda d, y, a, b: _extreme("greater", "less", d, a, b),
    ),
    _binary(
        "minimum",
        "min",
        r"\min({0}, {1})",
        "Min",
        lambda d, y, a, b: _extreme("less", "greater", d, a, b),
    ),
    _comparison("greater", "gt", ">", ">", "Greater"),
    _comparison("greater_equal", "ge", "≥", r"\geq", "GreaterOrEqual"),
    _comparison("less", "lt", "<", "<", "Less"),
    _comparison("less_equal", "le", "≤", r"\leq", "LessOrEqual"),
    _comparison("equal", "eq", "=", "=", "Equal"),
    _comparison("not_equal", "ne", "≠", r"\neq", None),
    # The second where the first is not zero, else the third.
    Operation(
        "select",
        3,
        "torch.where({0} != 0, {1}, {2})",
        "({1} if {0} else {2})",
        r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        "Where",
        derivative=lambda d, y, c, a, b: (None, _apply("select", c, d, 0.0), _apply("select", c, 0.0, d)),
    ),
    # Functions whose derivative follows from their result: only the result is saved.
    _unary(
        "sigmoid",
        "Sigmoid",
        lambda d, y, a: (_apply("sigmoid_gradient", d, y),),
        text="σ({0})",
        latex=r"\sigma({0})",
    ),
    _unary("tanh", "Tanh", lambda d, y, a: (_apply("tanh_gradient", d, y),), latex=r"\tanh({0})"),
    _unary("relu", "Relu", lambda d, y, a: (_apply("select", y, d, 0.0),)),
    _unary("exp", "Exp", lambda d, y, a: (d * y,), latex=r"\exp({0})"),
    _unary("sqrt", "Sqrt", lambda d, y, a: (0.5 * d / y,), latex=r"\sqrt{{{0}}}"),
    # Functions whose derivative needs the argument.
    _unary("log", "Log", lambda d, y, a: (d / a,), latex=r"\log({0})"),
    _unary(
        "abs",
        "Abs",
        lambda d, y, a: (d * (_apply("greater", a, 0.0) - _apply("greater", -a, 0.0)),),
        text="|{0}|",
        latex=r"\left| {0} \right|",
    ),
    _unary("sin", "Sin", lambda d, y, a: (d * _apply("cos", a),), latex=r"\sin({0})"),
    _unary("cos", "Cos", lambda d, y, a: (-(d * _apply("sin", a)),), latex=r"\cos({0})"),
    _unary(
        "softplus",
        "Softplus",
        # The identity above 20, as in torch.
        lambda d, y, a: (_apply("select", _apply("greater", a, 20.0), d, d * _apply("sigmoid", a)),),
        torch_name="torch.nn.functional.softplus",
    ),
    _unary("erf", "Erf", lambda d, y, a: (d * (1.1283791670955126 * _apply("exp", -(a * a))),)),
    # Rounding; the derivative is zero, unless `with_derivative` declares another.
    _unary("floor", "Floor", lambda d, y, a: (None,), latex=r"\lfloor {0} \rfloor"),
    _unary("round", "Round", lambda d, y, a: (None,)),
    _unary("sign", "Sign", lambda d, y, a: (None,)),
    # A value that is not negative to any power; NaN for a negative one.
    Operation(
        "power",
        2,
        "torch.pow(torch.where({0} < 0, torch.nan, {0} + 0.0), {1})",
        "{0}^({1})",
        "{{{0}}}^{{{1}}}",
        "Pow",
        derivative=_power_derivative,
    ),
    # Its argument, as a number that nothing is differentiated through.
    Operation(
        "stop_gradient",
        1,
        "{0}.detach()",
        "stop_gradient({0})",
        _call("stop"),
        "Identity",
        derivative=lambda d, y, a: (None,),
        cheap=True,
    ),
    # The first, with a further derivative: with respect to the second, the third.
    Operation(
        "with_derivative",
        3,
        "with_derivative({0}, {1}, {2})",
        "{0}",
        "{0}",
        None,
        derivative=lambda d, y, value, of, slope: (d, d * slope, None),
    ),
    # A scalar expanded to a vector of the node's width.
    Operation(
        "spread",
        1,
        "{0}.expand(*{0}.shape[:-1], {width})",
        "{0}",
        "{0}",
        "Expand",
        derivative=lambda d, y, a: (_apply("sum", d),),
        cheap=True,
    ),
    # Gradients of sigmoid and tanh in one pass over memory, as in torch.
    Operation(
        "sigmoid_gradient",
        2,
        "torch.ops.aten.sigmoid_backward({0}, {1})",
        "{0} ∘ {1} ∘ (1 - {1})",
        r"{0} \circ {1} \circ (1 - {1})",
        None,
        decomposition=lambda d, y: d * (y * (1.0 - y)),
    ),
    Operation(
        "tanh_gradient",
        2,
        "torch.ops.aten.tanh_backward({0}, {1})",
        "{0} ∘ (1 - {1}²)",
        r"{0} \circ (1 - {1}^2)",
        None,
        decomposition=lambda d, y: d * (1.0 - y * y),
    ),
    # Reductions over the units: one number per row.
    Operation(
        "sum",
        1,
        "torch.sum({0}, -1, keepdim=True)",
        "sum({0})",
        r"\operatorname{{sum}}({0})",
        "ReduceSum",
        derivative=lambda d, y, a: (d,),
        reduction=True,
    ),
    Operation(
        "mean",
        1,
        "torch.mean({0}, -1, keepdim=True)",
        "mean({0})",
        r"\operatorname{{mean}}({0})",
        "ReduceMean",
        derivative=lambda d, y, a: (d * (1.0 / a.width),),
        reduction=True,
    ),
    Operation(
        "max",
        1,
        "torch.amax({0}.detach(), -1, keepdim=True)",
        "max({0})",
        r"\max({0})",
        "ReduceMax",
        # A shift used only by softmax, whose result does not depend on it, so it has no cotangent.
        derivative=lambda d, y, a: (None,),
        reduction=True,
    ),
    Operation(
        "largest",
        1,
        "torch.amax({0}, -1, keepdim=True)",
        "max({0})",
        r"\max({0})",
        "ReduceMax",
        derivative=_largest_derivative,
        reduction=True,
    ),
    # Linear maps along the units; the derivative of each is one of them.
    _across(
        "cumulative_sum",
        "cumsum",
        f"torch.cumsum({_CHUNKS}, -2).reshape({{0}}.shape)",
        _chunked,
        lambda d, n: _apply("reverse_cumulative_sum", d, n),
    ),
    _across(
        "reverse_cumulative_sum",
        "cumsum_back",
        f"torch.cumsum({_CHUNKS}.flip(-2), -2).flip(-2).reshape({{0}}.shape)",
        _chunked,
        lambda d, n: _apply("cumulative_sum", d, n),
    ),
    _across(
        "shift",
        "shift",
        "torch.nn.functional.pad({0}, (int({1}), -int({1})))",
        _shifted,
        lambda d, n: _apply("shift", d, -n),
    ),
    _across(
        "repeat",
        "repeat",
        "{0}.repeat_interleave(int({1}), -1)",
        _repeated,
        lambda d, n: _apply("fold", d, n),
    ),
    _across(
        "fold",
        "fold",
        f"{_CHUNKS}.sum(-1)",
        _folded,
        lambda d, n: _apply("repeat", d, n),
    ),
    # Activations composed of the above.
    # The gradient of torch's hardsigmoid is accurate only to 1e-8 in float64.
    Operation(
        "hard_sigmoid",
        1,
        "torch.clamp({0} / 6 + 0.5, 0.0, 1.0)",
        "hard_sigmoid({0})",
        _call(r"hard\,sigmoid"),
        None,
        decomposition=lambda x: _apply("maximum", _apply("minimum", x / 6 + 0.5, 1.0), 0.0),
    ),
    Operation(
        "hard_tanh",
        1,
        "torch.clamp({0}, -1.0, 1.0)",
        "hard_tanh({0})",
        _call(r"hard\,tanh"),
        None,
        decomposition=lambda x: _apply("maximum", _apply("minimum", x, 1.0), -1.0),
    ),
    _unary(
        "softsign",
        "Softsign",
        torch_name="torch.nn.functional.softsign",
        decomposition=lambda x: x / (1.0 + _apply("abs", x)),
    ),
    _unary("elu", "Elu", _elu_derivative, torch_name="torch.nn.functional.elu", decomposition=_elu),
    _unary(
        "selu",
        "Selu",
        _selu_derivative,
        torch_name="torch.nn.functional.selu",
        decomposition=lambda x: (
            _SCALE_SELU * _apply("select", _apply("greater", x, 0.0), x, _ALPHA_SELU * _elu(x))
        ),
    ),
    _unary("gelu", None, _gelu_derivative, torch_name="torch.nn.functional.gelu", decomposition=_gelu),
    _unary(
        "silu",
        None,
        _silu_derivative,
        torch_name="torch.nn.functional.silu",
        decomposition=lambda x: x * _apply("sigmoid", x),
    ),
    Operation(
        "leaky_relu",
        1,
        "torch.nn.functional.leaky_relu({0}, 0.2)",
        "leaky_relu({0})",
        _call(r"leaky\,relu"),
        None,
        decomposition=lambda x: _apply("select", _apply("greater", x, 0.0), x, 0.2 * x),
    ),
    # Mean 0 and variance 1 over the units: layer normalisation without gain and bias.
    Operation(
        "norm",
        1,
        "torch.nn.functional.layer_norm({0}, {0}.shape[-1:], None, None, 1e-5)",
        "norm({0})",
        _call("norm"),
        None,
        decomposition=_norm,
    ),
    Operation(
        "softmax",
        1,
        "torch.softmax({0}, -1)",
        "softmax({0})",
        _call("softmax"),
        None,
        decomposition=lambda x: (
            _apply("exp", x - _apply("max", x)) / _apply("sum", _apply("exp", x - _apply("max", x)))
        ),
    ),
]

OPERATIONS: dict[str, Operation] = {row.name: row for row in (*_TABLE, *AXIS_OPERATIONS)}


def operation(name: str) -> Operation:
    """Return the row of an operation by name.

    >>> operation("tanh").onnx
    'Tanh'
    """
    return OPERATIONS[name]
