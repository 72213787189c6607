"""Associative memories, a tape, quaternions and traces at several speeds: equations typed a second time.

Cases for `test_memories.py`: a cell, its step in numpy, and its number of weights by hand, for 6 inputs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nabi import cells
from nabi.cells import Cell

from .formulas import Array, Weights, relu, sigma, softplus

tanh = np.tanh


def lin(w: Weights, name: str, x: Array, *axes: int, bias: str = "") -> Array:
    found = x @ w[name].T + (w[bias] if bias else 0.0)
    return found.reshape(len(x), *axes) if axes else found


def flat(y: Array) -> Array:
    return y.reshape(len(y), -1)


def silu(v: Array) -> Array:
    return v * sigma(v)


def softmax(v: Array, axis: int = -1) -> Array:
    shares = np.exp(v - v.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


def unit(v: Array) -> Array:
    return v / np.sqrt((v * v).sum(-1, keepdims=True) + 1e-6)


def abc(w: Weights, x: Array, S: Array, V: Array, z: Array) -> tuple[Array, ...]:
    """Peng et al. 2022: sums of keys and values, divided by the sums of their weights."""
    phi = np.exp(lin(w, "W_pp", x, 2, 5))
    k, v = lin(w, "W_kk", x, 2, 4), lin(w, "W_vv", x, 2, 3)
    before = np.exp(z).reshape(-1, 2, 5)
    weight = before + phi
    keys = S.reshape(-1, 2, 4, 5) * before[:, :, None] + k[..., None] * phi[:, :, None]
    values = V.reshape(-1, 2, 5, 3) * before[..., None] + phi[..., None] * v[:, :, None]
    keys, values = keys / weight[:, :, None], values / weight[..., None]
    shares = softmax(np.einsum("bhkm,bhk->bhm", keys, lin(w, "W_kq", x, 2, 4)) / 2)
    return flat(np.einsum("bhmv,bhm->bhv", values, shares)), flat(keys), flat(values), flat(np.log(weight))


def shm(w: Weights, x: Array, S: Array) -> tuple[Array, ...]:
    """Le et al. 2024: a calibration and an update, matrices of the input."""
    q, k = (unit(relu(lin(w, f"W_k{gate}", x, 2, 4))) for gate in "qk")
    c, v = lin(w, "W_vc", x, 2, 3), lin(w, "W_vv", x, 2, 3)
    eta = sigma(lin(w, "W_ge", x, bias="b_ge"))[..., None, None]
    calibration = 1 + tanh(np.einsum("hk,bhv->bhkv", w["g_kt"].reshape(2, 4), c))
    S = calibration * S.reshape(-1, 2, 4, 3) + eta * k[..., None] * v[:, :, None]
    return flat(np.einsum("bhkv,bhk->bhv", S, q)), flat(S)


def mesa(w: Weights, x: Array, S: Array, G: Array) -> tuple[Array, ...]:
    """Von Oswald et al. 2025, with the conjugate gradients of a textbook, head by head."""
    q, k = (unit(silu(lin(w, f"W_k{gate}", x, 2, 4))) for gate in "qk")
    v, beta = lin(w, "W_vv", x, 2, 3), sigma(lin(w, "W_gb", x, bias="b_gb"))[..., None, None]
    gamma = sigma(lin(w, "W_gg", x, bias="b_gg"))[..., None, None]
    G = gamma * G.reshape(-1, 2, 4, 4) + beta * k[..., None] * k[:, :, None]
    S = gamma * S.reshape(-1, 2, 4, 3) + beta * k[..., None] * v[:, :, None]
    least, y = softplus(w["g_kl"]).reshape(2, 4), np.empty_like(v)
    for row in range(len(x)):
        for head in range(2):
            A = G[row, head].T + np.diag(least[head])
            solution = q[row, head] / least[head]
            rest = q[row, head] - A @ solution
            along = rest
            for _ in range(2):
                alpha = rest @ rest / (along @ A @ along)
                solution, new = solution + alpha * along, rest - alpha * (A @ along)
                rest, along = new, new + (new @ new) / (rest @ rest) * along
            y[row, head] = solution @ S[row, head]
    return flat(y), flat(S), flat(G)


def fast_weights(w: Weights, x: Array, h: Array, A: Array) -> tuple[Array, ...]:
    """Ba et al. 2016, with the matrix of the state before."""
    A = 0.95 * A.reshape(-1, 6, 6) + 0.5 * np.einsum("bi,bj->bij", h, h)
    slow = lin(w, "W_xh", x) + lin(w, "W_hh", h) + w["b_h"]
    pulled = slow + np.einsum("bij,bj->bi", np.swapaxes(A, 1, 2), relu(slow))
    normal = (pulled - pulled.mean(1, keepdims=True)) / np.sqrt(pulled.var(1, keepdims=True) + 1e-5)
    return relu(w["g_nh"] * normal + w["b_n"]), flat(A)


def nru(w: Weights, x: Array, h: Array, m: Array) -> tuple[Array, ...]:
    """Chandar et al. 2019: four vectors are added and four taken away."""
    new = relu(sum(lin(w, f"W_{letter}h", a) for letter, a in (("x", x), ("h", h), ("m", m))) + w["b_h"])

    def gate(name: str, bias: str) -> Array:
        terms = (("h", new), ("x", x), ("m", m))
        return relu(sum(lin(w, f"W_{letter}{name}", a) for letter, a in terms) + w[f"b_{bias}{name}"])

    def change(name: str) -> Array:
        weights, one, two = gate(name, "w"), gate(f"{name}a", "v"), gate(f"{name}b", "v")
        found = np.zeros_like(m)
        for number in range(2):
            piece = slice(3 * number, 3 * number + 3)
            both = np.einsum("bi,bj->bij", one[:, piece], two[:, piece]).reshape(len(x), 9)
            length = ((both**5).sum(1, keepdims=True) + 1e-6) ** 0.2
            found += weights[:, number, None] * both / length
        return found

    return new, m + change("p") - change("e")


def ntm(w: Weights, x: Array, h: Array, c: Array, r: Array, p: Array, M: Array) -> tuple[Array, ...]:
    """Graves et al. 2014, row by row of the batch."""
    M = M.reshape(-1, 4, 3)
    gates = {g: sum(lin(w, f"W_{n}{g}", a) for n, a in zip("xhr", (x, h, r), strict=True)) for g in "ifoc"}
    gates = {g: value + w[f"b_{g}"] for g, value in gates.items()}
    c = sigma(gates["f"]) * c + sigma(gates["i"]) * tanh(gates["c"])
    h = sigma(gates["o"]) * tanh(c)
    key, erase = tanh(lin(w, "W_kk", h, bias="b_kk")), sigma(lin(w, "W_ke", h, bias="b_ke"))
    add = lin(w, "W_ka", h, bias="b_ka")
    strength, gate, power = (lin(w, f"W_n{name}", h, bias=f"b_n{name}") for name in "bgs")
    moves = softmax(lin(w, "W_mm", h, bias="b_mm"))
    weights, memory = np.empty_like(p), np.empty_like(M)
    for row in range(len(x)):
        sizes = np.sqrt((M[row] ** 2).sum(1) * (key[row] ** 2).sum() + 1e-8)
        content = softmax(softplus(strength[row]) * (M[row] @ key[row]) / sizes)
        mixed = sigma(gate[row]) * content + (1 - sigma(gate[row])) * p[row]
        moved = moves[row] @ np.stack([np.roll(mixed, -1), mixed, np.roll(mixed, 1)])
        sharp = moved ** (1 + softplus(power[row]))
        weights[row] = sharp / sharp.sum()
        kept = M[row] * (1 - np.outer(weights[row], erase[row]))
        memory[row] = kept + np.outer(weights[row], add[row])
    return h, c, np.einsum("bnw,bn->bw", memory, weights), weights, flat(memory)


def quaternion(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    """Parcollet et al. 2019: Hamilton's product of quaternions, part by part; widths filled up to fours."""

    def product(gate: str, letter: str, value: Array) -> Array:
        a, b, k, d = (w[f"{part}_{letter}{gate}"] for part in "RIJK")
        wide = np.pad(value, ((0, 0), (0, 4 * a.shape[1] - value.shape[1])))
        p, q, s, t = np.split(wide, 4, 1)
        found = [
            p @ a.T - q @ b.T - s @ k.T - t @ d.T,
            p @ b.T + q @ a.T - s @ d.T + t @ k.T,
            p @ k.T + q @ d.T + s @ a.T - t @ b.T,
            p @ d.T - q @ k.T + s @ b.T + t @ a.T,
        ]
        return np.concatenate(found, 1)[:, :6]

    i, f, o, g = (product(gate, "x", x) + product(gate, "h", h) + w[f"b_{gate}"] for gate in "ifoc")
    c = sigma(f) * c + sigma(i) * tanh(g)
    return sigma(o) * tanh(c), c


