"""Networks whose matrix on the state has a structure; `V` is what a matrix is made of."""

import numpy as np

from .formulas import Array, States, Twin, Weights, relu, sigma, total

tanh = np.tanh


def _antisymmetric(w: Weights) -> Array:
    return w["V_hh"] - w["V_hh"].T - 0.01 * np.eye(len(w["V_hh"]))


def antisymmetric(w: Weights, x: Array, h: Array) -> States:
    return (h + 0.1 * tanh(h @ _antisymmetric(w).T + x @ w["W_xh"].T + w["b_h"]),)


def gated(w: Weights, x: Array, h: Array) -> States:
    turned = h @ _antisymmetric(w).T
    z = sigma(turned + x @ w["W_xz"].T + w["b_z"])
    return (h + 0.1 * z * tanh(turned + x @ w["W_xh"].T + w["b_h"]),)


def lipschitz(w: Weights, x: Array, h: Array) -> States:
    """Erichson et al., equations 4 and 5."""

    def structured(m: Array) -> Array:
        return 0.25 * (m + m.T) + 0.75 * (m - m.T) - 0.001 * np.eye(len(m))

    inner = tanh(h @ structured(w["V_hh"]).T + x @ w["W_xh"].T + w["b_h"])
    return (h + 0.03 * (h @ structured(w["V_ha"]).T + inner),)


def modrelu(z: Array, b: Array) -> Array:
    return np.sign(z) * relu(np.abs(z) + b)


def _exponential(v: Array) -> Array:
    """exp(V - Vᵀ) by its eigenvalues, which are imaginary."""
    values, vectors = np.linalg.eigh(1j * (v - v.T))
    return np.real(vectors @ np.diag(np.exp(-1j * values)) @ vectors.conj().T)


def exp_rnn(w: Weights, x: Array, h: Array) -> States:
    return (modrelu(h @ _exponential(w["V_hh"]).T + x @ w["W_xh"].T, w["b_h"]),)


def sco_rnn(w: Weights, x: Array, h: Array) -> States:
    a, one = w["V_hh"] - w["V_hh"].T, np.eye(len(w["V_hh"]))
    return (modrelu(h @ (np.linalg.inv(one + a) @ (one - a)).T + x @ w["W_xh"].T, w["b_h"]),)


def goru(w: Weights, x: Array, h: Array) -> States:
    z, r = sigma(total(w, "z", x=x, h=h)), sigma(total(w, "r", x=x, h=h))
    turned = h @ _exponential(w["V_hq"]).T
    return (z * h + (1 - z) * modrelu(x @ w["W_xh"].T + r * turned, w["b_h"]),)


def rum(w: Weights, x: Array, h: Array) -> States:
    """Dangovski et al., the rotation as a matrix for each row."""
    e, target = total(w, "e", x=x), total(w, "q", x=x, h=h)
    u = sigma(total(w, "u", x=x, h=h))
    turned = np.empty_like(h)
    for row in range(len(h)):
        first = e[row] / np.linalg.norm(e[row])
        second = target[row] - (first @ target[row]) * first
        second = second / np.linalg.norm(second)
        cosine = first @ target[row] / np.linalg.norm(target[row])
        sine = np.sqrt(1 - cosine**2)
        plane = np.stack([first, second], 1)
        rotation = np.eye(h.shape[1]) - plane @ plane.T
        rotation = rotation + plane @ np.array([[cosine, -sine], [sine, cosine]]) @ plane.T
        turned[row] = rotation @ h[row]
    return (u * h + (1 - u) * relu(e + turned),)


def echo_state(w: Weights, x: Array, h: Array) -> States:
    return (tanh(total(w, "h", x=x, h=h)),)


def householder(w: Weights, x: Array, h: Array) -> States:
    """Mhammedi et al. 2017, equation 12: the product of the reflections as a matrix."""
    Q = np.eye(h.shape[1])
    for number in range(1, min(h.shape[1], 4) + 1):
        u = w[f"g_hu{number}"]
        Q = Q @ (np.eye(len(u)) - 2 * np.outer(u, u) / (u @ u))
    inside = h @ Q.T + x @ w["W_xh"].T + w["b_h"]
    return (np.where(inside > 0, inside, 0.2 * inside),)


TWINS = {
    "antisymmetric-rnn": Twin(antisymmetric, lambda h, d: h * (d + h + 1)),
    "gated-antisymmetric-rnn": Twin(gated, lambda h, d: h * h + 2 * h * (d + 1)),
    "lipschitz-rnn": Twin(lipschitz, lambda h, d: h * (d + 2 * h + 1)),
    "exp-rnn": Twin(exp_rnn, lambda h, d: h * (d + h + 1)),
    "sco-rnn": Twin(sco_rnn, lambda h, d: h * (d + h + 1)),
    "goru": Twin(goru, lambda h, d: 2 * h * (d + h + 1) + h * (d + h + 1)),
    "rum": Twin(rum, lambda h, d: 2 * h * (d + h + 1) + h * (d + 1)),
    "echo-state": Twin(echo_state, lambda h, d: h * (d + h + 1)),
    "householder-rnn": Twin(householder, lambda h, d: h * (d + 1) + min(h, 4) * h),
}
