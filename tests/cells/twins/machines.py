"""A computer, modules, a grid, diagonal states and rotations that add up: equations typed a second time.

Cases for `test_memories.py`: a cell, its step in numpy, and its number of weights by hand, for 6 inputs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nabi import cells
from nabi.cells import Cell

from .formulas import Array, Weights, relu, sigma, softplus
from .memories import flat, lin, softmax

tanh = np.tanh


def dnc(
    w: Weights, x: Array, h: Array, c: Array, r: Array, p: Array, wr: Array, u: Array, *more: Array
) -> tuple[Array, ...]:
    """Graves et al. 2016, methods; rows are sorted by usage, row by row of the batch."""
    g, L, M = more
    gates = {k: sum(lin(w, f"W_{n}{k}", a) for n, a in zip("xhr", (x, h, r), strict=True)) for k in "ifoc"}
    gates = {k: value + w[f"b_{k}"] for k, value in gates.items()}
    c = sigma(gates["f"]) * c + sigma(gates["i"]) * tanh(gates["c"])
    h = sigma(gates["o"]) * tanh(c)
    p, M, L = p.reshape(-1, 2, 4), M.reshape(-1, 4, 3), L.reshape(-1, 4, 4)
    free = sigma(lin(w, "W_nf", h, bias="b_nf"))
    u = (u + wr - u * wr) * (1 - free[:, :1] * p[:, 0]) * (1 - free[:, 1:] * p[:, 1])
    erase, add = sigma(lin(w, "W_ve", h, bias="b_ve")), lin(w, "W_va", h, bias="b_va")
    to_unused, to_any = (sigma(lin(w, f"W_og{one}", h, bias=f"b_og{one}"))[:, 0] for one in "uw")
    write_key, write_strength = lin(w, "W_kwk", h, bias="b_kwk"), lin(w, "W_nws", h, bias="b_nws")[:, 0]
    read_keys = lin(w, "W_krk", h, 2, 3, bias="b_krk")
    strengths, modes = lin(w, "W_nrs", h, bias="b_nrs"), softmax(lin(w, "W_mm", h, 2, 3, bias="b_mm"))

    def by_content(memory: Array, key: Array, strength: float) -> Array:
        sizes = np.sqrt(((memory**2).sum(1) + 1e-6) * ((key**2).sum() + 1e-6))
        return softmax((1 + softplus(strength)) * (memory @ key) / sizes)

    new_w, new_g, new_p = np.empty_like(wr), np.empty_like(g), np.empty_like(p)
    new_L, new_M = np.empty_like(L), np.empty_like(M)
    for row in range(len(x)):
        used = 1e-6 + (1 - 1e-6) * u[row]
        allocated, product = np.empty(4), 1.0
        for place in np.argsort(np.round(1e5 * used), kind="stable"):
            allocated[place] = (1 - used[place]) * product
            product *= used[place]
        share = by_content(M[row], write_key[row], write_strength[row])
        write = to_any[row] * (to_unused[row] * allocated + (1 - to_unused[row]) * share)
        new_M[row] = M[row] * (1 - np.outer(write, erase[row])) + np.outer(write, add[row])
        for i in range(4):
            for j in range(4):
                kept = (1 - write[i] - write[j]) * L[row, i, j]
                new_L[row, i, j] = 0.0 if i == j else kept + write[i] * g[row, j]
        new_w[row], new_g[row] = write, (1 - write.sum()) * g[row] + write
        for head in range(2):
            back, key, on = modes[row, head]
            share = by_content(new_M[row], read_keys[row, head], strengths[row, head])
            old = p[row, head]
            new_p[row, head] = back * (new_L[row].T @ old) + key * share + on * (new_L[row] @ old)
    read = flat(np.einsum("brn,bnw->brw", new_p, new_M))
    y = h @ w["W_hy"].T + read @ w["W_ry"].T + w["b_y"]
    return y, h, c, read, flat(new_p), new_w, u, new_g, flat(new_L), flat(new_M)


def rim(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    """Goyal et al. 2021, section 2, module by module: 3 of 2 units, of which 2 act."""
    h, c = h.reshape(-1, 3, 2), c.reshape(-1, 3, 2)

    def own(name: str, module: int, width: int, size: int) -> Array:
        return w[name].reshape(3, width, size)[module].T

    new_h, new_c = h.copy(), c.copy()
    for row in range(len(x)):
        key, value = w["W_kw"] @ x[row], w["W_vv"] @ x[row]
        wants = []
        for module in range(3):
            question = own("R_hw", module, 2, 4) @ h[row, module]
            wants.append(softmax(np.array([question @ key / 2, 0.0]))[0])
        active = sorted(range(3), key=lambda module: -wants[module])[:2]
        between = h[row].copy()
        for module in active:
            read = wants[module] * value
            i, f, o, new = (
                own(f"R_v{k}", module, 5, 2) @ read
                + own(f"R_h{k}", module, 2, 2) @ h[row, module]
                + w[f"b_{k}"].reshape(3, 2)[module]
                for k in "ifoc"
            )
            new_c[row, module] = sigma(f) * c[row, module] + sigma(i) * tanh(new)
            between[module] = sigma(o) * tanh(new_c[row, module])
        asked, answers, said = (
            np.stack([own(f"R_{name}", module, 2, size) @ between[module] for module in range(3)])
            for name, size in (("dq", 7), ("dk", 7), ("ee", 2))
        )
        for module in active:
            shares = softmax(answers @ asked[module] / np.sqrt(7))
            new_h[row, module] = between[module] + shares @ said
    return flat(new_h), flat(new_c)


def grid(w: Weights, x: Array, h1: Array, m1: Array, h2: Array, m2: Array) -> tuple[Array, ...]:
    """Kalchbrenner et al. 2016, equations 1 and 5; depth reads what time gives."""

    def lstm(name: str, below: Array, before: Array, memory: Array) -> tuple[Array, Array]:
        u, f, o, c = (
            below @ w[f"W_d{name}{gate}"].T + before @ w[f"W_h{name}{gate}"].T + w[f"b_{name}{gate}"]
            for gate in "ifoc"
        )
        memory = sigma(f) * memory + sigma(u) * tanh(c)
        return tanh(sigma(o) * memory), memory

    up, rising = lin(w, "W_xh", x), lin(w, "W_xm", x)
    h1, m1 = lstm("t1", up, h1, m1)
    up, rising = lstm("d1", up, h1, rising)
    h2, m2 = lstm("t2", up, h2, m2)
    up, rising = lstm("d2", up, h2, rising)
    return up, h1, m1, h2, m2


def dss(length: int | None) -> Callable[..., tuple[Array, ...]]:
    def step(w: Weights, x: Array, re: Array, im: Array) -> tuple[Array, ...]:
        """Gupta et al. 2022, proposition 1, in complex numbers: modes × channels."""
        lam = (-np.exp(w["log_A"]) + 1j * w["A_im"])[:, None]
        exponent = lam * np.exp(w["log_step"])
        s = np.exp(exponent) * (re + 1j * im).reshape(-1, 3, 6) + x[:, None]
        if length is None:
            share = np.exp(exponent) - 1
        else:
            share = 1 / np.exp(exponent * np.arange(length)[:, None, None]).sum(0)
        W = (w["W_re"] + 1j * w["W_im"]).reshape(3, 6)
        return (W * share / lam * s).sum(1).real + w["w_xy"] * x, flat(s.real), flat(s.imag)

    return step


def rum(w: Weights, x: Array, h: Array, R: Array) -> tuple[Array, ...]:
    """Dangovski et al. 2019 with λ = 1 and η = 1.5: R is multiplied by the rotation as a matrix."""
    e = x @ w["W_xe"].T + w["b_e"]
    target, gate = (x @ w[f"W_x{k}"].T + h @ w[f"W_h{k}"].T + w[f"b_{k}"] for k in "qu")
    R, turned = R.reshape(-1, 6, 6).copy(), np.empty_like(h)
    for row in range(len(h)):
        first = e[row] / np.linalg.norm(e[row])
        second = target[row] - (first @ target[row]) * first
        second = second / np.linalg.norm(second)
        cosine = first @ target[row] / np.linalg.norm(target[row])
        sine, plane = np.sqrt(1 - cosine**2), np.stack([first, second], 1)
        rotation = np.eye(6) - plane @ plane.T + plane @ np.array([[cosine, -sine], [sine, cosine]]) @ plane.T
        R[row] = R[row] @ rotation
        turned[row] = R[row] @ h[row]
    new = sigma(gate) * h + (1 - sigma(gate)) * relu(e + turned)
    return 1.5 * new / np.linalg.norm(new, axis=1, keepdims=True), flat(R)


CASES: list[tuple[str, Cell, Callable[..., Any], int]] = [
    # DNC: the controller, what heads say (free, keys, strengths, gates, modes, erase, add), and the output
    (
        "dnc",
        cells.DNC(6, rows=4, width=3, reads=2),
        dnc,
        4 * 6 * (6 + 6 + 6 + 1) + 7 * (2 + 3 + 1 + 6 + 2 + 2 + 6 + 3 + 3) + 6 * (6 + 6 + 1),
    ),
    (
        "rim",
        cells.RIM(6, modules=3, active=2, keys=4, values=5, communication_keys=7),
        rim,
        4 * 6 + 5 * 6 + 3 * (2 * 4 + 2 * 2 * 7 + 2 * 2) + 3 * 4 * (5 * 2 + 2 * 2 + 2),
    ),
    ("grid-lstm", cells.GridLSTM(6), grid, 2 * 36 + 4 * 4 * 6 * 13),
    ("dss", cells.DSS(6, keys=3), dss(None), 2 * 3 + 2 * 6 + 2 * 18),
    ("dss", cells.DSS(6, keys=3, length=9), dss(9), 2 * 3 + 2 * 6 + 2 * 18),
    ("rum", cells.RUM(6, associative=True, length=1.5), rum, 2 * 6 * 13 + 6 * 7 + 36),
]
