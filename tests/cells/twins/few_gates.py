"""Units with one gate or two."""

import numpy as np

from .formulas import Array, States, Twin, Weights, hard_sigma, relu, sigma, softplus, total

tanh = np.tanh


def _mgu(w: Weights, x: Array, h: Array, gate: Array) -> States:
    f = sigma(gate)
    return ((1 - f) * h + f * tanh(x @ w["W_xh"].T + (f * h) @ w["W_hh"].T + w["b_h"]),)


def mgu(w: Weights, x: Array, h: Array) -> States:
    return _mgu(w, x, h, np.concatenate([h, x], 1) @ np.concatenate([w["W_hf"], w["W_xf"]], 1).T + w["b_f"])


def mgu1(w: Weights, x: Array, h: Array) -> States:
    return _mgu(w, x, h, h @ w["W_hf"].T + w["b_f"])


def mgu2(w: Weights, x: Array, h: Array) -> States:
    return _mgu(w, x, h, h @ w["W_hf"].T)


def mgu3(w: Weights, x: Array, h: Array) -> States:
    return _mgu(w, x, h, w["b_f"])


def janet(w: Weights, x: Array, h: Array) -> States:
    s = total(w, "f", x=x, h=h)
    return (sigma(s) * h + (1 - sigma(s - 1)) * tanh(total(w, "h", x=x, h=h)),)


def ugrnn(w: Weights, x: Array, h: Array) -> States:
    g = sigma(total(w, "g", x=x, h=h))
    return (g * h + (1 - g) * tanh(total(w, "h", x=x, h=h)),)


def intersection(w: Weights, x: Array, h: Array) -> States:
    into_y, into_h = relu(total(w, "y", x=x, h=h)), tanh(total(w, "h", x=x, h=h))
    for_y, for_h = sigma(total(w, "u", x=x, h=h)), sigma(total(w, "g", x=x, h=h))
    wide = x @ w["W_xs"].T if "W_xs" in w else x
    return for_y * wide + (1 - for_y) * into_y, for_h * h + (1 - for_h) * into_h


def ran(w: Weights, x: Array, h: Array, c: Array) -> States:
    content = x @ w["W_xc"].T
    new = sigma(total(w, "i", x=x, h=h)) * content + sigma(total(w, "f", x=x, h=h)) * c
    return tanh(new), new


def cfn(w: Weights, x: Array, h: Array) -> States:
    theta, eta = sigma(total(w, "theta", x=x, h=h)), sigma(total(w, "eta", x=x, h=h))
    return (theta * tanh(h) + eta * tanh(x @ w["W_xh"].T),)


def atr(w: Weights, x: Array, h: Array) -> States:
    p, q = x @ w["W_xp"].T, h @ w["W_hp"].T
    return (sigma(p + q) * p + sigma(p - q) * h,)


def minimal(w: Weights, x: Array, h: Array) -> States:
    z = tanh(x @ w["W_xz"].T + w["b_z"])
    u = sigma(h @ w["W_hu"].T + z @ w["W_zu"].T + w["b_u"])
    return (u * h + (1 - u) * z,)


def sgrn(w: Weights, x: Array, h: Array) -> States:
    p = x @ w["W_xp"].T + w["b_xp"]
    f = sigma(p + h @ w["W_hp"].T + w["b_hp"])
    return (tanh((1 - f) * p + f * h),)


def sgu(w: Weights, x: Array, h: Array) -> States:
    gated = tanh((total(w, "g", x=x) * h) @ w["W_hg"].T)
    z = hard_sigma(total(w, "z", x=x, h=h))
    out = sigma((gated * h) @ w["W_hn"].T) if "W_hn" in w else softplus(gated * h)
    return ((1 - z) * h + z * out,)


def light(w: Weights, x: Array, h: Array) -> States:
    f = sigma(total(w, "f", x=x, h=h))
    return ((1 - f) * h + f * tanh(total(w, "h", x=x)),)


def star(w: Weights, x: Array, h: Array) -> States:
    z, k = tanh(total(w, "z", x=x)), sigma(total(w, "k", x=x, h=h))
    return (tanh((1 - k) * h + k * z),)


