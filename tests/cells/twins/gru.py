"""Variants of the GRU."""

import numpy as np

from .formulas import Array, States, Twin, Weights, relu, sigma, total
from .simple import integration

tanh = np.tanh


def _dey(w: Weights, x: Array, h: Array, z: Array, r: Array) -> States:
    """Dey and Salem, equations 5 and 6, with any gates."""
    candidate = tanh(x @ w["W_xh"].T + (sigma(r) * h) @ w["W_hh"].T + w["b_h"])
    return ((1 - sigma(z)) * h + sigma(z) * candidate,)


def gru1(w: Weights, x: Array, h: Array) -> States:
    return _dey(w, x, h, h @ w["W_hz"].T + w["b_z"], h @ w["W_hr"].T + w["b_r"])


def gru2(w: Weights, x: Array, h: Array) -> States:
    return _dey(w, x, h, h @ w["W_hz"].T, h @ w["W_hr"].T)


def gru3(w: Weights, x: Array, h: Array) -> States:
    return _dey(w, x, h, w["b_z"], w["b_r"])


def mut1(w: Weights, x: Array, h: Array) -> States:
    z = sigma(x @ w["W_xz"].T + w["b_z"])
    r = sigma(x @ w["W_xr"].T + h @ w["W_hr"].T + w["b_r"])
    wide = x @ w["W_xh"].T if "W_xh" in w else x
    return (tanh((r * h) @ w["W_hh"].T + tanh(wide) + w["b_h"]) * z + h * (1 - z),)


def mut2(w: Weights, x: Array, h: Array) -> States:
    z = sigma(x @ w["W_xz"].T + h @ w["W_hz"].T + w["b_z"])
    wide = x @ w["W_xr"].T if "W_xr" in w else x
    r = sigma(wide + h @ w["W_hr"].T + w["b_r"])
    return (tanh((r * h) @ w["W_hh"].T + x @ w["W_xh"].T + w["b_h"]) * z + h * (1 - z),)


def mut3(w: Weights, x: Array, h: Array) -> States:
    z = sigma(x @ w["W_xz"].T + tanh(h) @ w["W_hz"].T + w["b_z"])
    r = sigma(x @ w["W_xr"].T + h @ w["W_hr"].T + w["b_r"])
    return (tanh((r * h) @ w["W_hh"].T + x @ w["W_xh"].T + w["b_h"]) * z + h * (1 - z),)


def li_gru(w: Weights, x: Array, h: Array) -> States:
    z = sigma(total(w, "z", x=x, h=h))
    return (z * h + (1 - z) * relu(total(w, "h", x=x, h=h)),)


def mi_gru(w: Weights, x: Array, h: Array) -> States:
    z, r = sigma(integration(w, "z", x, h)), sigma(integration(w, "r", x, h))
    return (z * h + (1 - z) * tanh(integration(w, "h", x, r * h)),)


def diagonal_gru(w: Weights, x: Array, h: Array) -> States:
    """Danieli et al., ParaGRU."""
    z = sigma(w["w_hz"] * h + x @ w["W_xz"].T + w["b_z"])
    r = sigma(w["w_hr"] * h + x @ w["W_xr"].T + w["b_r"])
    c = tanh(w["w_hh"] * (h * r) + x @ w["W_xh"].T + w["b_h"])
    return ((1 - z) * h + z * c,)


def _wider(h: int, d: int) -> int:
    return 0 if h == d else h * d


TWINS = {
    "gru1": Twin(gru1, lambda h, d: 2 * h * (h + 1) + h * (d + h + 1)),
    "gru2": Twin(gru2, lambda h, d: 2 * h * h + h * (d + h + 1)),
    "gru3": Twin(gru3, lambda h, d: 2 * h + h * (d + h + 1)),
    "mut1": Twin(mut1, lambda h, d: h * (d + 1) + h * (d + h + 1) + h * (h + 1) + _wider(h, d)),
    "mut2": Twin(mut2, lambda h, d: 2 * h * (d + h + 1) + h * (h + 1) + _wider(h, d)),
    "mut3": Twin(mut3, lambda h, d: 3 * h * (d + h + 1)),
    "li-gru": Twin(li_gru, lambda h, d: 2 * h * (d + h + 1)),
    "mi-gru": Twin(mi_gru, lambda h, d: 3 * h * (d + h + 4)),
    "indy-gru": Twin(diagonal_gru, lambda h, d: 3 * h * (d + 2)),
    "para-gru": Twin(diagonal_gru, lambda h, d: 3 * h * (d + 2)),
}
