"""Cells that read two inputs, the newest and the one before it, which is their last state."""

import numpy as np

from .formulas import Array, States, Twin, Weights, sigma, total

tanh = np.tanh


def t_gru(w: Weights, x: Array, h: Array, u: Array) -> States:
    f, z, o = (total(w, gate, x=x, u=u) for gate in "fzo")
    return sigma(f) * h + z * tanh(o), x


def t_lstm(w: Weights, x: Array, c: Array, u: Array) -> States:
    f, z, o = (total(w, gate, x=x, u=u) for gate in "fzo")
    c = sigma(f) * c + (1 - sigma(f)) * z
    return c * tanh(o), c, x


def qrnn(w: Weights, x: Array, c: Array, u: Array) -> States:
    """Bradbury et al., equations 1 and 4."""
    z, f, o = (total(w, gate, x=x, u=u) for gate in "zfo")
    c = sigma(f) * c + (1 - sigma(f)) * tanh(z)
    return sigma(o) * c, c, x


def rwkv4(w: Weights, x: Array, a: Array, b: Array, p: Array, before: Array) -> States:
    """Peng et al., equations 11 to 16 and appendix D, sums undone: numerators and denominators themselves."""
    mixes = {g: w[f"mu_{g}"] * x + (1 - w[f"mu_{g}"]) * before for g in "kvr"}
    k, v, r = (mix @ w[f"W_x{g}"].T for g, mix in mixes.items())
    above, below = a * np.exp(p), b * np.exp(p)
    bonus, decay = np.exp(w["u"] + k), np.exp(-np.exp(w["w"]))
    out = (sigma(r) * (above + bonus * v) / (below + bonus)) @ w["W_oy"].T
    above, below = decay * above + np.exp(k) * v, decay * below + np.exp(k)
    p = np.maximum(p - np.exp(w["w"]), k)
    return out, above / np.exp(p), below / np.exp(p), p, x


TWINS = {
    "typed-gru": Twin(t_gru, lambda h, d: 3 * h * (2 * d + 1)),
    "typed-lstm": Twin(t_lstm, lambda h, d: 3 * h * (2 * d + 1)),
    "qrnn": Twin(qrnn, lambda h, d: 3 * h * (2 * d + 1)),
    "rwkv-4": Twin(rwkv4, lambda h, d: 3 * d + 2 * h + 3 * h * d + h * h),
}
