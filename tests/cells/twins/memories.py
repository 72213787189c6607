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
    """Le et al. 2024: a calibration and an update, with values before keys, as in the authors' code."""
    q, k = (relu(lin(w, f"W_k{gate}", x, 2, 4)) for gate in "qk")
    q, k = q / (1e-5 + q.sum(-1, keepdims=True)), k / (1e-5 + k.sum(-1, keepdims=True))
    c, v = lin(w, "W_kc", x, 2, 4), lin(w, "W_vv", x, 2, 3)
    eta = sigma(lin(w, "W_ge", x))[..., None, None]
    calibration = 1 + tanh(np.einsum("hv,bhk->bhvk", w["g_vt"].reshape(2, 3), c))
    M = calibration * np.swapaxes(S.reshape(-1, 2, 4, 3), -1, -2) + eta * v[..., None] * k[:, :, None]
    return flat(np.einsum("bhvk,bhk->bhv", M, q)), flat(np.swapaxes(M, -1, -2))


def mesa(w: Weights, x: Array, S: Array, G: Array) -> tuple[Array, ...]:
    """Von Oswald et al. 2025, with the conjugate gradients of a textbook, head by head."""
    q, k = (unit(silu(lin(w, f"W_k{gate}", x, 2, 4))) for gate in "qk")
    v, beta = lin(w, "W_vv", x, 2, 3), sigma(lin(w, "W_gb", x, bias="b_gb"))[..., None, None]
    gamma = sigma(lin(w, "W_gg", x, bias="b_gg"))[..., None, None]
    G = gamma * G.reshape(-1, 2, 4, 4) + beta * k[..., None] * k[:, :, None]
    S = gamma * S.reshape(-1, 2, 4, 3) + beta * k[..., None] * v[:, :, None]
    least, y = 0.25 + softplus(w["g_kl"]).reshape(2, 4), np.empty_like(v)
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
    """Chandar et al. 2019, as in the authors' code: four pieces of a product, and their mean."""
    new = relu(sum(lin(w, f"W_{letter}h", a) for letter, a in (("x", x), ("h", h), ("m", m))) + w["b_h"])

    def gate(name: str, bias: str) -> Array:
        return lin(w, f"W_h{name}", new) + lin(w, f"W_m{name}", m) + w[f"b_{bias}{name}"]

    def change(name: str) -> Array:
        weights, one, two = gate(name, "w"), gate(f"{name}a", "v"), gate(f"{name}b", "v")
        found = np.empty((len(x), 9))
        for row in range(len(x)):
            pieces = np.outer(one[row], two[row]).reshape(4, 9)
            pieces = pieces / np.array([np.linalg.norm(piece, 5) for piece in pieces])[:, None]
            found[row] = (weights[row][:, None] * pieces).mean(0)
        return found

    return new, m + change("p") - change("e")


def ntm(
    w: Weights, x: Array, h: Array, c: Array, r: Array, p: Array, u: Array, M: Array
) -> tuple[Array, ...]:
    """Graves et al. 2014, equations 2 to 9, row by row of the batch."""
    M = M.reshape(-1, 4, 3)
    gates = {g: sum(lin(w, f"W_{n}{g}", a) for n, a in zip("xhr", (x, h, r), strict=True)) for g in "ifoc"}
    gates = {g: value + w[f"b_{g}"] for g, value in gates.items()}
    c = sigma(gates["f"]) * c + sigma(gates["i"]) * tanh(gates["c"])
    h = sigma(gates["o"]) * tanh(c)

    def head(name: str, row: int, old: Array, M: Array) -> Array:
        key = tanh(lin(w, f"W_k{name}k", h, bias=f"b_k{name}k"))[row]
        beta, g, power = (lin(w, f"W_n{name}{n}", h, bias=f"b_n{name}{n}")[row] for n in "bgs")
        moves = softmax(lin(w, f"W_m{name}m", h, bias=f"b_m{name}m"))[row]
        sizes = np.sqrt((M**2).sum(1) * (key**2).sum() + 1e-8)
        mixed = sigma(g) * softmax(softplus(beta) * (M @ key) / sizes) + (1 - sigma(g)) * old
        moved = moves @ np.stack([np.roll(mixed, -1), mixed, np.roll(mixed, 1)])
        sharp = moved ** (1 + softplus(power))
        return sharp / sharp.sum()

    erase, add = sigma(lin(w, "W_ke", h, bias="b_ke")), lin(w, "W_ka", h, bias="b_ka")
    writes, reads, memory = np.empty_like(u), np.empty_like(p), np.empty_like(M)
    for row in range(len(x)):
        writes[row] = head("w", row, u[row], M[row])
        memory[row] = M[row] * (1 - np.outer(writes[row], erase[row])) + np.outer(writes[row], add[row])
        reads[row] = head("r", row, p[row], memory[row])
    return h, c, np.einsum("bnw,bn->bw", memory, reads), reads, writes, flat(memory)


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


def ct_gru(w: Weights, x: Array, *traces: Array, delta: Array) -> tuple[Array, ...]:
    """Mozer et al. 2017: constants 1, √10 and 10; traces fade at the beginning of a step."""
    times = 10 ** (np.arange(3) / 2)
    m = np.stack(traces, 1) * np.exp(-delta[:, None, None] / times[:, None])
    h = m.sum(1)

    def chosen(gate: str) -> Array:
        wanted = lin(w, f"W_x{gate}", x) + lin(w, f"W_h{gate}", h) + w[f"b_{gate}"]
        return softmax(-((wanted[:, None] - np.log(times)[:, None]) ** 2), 1)

    new = tanh(lin(w, "W_xq", x) + lin(w, "W_hq", (chosen("r") * m).sum(1)) + w["b_q"])
    share = chosen("s")
    m = (1 - share) * m + share * new[:, None]
    return m.sum(1), *np.moveaxis(m, 1, 0)


CASES: list[tuple[str, Cell, Callable[..., Any], int]] = [
    ("abc", cells.ABC(6, heads=2, keys=4, slots=5), abc, 2 * 48 + 36 + 60),
    ("shm", cells.SHM(6, heads=2, keys=4), shm, 2 * 48 + 48 + 36 + 12 + 6),
    ("mesa-net", cells.MesaNet(6, heads=2, keys=4, iterations=2), mesa, 2 * 48 + 36 + 2 * 14 + 8),
    ("fast-weights", cells.FastWeights(6), fast_weights, 36 + 36 + 6 + 12),
    ("nru", cells.NRU(6, side=3), nru, 6 * 22 + 2 * (4 + 6 + 6) * 16),
    ("ntm", cells.NTM(6, rows=4, width=3), ntm, 4 * 6 * (6 + 6 + 3 + 1) + (6 + 2 * 9) * 7 + 8),
    ("quaternion-lstm", cells.QuaternionLSTM(6), quaternion, 4 * (2 * 16 + 6)),
    ("ct-gru", cells.CTGRU(6, scales=3), ct_gru, 3 * 78),
]