def ct_gru(w: Weights, x: Array, m: Array, *, delta: Array) -> tuple[Array, ...]:
    """Mozer et al. 2017: constants 1, √10 and 10."""
    m, times = m.reshape(-1, 3, 6), 10 ** (np.arange(3) / 2)
    h = m.sum(1)

    def chosen(gate: str) -> Array:
        wanted = lin(w, f"W_x{gate}", x) + lin(w, f"W_h{gate}", h) + w[f"b_{gate}"]
        return softmax(-((wanted[:, None] - np.log(times)[:, None]) ** 2), 1)

    new = tanh(lin(w, "W_xq", x) + lin(w, "W_hq", (chosen("r") * m).sum(1)) + w["b_q"])
    share = chosen("s")
    m = ((1 - share) * m + share * new[:, None]) * np.exp(-delta[:, None, None] / times[:, None])
    return m.sum(1), flat(m)


CASES: list[tuple[str, Cell, Callable[..., Any], int]] = [
    ("abc", cells.ABC(6, heads=2, keys=4, slots=5), abc, 2 * 48 + 36 + 60),
    ("shm", cells.SHM(6, heads=2, keys=4), shm, 2 * 48 + 2 * 36 + 14 + 8),
    ("mesa-net", cells.MesaNet(6, heads=2, keys=4, iterations=2), mesa, 2 * 48 + 36 + 2 * 14 + 8),
    ("fast-weights", cells.FastWeights(6), fast_weights, 36 + 36 + 6 + 12),
    ("nru", cells.NRU(6, side=3, writes=2), nru, 6 * 22 + 2 * (2 + 6 + 6) * 22),
    ("ntm", cells.NTM(6, rows=4, width=3), ntm, 4 * 6 * (6 + 6 + 3 + 1) + (9 + 3 + 3) * 7 + 4),
    ("quaternion-lstm", cells.QuaternionLSTM(6), quaternion, 4 * (2 * 16 + 6)),
    ("ct-gru", cells.CTGRU(6, scales=3), ct_gru, 3 * 78),
]
