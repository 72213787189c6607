"""Cells that read two inputs; what they hand on is the product with the earlier one."""

import numpy as np

from .formulas import Array, States, Twin, Weights, sigma

tanh = np.tanh


def _sums(w: Weights, x: Array, gates: str, held: States) -> tuple[list[Array], States]:
    now = [x @ w[f"W_x{g}"].T + q + w[f"b_{g}"] for g, q in zip(gates, held, strict=True)]
    return now, tuple(x @ w[f"W_u{g}"].T for g in gates)


def t_gru(w: Weights, x: Array, h: Array, *held: Array) -> States:
    (f, z, o), handed_on = _sums(w, x, "fzo", held)
    return sigma(f) * h + z * tanh(o), *handed_on


def t_lstm(w: Weights, x: Array, h: Array, c: Array, *held: Array) -> States:
    (f, z, o), handed_on = _sums(w, x, "fzo", held)
    c = sigma(f) * c + (1 - sigma(f)) * z
    return c * tanh(o), c, *handed_on


def qrnn(w: Weights, x: Array, h: Array, c: Array, *held: Array) -> States:
    (z, f, o), handed_on = _sums(w, x, "zfo", held)
    c = sigma(f) * c + (1 - sigma(f)) * tanh(z)
    return sigma(o) * c, c, *handed_on


def rwkv4(w: Weights, x: Array, y: Array, a: Array, b: Array, p: Array, *held: Array) -> States:
    """Peng et al., equations 11 to 16 and appendix D, sums undone: numerators and denominators themselves."""
    k, v, r = ((w[f"mu_{g}"] * x) @ w[f"W_x{g}"].T + q for g, q in zip("kvr", held, strict=True))
    above, below = a * np.exp(p), b * np.exp(p)
    bonus, decay = np.exp(w["u"] + k), np.exp(-np.exp(w["w"]))
    out = (sigma(r) * (above + bonus * v) / (below + bonus)) @ w["W_oy"].T
    above, below = decay * above + np.exp(k) * v, decay * below + np.exp(k)
    p = np.maximum(p - np.exp(w["w"]), k)
    handed_on = (((1 - w[f"mu_{g}"]) * x) @ w[f"W_x{g}"].T for g in "kvr")
    return out, above / np.exp(p), below / np.exp(p), p, *handed_on


TWINS = {
    "typed-gru": Twin(t_gru, lambda h, d: 3 * h * (2 * d + 1)),
    "typed-lstm": Twin(t_lstm, lambda h, d: 3 * h * (2 * d + 1)),
    "qrnn": Twin(qrnn, lambda h, d: 3 * h * (2 * d + 1)),
    "rwkv-4": Twin(rwkv4, lambda h, d: 3 * d + 2 * h + 3 * h * d + h * h),
}
