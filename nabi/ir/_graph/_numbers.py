"""The operations of the table on plain numbers, for folding constants.

The results are the same as torch's, also for infinities and NaN, where functions of `math` raise errors.
"""

import math
from collections.abc import Callable
from numbers import Real

__all__ = ["NUMBERS", "is_number"]


def is_number(value: object) -> bool:
    """Return whether a value is a real number, of Python or NumPy."""
    return isinstance(value, Real)


def _div(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _maximum(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)


def _minimum(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else min(a, b)


def _exp(a: float) -> float:
    try:
        return math.exp(a)
    except OverflowError:
        return math.inf


def _log(a: float) -> float:
    return math.log(a) if a > 0 else -math.inf if a == 0 else math.nan


def _sigmoid(a: float) -> float:
    return 1 / (1 + _exp(-a)) if a >= 0 else _exp(a) / (1 + _exp(a)) if a < 0 else math.nan


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a + 0.0 if a >= 0 else math.nan, b)
    except (OverflowError, ValueError):  # too large, or zero to a negative power
        return math.inf


def _finite(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function that returns NaN where one of `math` raises an error for non-finite numbers."""
    return lambda a: function(a) if math.isfinite(a) else math.nan


NUMBERS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _div,
    "neg": lambda a: -a,
    "maximum": _maximum,
    "minimum": _minimum,
    "greater": lambda a, b: float(a > b),
    "greater_equal": lambda a, b: float(a >= b),
    "less": lambda a, b: float(a < b),
    "less_equal": lambda a, b: float(a <= b),
    "equal": lambda a, b: float(a == b),
    "not_equal": lambda a, b: float(a != b),
    "select": lambda condition, a, b: a if condition != 0 else b,
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "relu": lambda a: _maximum(a, 0.0),
    "exp": _exp,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else math.nan,
    "log": _log,
    "abs": abs,
    "sin": _finite(math.sin),
    "cos": _finite(math.cos),
    "softplus": lambda a: a if a > 20 else math.log1p(_exp(a)),
    "erf": math.erf,
    "floor": lambda a: float(math.floor(a)) if math.isfinite(a) else a,
    "round": lambda a: float(round(a)) if math.isfinite(a) else a,
    "sign": lambda a: float(a > 0) - float(a < 0),
    "power": _power,
    "stop_gradient": lambda a: a,
}
