"""Networks whose matrix on the state has a structure; `V` is what a matrix is made of."""

import numpy as np
import torch

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


def _turns(theta: Array, n: int, gamma: Array | None = None) -> Array:
    """The matrix that turns pairs of n units, and scales them; an odd last one stays."""
    found = np.eye(n)
    for pair in range(n // 2):
        c, s = np.cos(theta[pair]), np.sin(theta[pair])
        place = slice(2 * pair, 2 * pair + 2)
        found[place, place] = np.array([[c, -s], [s, c]]) * (1.0 if gamma is None else gamma[pair])
    return found


def svd_rnn(w: Weights, x: Array, h: Array) -> States:
    """Zhang et al. 2018: U Σ Vᵀ as a matrix."""
    one = np.eye(h.shape[1])
    U, V = one, one
    for number in range(1, min(h.shape[1], 4) + 1):
        u, v = w[f"g_hu{number}"], w[f"g_vu{number}"]
        U, V = U @ (one - 2 * np.outer(u, u) / (u @ u)), V @ (one - 2 * np.outer(v, v) / (v @ v))
    inside = h @ (U @ np.diag(2 * 0.01 * (sigma(w["s"]) - 0.5) + 1) @ V).T + x @ w["W_xh"].T + w["b_h"]
    return (relu(inside),)


def nn_rnn(w: Weights, x: Array, h: Array) -> States:
    """Kerg et al. 2019: a Schur form."""
    n, P = h.shape[1], _exponential(w["V_hh"])
    above = np.array([[w["T_hh"][i, j] if i // 2 < j // 2 else 0.0 for j in range(n)] for i in range(n)])
    W = P @ (_turns(w["theta_hh"], n, w["gamma_hh"]) + above) @ P.T
    return (modrelu(h @ W.T + x @ w["W_xh"].T, w["b_h"]),)


def eunn(w: Weights, x: Array, h: Array) -> States:
    """Jing et al. 2017: two layers of rotations of neighbours, paired as in the authors' code."""
    n, turned = h.shape[1], h.copy()
    for first, name in enumerate(("theta_hh", "phi_hh")):
        for pair in range((n - first) // 2):
            i, j = 2 * pair + first, 2 * pair + first + 1
            c, s = np.cos(w[name][0, pair]), np.sin(w[name][0, pair])
            turned[:, i], turned[:, j] = (
                c * turned[:, i] - s * turned[:, j],
                s * turned[:, i] + c * turned[:, j],
            )
    return (modrelu(turned + x @ w["W_xh"].T, w["b_h"]),)


def u_rnn(w: Weights, x: Array, h: Array) -> States:
    """Arjovsky et al. 2016, row by row in complex numbers."""
    n = h.shape[1] // 2
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n)).numpy()
    D, mirrors = np.exp(1j * w["theta_hh"]), w["u_hh"]

    def mirror(z: Array, v: Array) -> Array:
        return z - 2 * v * (np.conj(v) @ z) / np.linalg.norm(v) ** 2

    new = []
    for state, one in zip(h, x, strict=True):
        z = np.fft.fft(D[0] * (state[:n] + 1j * state[n:]), norm="ortho")
        z = D[1] * mirror(z, mirrors[0] + 1j * mirrors[1])[order]
        z = D[2] * mirror(np.fft.ifft(z, norm="ortho"), mirrors[2] + 1j * mirrors[3])
        pre = w["W_xh"] @ one
        z = z + pre[:n] + 1j * pre[n:]
        z = z / np.abs(z) * relu(np.abs(z) + w["b_h"])
        new.append(np.concatenate([z.real, z.imag]))
    state = np.stack(new)
    return state @ w["W_ry"].T + w["b_y"], state


def rot_rnn(w: Weights, x: Array, h: Array) -> States:
    """Biegun et al. 2024, as their code scales the input."""
    P, gamma = _exponential(w["V_hh"]), np.exp(-np.exp(w["gamma"]))
    h = gamma * h @ (P @ _turns(w["theta_hh"], h.shape[1]) @ P.T).T
    B = w["V_xh"]
    h = h + np.sqrt((1 - gamma**2) / np.trace(B.T @ B)) * (x @ B.T)
    return h @ w["W_ry"].T + x @ w["W_xy"].T, h


TWINS = {
    "svd-rnn": Twin(svd_rnn, lambda h, d: h * (d + 1) + 2 * min(h, 4) * h + h),
    "nn-rnn": Twin(nn_rnn, lambda h, d: h * (d + 1) + 2 * h * h + 2 * (h // 2)),
    "eunn": Twin(eunn, lambda h, d: h * (d + 1) + h // 2 + (h - 1) // 2),
    "u-rnn": Twin(u_rnn, lambda h, d: 7 * h + 2 * h * d + h + 2 * h * h + h + 2 * h),
    "rot-rnn": Twin(rot_rnn, lambda h, d: h * h + h // 2 + 1 + 2 * h * d + h * h),
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
