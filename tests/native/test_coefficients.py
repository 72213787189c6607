"""The polynomials of the elementary functions have the errors that their comments state."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest

from nabi.native._code._coefficients import COEFFICIENTS

# What each row of coefficients approximates: the function; its value from r and the polynomial's; the
# polynomial's variable; the first and last r.
FITS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any], Callable[[Any], Any], Any, Any]] = {
    "tanh": (mpmath.tanh, lambda r, p: r * (1 + r * r * p), lambda r: r * r, 0.0, math.log(2) / 4),
    "exp": (mpmath.exp, lambda r, p: 1 + r + r * r * p, lambda r: r, -math.log(2), math.log(2)),
    "log": (
        lambda r: 2 * mpmath.atanh(r),
        lambda r, p: r * (2 + r * r * p),
        lambda r: r * r,
        0.0,
        (math.sqrt(2) - 1) / (math.sqrt(2) + 1),
    ),
    "sin": (mpmath.sin, lambda r, p: r * (1 + r * r * p), lambda r: r * r, 0.0, math.pi / 4),
    "cos": (mpmath.cos, lambda r, p: 1 - r * r / 2 + r**4 * p, lambda r: r * r, 0.0, math.pi / 4),
    "erf": (mpmath.erf, lambda r, p: r * p, lambda r: r * r, 0.0, 1.0),
    "erfcx": (
        lambda r: mpmath.exp(r * r) * mpmath.erfc(r),
        lambda r, p: p,
        lambda r: (r - 2) / (r + 2),
        1.0,
        None,
    ),
}
STATED = {
    "float32": {
        "tanh": 5.6e-8,
        "exp": 1.5e-8,
        "log": 9e-10,
        "sin": 4.1e-9,
        "cos": 1.4e-10,
        "erf": 1.5e-9,
        "erfcx": 1e-9,
    },
    "float64": {
        "tanh": 5e-18,
        "exp": 2e-17,
        "log": 2e-18,
        "sin": 1e-17,
        "cos": 2e-18,
        "erf": 5e-17,
        "erfcx": 6e-16,
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(FITS))
def test_the_polynomials_have_the_errors_they_state(name: str, dtype: str) -> None:
    function, whole, variable, first, last = FITS[name]
    rows = COEFFICIENTS[dtype]
    coefficients = getattr(rows, name)
    with mpmath.workdps(40):
        for place in range(1, 61):
            r = mpmath.mpf(first) + (mpmath.mpf(last or rows.erf_end) - first) * place / 60
            value = whole(r, mpmath.polyval(list(reversed(coefficients)), variable(r)))
            assert abs(value / function(r) - 1) <= STATED[dtype][name], (name, float(r))