def delta(w: Weights, x: Array, h: Array) -> States:
    of_h, of_x = h @ w["W_hh"].T, x @ w["W_xh"].T
    d1 = w["alpha"] * of_h * of_x
    d2 = w["beta1"] * of_h + w["beta2"] * of_x
    r = sigma(of_x + w["b_r"])
    return (tanh((1 - r) * tanh(d1 + d2) + r * h),)


def miru1(w: Weights, x: Array, h: Array) -> States:
    r = sigma(total(w, "r", x=x, h=h))
    return (0.5 * h + 0.5 * tanh(total(w, "h", x=x, h=r * h)),)


def miru2(w: Weights, x: Array, h: Array) -> States:
    return (0.5 * h + 0.5 * tanh(total(w, "h", x=x, h=h / 2)),)


def brc(w: Weights, x: Array, h: Array) -> States:
    a = 1 + tanh(x @ w["W_xa"].T + w["w_ha"] * h + w["b_a"])
    c = sigma(x @ w["W_xc"].T + w["w_hc"] * h + w["b_c"])
    return (c * h + (1 - c) * tanh(x @ w["W_xh"].T + a * h + w["b_h"]),)


def nbrc(w: Weights, x: Array, h: Array) -> States:
    a = 1 + tanh(x @ w["W_xa"].T + h @ w["W_ha"].T + w["b_a"])
    c = sigma(x @ w["W_xc"].T + h @ w["W_hc"].T + w["b_c"])
    return (c * h + (1 - c) * tanh(x @ w["W_xh"].T + a * h + w["b_h"]),)


def fast_rnn(w: Weights, x: Array, h: Array) -> States:
    return (sigma(w["alpha"]) * tanh(total(w, "h", x=x, h=h)) + sigma(w["beta"]) * h,)


def fast_grnn(w: Weights, x: Array, h: Array) -> States:
    both = x @ w["W_xh"].T + h @ w["W_hh"].T
    z, new = sigma(both + w["b_z"]), tanh(both + w["b_h"])
    return ((sigma(w["zeta"]) * (1 - z) + sigma(w["nu"])) * new + z * h,)


def _wider(h: int, d: int) -> int:
    return 0 if h == d else h * d


def _gates(number: int):  # type: ignore[no-untyped-def]
    return lambda h, d: number * h * (d + h + 1)


TWINS = {
    "mgu": Twin(mgu, _gates(2)),
    "mgu1": Twin(mgu1, lambda h, d: h * (h + 1) + h * (d + h + 1)),
    "mgu2": Twin(mgu2, lambda h, d: h * h + h * (d + h + 1)),
    "mgu3": Twin(mgu3, lambda h, d: h + h * (d + h + 1)),
    "janet": Twin(janet, _gates(2)),
    "ugrnn": Twin(ugrnn, _gates(2)),
    "intersection-rnn": Twin(intersection, lambda h, d: 4 * h * (d + h + 1) + _wider(h, d)),
    "ran": Twin(ran, lambda h, d: 2 * h * (d + h + 1) + h * d),
    "cfn": Twin(cfn, lambda h, d: 2 * h * (d + h + 1) + h * d),
    "atr": Twin(atr, lambda h, d: h * (d + h)),
    "minimal-rnn": Twin(minimal, lambda h, d: h * (d + 1) + h * (2 * h + 1)),
    "sgrn": Twin(sgrn, lambda h, d: h * (d + h + 2)),
    "sgu": Twin(sgu, lambda h, d: h * (d + h + 1) + h * (d + h + 1)),
    "dsgu": Twin(sgu, lambda h, d: h * (d + h + 1) + h * (d + h + 1) + h * h),
    "light-ru": Twin(light, lambda h, d: h * (d + h + 1) + h * (d + 1)),
    "star": Twin(star, lambda h, d: h * (d + h + 1) + h * (d + 1)),
    "delta-rnn": Twin(delta, lambda h, d: h * (d + h) + 4 * h),
    "miru1": Twin(miru1, _gates(2)),
    "miru2": Twin(miru2, _gates(1)),
    "brc": Twin(brc, lambda h, d: 3 * h * (d + 1) + 2 * h),
    "nbrc": Twin(nbrc, lambda h, d: 3 * h * (d + 1) + 2 * h * h),
    "fast-rnn": Twin(fast_rnn, lambda h, d: h * (d + h + 1) + 2),
    "fast-grnn": Twin(fast_grnn, lambda h, d: h * (d + h) + 2 * h + 2),
}
