"""Differential equations, and cells that are linear in the state or keep a running maximum."""

import numpy as np

from .formulas import Array, States, Twin, Weights, sigma, softplus, total

tanh = np.tanh


def ct_rnn(w: Weights, x: Array, h: Array) -> States:
    return (h + (tanh(total(w, "h", x=x, h=h)) - h) / 10,)


def co_rnn(w: Weights, x: Array, y: Array, z: Array) -> States:
    """Rusch and Mishra, equation 3, with Δt .042, γ 2.7, ε 4.7."""
    inside = y @ w["W_hz"].T + z @ w["W_zz"].T + x @ w["W_xz"].T + w["b_z"]
    z = z + 0.042 * tanh(inside) - 0.042 * 2.7 * y - 0.042 * 4.7 * z
    return y + 0.042 * z, z


def unicornn(w: Weights, x: Array, y: Array, z: Array) -> States:
    time = 0.1 * (0.5 + 0.5 * tanh(w["c"] / 2))
    z = z - time * (tanh(w["w_hz"] * y + x @ w["W_xz"].T + w["b_z"]) + y)
    return y + time * z, z


def lem(w: Weights, x: Array, y: Array, z: Array) -> States:
    dt, dt_bar = sigma(total(w, "a", x=x, h=y)), sigma(total(w, "b", x=x, h=y))
    z = (1 - dt) * z + dt * tanh(total(w, "z", x=x, h=y))
    return (1 - dt_bar) * y + dt_bar * tanh(total(w, "h", x=x, z=z)), z


def t_rnn(w: Weights, x: Array, h: Array) -> States:
    f = sigma(total(w, "f", x=x))
    return (f * h + (1 - f) * total(w, "z", x=x),)


def sru(w: Weights, x: Array, c: Array) -> States:
    f = sigma(x @ w["W_xf"].T + w["w_cf"] * c + w["b_f"])
    r = sigma(x @ w["W_xr"].T + w["w_cr"] * c + w["b_r"])
    c = f * c + (1 - f) * (x @ w["W_xc"].T)
    wide = x @ w["W_xs"].T if "W_xs" in w else x
    return r * c + (1 - r) * wide * np.sqrt(3), c


def gilr(w: Weights, x: Array, h: Array) -> States:
    g = sigma(total(w, "g", x=x))
    return (g * h + (1 - g) * tanh(total(w, "i", x=x)),)


def gilr_lstm(w: Weights, x: Array, c: Array, s: Array) -> States:
    g = sigma(total(w, "g", x=x))
    f, i, o = (sigma(total(w, gate, x=x, s=s)) for gate in "fio")
    c = f * c + i * tanh(total(w, "c", x=x, s=s))
    return o * c, c, g * s + (1 - g) * tanh(total(w, "s", x=x))


def _positive(v: Array) -> Array:
    return np.where(v >= 0, v + 0.5, sigma(v))


def min_gru(w: Weights, x: Array, h: Array) -> States:
    z = sigma(total(w, "z", x=x))
    return ((1 - z) * h + z * _positive(total(w, "h", x=x)),)


def min_lstm(w: Weights, x: Array, h: Array) -> States:
    f, i = sigma(total(w, "f", x=x)), sigma(total(w, "i", x=x))
    return (f / (f + i) * h + i / (f + i) * _positive(total(w, "h", x=x)),)


def rg_lru(w: Weights, x: Array, h: Array) -> States:
    r, i = sigma(total(w, "a", x=x)), sigma(total(w, "i", x=x))
    a = np.exp(-8 * softplus(w["Lambda"]) * r)
    wide = x @ w["W_xs"].T if "W_xs" in w else x
    return (a * h + np.sqrt(1 - a**2) * (i * wide),)


def aaren(w: Weights, x: Array, a: Array, c: Array, m: Array) -> States:
    score = ((x @ w["W_xk"].T) @ w["w_kq"] / np.sqrt(a.shape[1]))[:, None]
    larger = np.where(c == 0, score, np.maximum(m, score))
    a = a * np.exp(m - larger) + x @ w["W_xv"].T * np.exp(score - larger)
    c = c * np.exp(m - larger) + np.exp(score - larger)
    return a / c, a, c, larger


def slstm(w: Weights, x: Array, h: Array, c: Array, n: Array, m: Array) -> States:
    i, f, z, o = (total(w, gate, x=x, h=h) for gate in "ifzo")
    larger = np.maximum(np.log(sigma(f)) + m, i)
    i, f = np.exp(i - larger), np.exp(np.log(sigma(f)) + m - larger)
    c, n = f * c + i * tanh(z), f * n + i
    return sigma(o) * c / n, c, n, larger


def _through(w: Weights, x: Array) -> Array:
    return w["w_xy"] * x if "w_xy" in w else x @ w["W_xy"].T


def lru(w: Weights, x: Array, re: Array, im: Array) -> States:
    """Orvieto et al., section 3, in complex numbers."""
    eigenvalues = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    inputs = w["W_xre"] + 1j * w["W_xim"]
    s = eigenvalues * (re + 1j * im) + np.exp(w["gamma"]) * (x @ inputs.T)
    out = (s @ (w["W_rey"] + 1j * w["W_imy"]).T).real + _through(w, x)
    return out, s.real, s.imag


