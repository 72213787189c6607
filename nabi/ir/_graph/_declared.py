"""Derivatives that are declared for functions that jump: the surrogates of spiking and binary networks."""

import math
from collections.abc import Callable
from typing import Any

from nabi.errors import CellError, unknown_name
from nabi.ir._graph._nodes import Node, apply
from nabi.ir._graph._numbers import is_number

__all__ = ["DERIVATIVES", "derivative_of"]


def _fast_sigmoid(v: Node, k: float) -> Any:
    return 1.0 / (1.0 + k * abs(v)) ** 2


def _triangle(v: Node, k: float) -> Any:
    return apply("relu", 1.0 - k * abs(v))


def _atan(v: Node, k: float) -> Any:
    scaled = (math.pi / 2 * k) * v
    return (k / 2) / (1.0 + scaled * scaled)


def _sigmoid(v: Node, k: float) -> Any:
    share = apply("sigmoid", k * v)
    return k * (share * (1.0 - share))


DERIVATIVES: dict[str, Callable[[Node, float], Any]] = {
    "straight_through": lambda v, k: 1.0,
    "fast_sigmoid": _fast_sigmoid,
    "triangle": _triangle,
    "atan": _atan,
    "sigmoid": _sigmoid,
}
"""Derivatives of a jump at 0 by name, as functions of the value `v` and the sharpness `k`:

- `straight_through`: 1 everywhere (Bengio et al. 2013);
- `fast_sigmoid`: `1 / (1 + k |v|)²` (Zenke and Ganguli 2018);
- `triangle`: `max(0, 1 - k |v|)` (Esser et al. 2016; Bellec et al. 2018);
- `atan`: `k / 2 / (1 + (π k v / 2)²)` (Fang et al. 2021);
- `sigmoid`: the derivative of `sigmoid(k v)`.
"""


def derivative_of(v: Node, name: str | None, sharpness: float) -> Any:
    """Return a declared derivative at `v`; None without a name."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in DERIVATIVES:
        raise unknown_name("derivative", name, DERIVATIVES)
    if not (is_number(sharpness) and 0 < sharpness < math.inf):
        raise CellError(f"sharpness: expected a positive number, got {sharpness!r}")
    return DERIVATIVES[name](v, float(sharpness))