def s5(w: Weights, x: Array, re: Array, im: Array) -> States:
    """Smith et al., equations 2 and 6: zero-order hold, in complex numbers."""
    eigenvalues, step = w["Lambda_re"] + 1j * w["Lambda_im"], np.exp(w["log_step"])
    bar = np.exp(eigenvalues * step)
    inputs = ((bar - 1) / eigenvalues)[:, None] * (w["W_xre"] + 1j * w["W_xim"])
    s = bar * (re + 1j * im) + x @ inputs.T
    return (s @ (w["W_rey"] + 1j * w["W_imy"]).T).real + _through(w, x), s.real, s.imag


def hgrn(w: Weights, x: Array, re: Array, im: Array) -> States:
    def silu(v: Array) -> Array:
        return v * sigma(v)

    f = sigma(total(w, "f", x=x))
    content = silu(total(w, "re", x=x)) + 1j * silu(total(w, "im", x=x))
    s = f * np.exp(1j * w["theta"]) * (re + 1j * im) + (1 - f) * content
    both = np.concatenate([s.real, s.imag], 1)
    both = (both - both.mean(1, keepdims=True)) / np.sqrt(both.var(1, keepdims=True) + 1e-5)
    both = both * np.concatenate([w["g_nre"], w["g_nim"]]) + np.concatenate([w["b_nre"], w["b_nim"]])
    gate = silu(np.concatenate([total(w, "gre", x=x), total(w, "gim", x=x)], 1))
    out = (both * gate) @ np.concatenate([w["W_rey"], w["W_imy"]], 1).T + w["b_y"]
    return out, s.real, s.imag


def linoss(w: Weights, x: Array, u: Array, z: Array) -> States:
    """Rusch and Rus, equation 3: the implicit step, solved as two equations for each unit."""
    stiffness, step = np.maximum(w["a"], 0), sigma(w["delta"])
    force = x @ w["W_xu"].T
    new_u, new_z = np.empty_like(u), np.empty_like(z)
    for unit in range(u.shape[1]):
        # z' = z + δ (-a u' + F);  u' = u + δ z'
        a, d = stiffness[unit], step[unit]
        right = np.stack([z[:, unit] + d * force[:, unit], u[:, unit]])
        new_z[:, unit], new_u[:, unit] = np.linalg.solve(np.array([[1, d * a], [-d, 1]]), right)
    return new_u @ w["W_uy"].T + _through(w, x), new_u, new_z


def lmu(w: Weights, x: Array, h: Array, m: Array) -> States:
    """Voelker et al., equations 5 to 7; the fixed matrices are weights here."""
    u = x @ w["W_xs"].T + h @ w["W_hs"].T + m @ w["W_ms"].T
    m = m @ w["W_mm"].T + u @ w["W_sm"].T
    return tanh(x @ w["W_xh"].T + h @ w["W_hh"].T + m @ w["W_mh"].T + w["b_h"]), m


def hippo(w: Weights, x: Array, h: Array, m: Array, n: Array) -> States:
    """Gu et al., section 2 and equation 4."""
    g = sigma(total(w, "g", x=x, h=h, m=m))
    h = (1 - g) * h + g * tanh(total(w, "h", x=x, h=h, m=m))
    signal = h @ w["W_hs"].T + w["b_s"]
    m = m - m @ w["W_mm"].T / (n + 1) + signal @ w["W_sm"].T / (n + 1)
    return h, m, n + 1


def _through_count(h: int, d: int) -> int:
    return h if h == d else h * d


def _wider(h: int, d: int) -> int:
    return 0 if h == d else h * d


TWINS = {
    "leaky-rnn": Twin(ct_rnn, lambda h, d: h * (d + h + 1)),
    "co-rnn": Twin(co_rnn, lambda h, d: h * (d + 2 * h + 1)),
    "unicornn": Twin(unicornn, lambda h, d: h * (d + 1) + 2 * h),
    "lem": Twin(lem, lambda h, d: 4 * h * (d + h + 1)),
    "typed-rnn": Twin(t_rnn, lambda h, d: 2 * h * (d + 1)),
    "sru": Twin(sru, lambda h, d: 3 * h * d + 4 * h + _wider(h, d)),
    "gilr": Twin(gilr, lambda h, d: 2 * h * (d + 1)),
    "gilr-lstm": Twin(gilr_lstm, lambda h, d: 2 * h * (d + 1) + 4 * h * (d + h + 1)),
    "min-gru": Twin(min_gru, lambda h, d: 2 * h * (d + 1)),
    "min-lstm": Twin(min_lstm, lambda h, d: 3 * h * (d + 1)),
    "rg-lru": Twin(rg_lru, lambda h, d: 2 * h * (d + 1) + h + _wider(h, d)),
    "lru": Twin(lru, lambda h, d: 3 * h + 2 * h * d + 2 * h * h + _through_count(h, d)),
    "s5": Twin(s5, lambda h, d: 3 * h + 2 * h * d + 2 * h * h + _through_count(h, d)),
    "hgrn": Twin(hgrn, lambda h, d: h + 5 * h * (d + 1) + 4 * h + 2 * h * h + h),
    "linoss": Twin(linoss, lambda h, d: 2 * h + h * d + h * h + _through_count(h, d)),
    "lmu": Twin(lmu, lambda h, d: d + h + 8 + 8 * 8 + 8 + h * (d + h + 8 + 1)),
    "hippo": Twin(hippo, lambda h, d: 2 * h * (d + h + 8 + 1) + h + 1 + 8 * 8 + 8),
    "aaren": Twin(aaren, lambda h, d: 2 * h * d + h),
    "slstm": Twin(slstm, lambda h, d: 4 * h * (d + h + 1)),
}
