"""Cells with matrix states beside equations typed again in numpy, and beside other people's loops."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nabi import cells
from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.scan import scan

Array = np.ndarray
UNITS, HEADS, KEYS, INPUTS, BATCH, TIME = 8, 2, 3, 5, 3, 6
VALUES = UNITS // HEADS
LEARNERS = {
    "delta-product", "gsa", "titans", "ttt", "gate-loop", "abc", "mesa-net", "shm", "fast-weights",
}  # fmt: skip
"""Cells whose equations are typed a second time beside those of other memories, in `test_memories.py`."""
NAMES = [name for name in cells.names("matrix") if name not in LEARNERS]


class Given:
    """A cell with weights, inputs and states, and what its equations call these."""

    def __init__(self, name: str, **more: Any) -> None:
        torch.manual_seed(NAMES.index(name))
        options = {"heads": HEADS, "keys": KEYS, **more}
        self.program: Program = cells.get(name)(UNITS, **options).program(INPUTS)
        double = torch.float64
        self.families = [torch.randn(f.shape, dtype=double) * 0.5 for f in self.program.families]
        self.x = torch.randn(BATCH, TIME, INPUTS, dtype=double)
        widths = self.program.state_widths
        self.states = [torch.randn(BATCH, width, dtype=double) * 0.5 for width in widths]

    def run(self) -> tuple[Array, dict[str, Array]]:
        output, finals, _ = scan(self.program, self.x, self.states, self.families)
        named = dict(zip(self.program.state_names, finals, strict=True))
        return output.numpy(), {name: value.numpy() for name, value in named.items()}

    def weight(self, name: str) -> Array:
        family, rows = self.program.family_of(name)
        return self.families[family][rows].numpy()

    def linear(self, name: str, *axes: int, bias: str = "", of: Array | None = None) -> Array:
        found = (self.x.numpy() if of is None else of) @ self.weight(name).T
        if bias:
            found = found + self.weight(bias)
        return found.reshape(*found.shape[:-1], *axes) if axes else found

    def key(self, gate: str) -> Array:
        return self.linear(f"W_k{gate}", HEADS, KEYS)

    def value(self, gate: str) -> Array:
        return self.linear(f"W_v{gate}", HEADS, VALUES)

    def state(self, name: str, *axes: int) -> Array:
        place = self.program.state_names.index(name)
        return self.states[place].numpy().reshape(BATCH, *axes)


def sigma(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def silu(a: Array) -> Array:
    return a * sigma(a)


def softplus(a: Array) -> Array:
    return np.log1p(np.exp(-np.abs(a))) + np.maximum(a, 0)


def unit(a: Array) -> Array:
    return a / np.sqrt((a * a).sum(-1, keepdims=True) + 1e-6)


def norm(a: Array) -> Array:
    return (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5)


def outer(k: Array, v: Array) -> Array:
    return k[..., :, None] * v[..., None, :]


def read(S: Array, q: Array) -> Array:
    return np.einsum("bhkv,bhk->bhv", S, q)


Step = Callable[[Array, int], tuple[Array, Array]]


def over_time(given: Given, step: Step) -> tuple[Array, Array]:
    """Run a step of the matrix; returns what was read, `[B, T, H, V]`, and the last matrix."""
    S, outputs = given.state("S", HEADS, KEYS, VALUES), []
    for t in range(TIME):
        S, y = step(S, t)
        outputs.append(y)
    return np.stack(outputs, 1), S


def gated(given: Given, y: Array) -> Array:
    return norm(y).reshape(BATCH, TIME, UNITS) * silu(given.linear("W_vo"))


def flat(y: Array) -> Array:
    return y.reshape(BATCH, TIME, UNITS)


def linear_transformer(g: Given) -> tuple[Array, Array]:
    q, k = (np.where(a > 0, a + 1, np.exp(a)) for a in (g.key("q"), g.key("k")))
    v, n = g.value("v"), g.state("n", HEADS, KEYS)
    sums = n[:, None] + np.cumsum(k, 1)
    S = g.state("S", HEADS, KEYS, VALUES)[:, None] + np.cumsum(outer(k, v), 1)
    y = np.einsum("bthkv,bthk->bthv", S, q) / ((sums * q).sum(-1, keepdims=True) + 1e-6)
    return flat(y), S[:, -1]


def turned(a: Array, positions: Array) -> Array:
    half = KEYS // 2
    angle = positions[..., None] * 10000.0 ** (-np.arange(half) / half)
    pair = (a[..., :half] + 1j * a[..., half : 2 * half]) * np.exp(1j * angle)
    return np.concatenate((pair.real, pair.imag, a[..., 2 * half :]), -1)


def retnet(g: Given) -> tuple[Array, Array]:
    positions = g.state("t", HEADS)[:, None] + np.arange(TIME)[:, None]
    q, k = turned(g.key("q"), positions), turned(g.key("k") / np.sqrt(KEYS), positions)
    v, decay = g.value("v"), 1 - 2.0 ** (-5 - np.arange(HEADS))

    def step(S: Array, t: int) -> tuple[Array, Array]:
        S = decay[:, None, None] * S + outer(k[:, t], v[:, t])
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return gated(g, y), S


def gla_gates(g: Given) -> tuple[Array, ...]:
    low = g.linear("W_rr")
    alpha = sigma(g.linear("W_aa", HEADS, KEYS, bias="b_aa", of=low)) ** (1 / 16)
    return g.key("q"), g.key("k") / np.sqrt(KEYS), g.value("v"), alpha


def gla(g: Given) -> tuple[Array, Array]:
    q, k, v, alpha = gla_gates(g)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        S = alpha[:, t, ..., None] * S + outer(k[:, t], v[:, t])
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return gated(g, y), S


def hgrn2(g: Given) -> tuple[Array, Array]:
    q, f, i = silu(g.key("q")), 0.25 + 0.75 * sigma(g.key("f")), silu(g.value("i"))

    def step(S: Array, t: int) -> tuple[Array, Array]:
        S = f[:, t, ..., None] * S + outer(1 - f[:, t], i[:, t])
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return flat(norm(y)), S


def mamba_2(g: Given) -> tuple[Array, Array]:
    new = np.concatenate([g.linear(name) for name in ("W_vv", "W_kB", "W_kC")], -1)
    past = [g.state(name, 1, new.shape[-1]) for name in ("u_3", "u_2", "u")]
    whole = np.concatenate((*past, new), 1)
    c = sum(g.weight(f"g_uc{n}") * whole[:, 3 - n : 3 - n + TIME] for n in range(4)) + g.weight("b_u")
    v, B, C = np.split(silu(c), [UNITS, UNITS + KEYS], -1)
    v = v.reshape(BATCH, TIME, HEADS, VALUES)
    delta = softplus(g.linear("W_gd", bias="b_gd"))
    a, D = np.exp(-np.exp(g.weight("g_dA")) * delta), g.weight("g_dD")

    def step(S: Array, t: int) -> tuple[Array, Array]:
        S = a[:, t, :, None, None] * S + outer(B[:, t, None], delta[:, t, :, None] * v[:, t])
        return S, np.einsum("bhkv,bk->bhv", S, C[:, t]) + D[:, None] * v[:, t]

    y, S = over_time(g, step)
    y = flat(y) * silu(g.linear("W_vo"))
    return g.weight("g_vo") * y / np.sqrt((y * y).mean(-1, keepdims=True) + 1e-5), S


def matrix_lstm(g: Given) -> tuple[Array, Array]:
    q, k, v = g.key("q"), g.key("k") / np.sqrt(KEYS), g.value("v")
    i, f = g.linear("W_gi", bias="b_gi"), -softplus(-g.linear("W_gf", bias="b_gf"))
    n, m = g.state("n", HEADS, KEYS), g.state("m", HEADS)
    o = sigma(g.linear("W_vo", bias="b_vo"))

    def step(S: Array, t: int) -> tuple[Array, Array]:
        nonlocal n, m
        new = np.maximum(f[:, t] + m, i[:, t])
        keep, write = np.exp(f[:, t] + m - new), np.exp(i[:, t] - new)
        m = new
        S = keep[..., None, None] * S + write[..., None, None] * outer(k[:, t], v[:, t])
        n = keep[..., None] * n + write[..., None] * k[:, t]
        size = np.maximum(np.abs((n * q[:, t]).sum(-1)), np.exp(-m)) + 1e-6
        return S, read(S, q[:, t]) / size[..., None]

    y, S = over_time(g, step)
    return o * flat(y), S


def m2rnn(g: Given) -> tuple[Array, Array]:
    q, k, v, f = g.key("q"), g.key("k"), g.value("v"), sigma(g.linear("W_gf", bias="b_gf"))
    W = g.weight("R_SS").reshape(HEADS, VALUES, VALUES)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        keep = f[:, t, :, None, None]
        S = keep * S + (1 - keep) * np.tanh(S @ W + outer(k[:, t], v[:, t]))
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return gated(g, y), S


def delta_gates(g: Given) -> tuple[Array, ...]:
    q, k = unit(silu(g.key("q"))), unit(silu(g.key("k")))
    return q, k, silu(g.value("v")), sigma(g.linear("W_gb", bias="b_gb"))


def delta(g: Given, alpha: Array | None = None) -> tuple[Array, Array]:
    q, k, v, beta = delta_gates(g)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        T = S if alpha is None else alpha[:, t] * S
        S = T + outer(k[:, t], beta[:, t, :, None] * (v[:, t] - read(T, k[:, t])))
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return flat(y) / np.sqrt(KEYS), S


def gated_decay(g: Given) -> Array:
    speed = softplus(g.linear("W_ga", bias="b_ga"))
    return np.exp(-np.exp(g.weight("g_dA")) * speed)[..., None, None]


def kda_decay(g: Given) -> Array:
    speed = softplus(g.linear("W_aa", HEADS, KEYS, bias="b_aa", of=g.linear("W_rr")))
    return np.exp(-np.exp(g.weight("g_dA"))[:, None] * speed)[..., None]


def separate_gates(g: Given) -> tuple[Array, ...]:
    q, k, v = unit(silu(g.key("q"))), unit(silu(g.key("k"))), silu(g.value("v"))
    return q, k, v, sigma(g.key("b")), sigma(g.value("w"))


def gated_deltanet_2(g: Given) -> tuple[Array, Array]:
    """The layer of fla: a matrix `(I - k (b ∘ k)ᵀ) diag(α)`, and `k (w ∘ v)ᵀ`."""
    q, k, v, b, w = separate_gates(g)
    alpha = kda_decay(g)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        erased = (np.eye(KEYS) - outer(k[:, t], b[:, t] * k[:, t])) @ (alpha[:, t] * S)
        S = erased + outer(k[:, t], w[:, t] * v[:, t])
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return flat(y) / np.sqrt(KEYS), S


def comba_gates(g: Given) -> tuple[Array, ...]:
    q, k, v = silu(g.key("q")), silu(g.key("k")), silu(g.value("v"))
    d, D = sigma(g.weight("g_dp"))[:, None], g.weight("g_dD")[:, None]
    return unit(q - D * d * k), unit(k), v, d * unit(k), sigma(g.linear("W_gb"))


def comba(g: Given) -> tuple[Array, Array]:
    """A decay and a feedback as a matrix, `α I - β k pᵀ`."""
    q, k, v, p, beta = comba_gates(g)
    alpha, rate = gated_decay(g), beta[..., None, None]

    def step(S: Array, t: int) -> tuple[Array, Array]:
        S = (alpha[:, t] * np.eye(KEYS) - rate[:, t] * outer(k[:, t], p[:, t])) @ S
        S = S + rate[:, t] * outer(k[:, t], v[:, t])
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return flat(y) / np.sqrt(KEYS), S


def momentum_gates(g: Given) -> tuple[Array, ...]:
    """The gates of fla's layer, with its angle."""
    k = silu(g.key("k"))
    q = unit(silu(g.key("q")) - g.weight("g_dD")[:, None] * k)

    def fading(gate: str) -> Array:
        return -np.exp(g.weight(f"g_s{gate}")) * softplus(g.linear(f"W_g{gate}", bias=f"b_g{gate}"))

    eta = 1 + np.tanh(g.linear("W_ge") / np.sqrt(INPUTS))
    angle = np.arctan(eta * g.weight("g_df"))
    log_alpha = np.log(np.cos(angle) ** 2) + fading("a")
    beta = np.sin(angle) ** 2 * sigma(g.linear("W_gb"))
    return q, unit(k), silu(g.value("v")), log_alpha, np.maximum(fading("m"), -2), beta, eta


def momentum_deltanet(g: Given) -> tuple[Array, Array]:
    q, k, v, log_alpha, log_mu, beta, eta = momentum_gates(g)
    alpha, mu, rate = (one[..., None, None] for one in (np.exp(log_alpha), np.exp(log_mu), beta))
    M = [g.state("M", HEADS, KEYS, VALUES)]

    def step(S: Array, t: int) -> tuple[Array, Array]:
        error = v[:, t] - alpha[:, t, ..., 0] * read(S, k[:, t])
        M.append(mu[:, t] * M[-1] - eta[:, t, :, None, None] * outer(k[:, t], error))
        S = alpha[:, t] * S - rate[:, t] * M[-1]
        return S, read(S, q[:, t])

    y, S = over_time(g, step)
    return flat(y) / np.sqrt(KEYS), S


def recurrent_deltanet(g: Given) -> tuple[Array, Array]:
    """Irie et al. 2021, as in the loop in torch that their kernel is tested with."""
    y = [g.state("h", HEADS, VALUES)]
    from_x = {"q": g.key("q"), "k": g.key("k"), "v": g.value("v"), "b": g.linear("W_gb")[..., None]}

    def softmax(a: Array) -> Array:
        return np.exp(a) / np.exp(a).sum(-1, keepdims=True)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        now = {}
        for gate, value in from_x.items():
            R = g.weight(f"R_h{gate}").reshape(HEADS, VALUES, value.shape[-1])
            now[gate] = value[:, t] + np.einsum("bhv,hvk->bhk", np.tanh(y[-1]), R)
        k = softmax(now["k"])
        S = S + outer(k, sigma(now["b"]) * (now["v"] - read(S, k)))
        y.append(read(S, softmax(now["q"])))
        return S, y[-1]

    found, S = over_time(g, step)
    return flat(found), S


def rwkv(g: Given, w: Array) -> tuple[Array, Array]:
    r, k, v, u = g.key("r"), g.key("k"), g.value("v"), g.weight("g_ku").reshape(HEADS, KEYS)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        product = outer(k[:, t], v[:, t])
        y = read(S + u[..., None] * product, r[:, t])
        return w[:, t, ..., None] * S + product, y

    y, S = over_time(g, step)
    return gated(g, y), S


def rwkv_5_decay(g: Given) -> Array:
    w = np.exp(-np.exp(g.weight("g_kw"))).reshape(HEADS, KEYS)
    return np.broadcast_to(w, (BATCH, TIME, HEADS, KEYS))


def rwkv_6_decay(g: Given) -> Array:
    speed = g.linear("W_aw", HEADS, KEYS, of=np.tanh(g.linear("W_rr")))
    return np.exp(-np.exp(g.weight("g_kw").reshape(HEADS, KEYS) + speed))


def rwkv_7_gates(g: Given) -> tuple[Array, ...]:
    r, k, v = g.key("r"), g.key("k"), g.value("v")
    w = np.exp(-np.exp(-0.5) * sigma(g.linear("W_kw", HEADS, KEYS, bias="b_kw")))
    a = sigma(g.linear("W_ka", HEADS, KEYS, bias="b_ka"))
    of = {name: g.weight(f"g_k{name}").reshape(HEADS, KEYS) for name in "xar"}
    kappa = unit(k * of["x"])
    return r, k * (1 + (a - 1) * of["a"]), v, w, a, kappa, of["r"]


def rwkv_7(g: Given) -> tuple[Array, Array]:
    r, k, v, w, a, kappa, rho = rwkv_7_gates(g)

    def step(S: Array, t: int) -> tuple[Array, Array]:
        # As in the paper: values × keys, the old state times a matrix from the right.
        old = np.swapaxes(S, -1, -2)
        change = w[:, t, :, :, None] * np.eye(KEYS) - outer(kappa[:, t], a[:, t] * kappa[:, t])
        S = np.swapaxes(old @ change + outer(v[:, t], k[:, t]), -1, -2)
        return S, read(S, r[:, t])

    y, S = over_time(g, step)
    bonus = (r * rho * k).sum(-1, keepdims=True) * v
    return (flat(norm(y)) + flat(bonus)) * silu(g.linear("W_vo")), S


TWINS: dict[str, Callable[[Given], tuple[Array, Array]]] = {
    "linear-transformer": linear_transformer,
    "retnet": retnet,
    "gla": gla,
    "hgrn2": hgrn2,
    "mamba-2": mamba_2,
    "matrix-lstm": matrix_lstm,
    "m2rnn": m2rnn,
    "deltanet": delta,
    "gated-deltanet": lambda g: delta(g, gated_decay(g)),
    "kda": lambda g: delta(g, kda_decay(g)),
    "gated-deltanet-2": gated_deltanet_2,
    "comba": comba,
    "momentum-deltanet": momentum_deltanet,
    "recurrent-deltanet": recurrent_deltanet,
    "rwkv-5": lambda g: rwkv(g, rwkv_5_decay(g)),
    "rwkv-6": lambda g: rwkv(g, rwkv_6_decay(g)),
    "rwkv-7": rwkv_7,
}


def test_every_cell_has_a_twin() -> None:
    assert sorted(TWINS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_computes_the_equations_of_its_paper(name: str) -> None:
    given = Given(name, **({"bound": 0.25} if name == "hgrn2" else {}))
    output, finals = given.run()
    want, S = TWINS[name](given)
    np.testing.assert_allclose(output, want, rtol=1e-6 if name == "rwkv-7" else 1e-9, atol=1e-9)
    rtol = 1e-6 if name == "rwkv-7" else 1e-9
    np.testing.assert_allclose(finals["S"].reshape(S.shape), S, rtol=rtol, atol=1e-9)


class Shifted(Given):
    """A cell whose gates read mixes of an input and the one before it, as its equations call these."""

    def linear(self, name: str, *axes: int, bias: str = "", of: Array | None = None) -> Array:
        gate = {"W_rr": "w", "W_vo": "g"}.get(name, name[-1])
        return super().linear(name, *axes, bias=bias, of=self.mix(gate) if of is None else of)

    def mix(self, gate: str) -> Array:
        """Peng et al. 2024, equations 3 and 17; Peng et al. 2025, equation 3."""
        x = self.x.numpy()
        change = np.concatenate((self.state("x1", 1, INPUTS), x[:, :-1]), 1) - x
        share = self.weight(f"mu_{gate}")
        if any(one.name == "mu_x" for one in self.program.parameters):
            low = np.tanh((x + change * self.weight("mu_x")) @ self.weight(f"W_m{gate}").T)
            share = share + low @ self.weight(f"W_n{gate}").T
        return x + change * share


@pytest.mark.parametrize("name", ["rwkv-5", "rwkv-6", "rwkv-7"])
def test_a_token_shift_mixes_what_every_gate_reads(name: str) -> None:
    given = Shifted(name, token_shift=True)
    output, finals = given.run()
    want, S = TWINS[name](given)
    np.testing.assert_allclose(output, want, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(finals["S"].reshape(S.shape), S, rtol=1e-6, atol=1e-9)
    assert list(finals) == ["S", "x1"]
    np.testing.assert_array_equal(finals["x1"], given.x[:, -1].numpy())


# Other people's loops -------------------------------------------------------------------------------------


def module(package: str, path: str) -> ModuleType:
    """Load one file of a package, whose own import may need a graphics card."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    file = Path(spec.submodule_search_locations[0]) / path
    if not file.exists():
        pytest.skip(f"this version of {package} has no {path}")
    loader = importlib.util.spec_from_file_location(f"oracle_{file.parent.name}", file)
    assert loader is not None
    assert loader.loader is not None
    found = importlib.util.module_from_spec(loader)
    try:
        loader.loader.exec_module(found)
    except ImportError as problem:
        pytest.skip(f"{package}: {problem}")
    return found


def tensors(*arrays: Array) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def by_head(*arrays: Array) -> list[torch.Tensor]:
    """Return arrays with heads before time, as some of the loops take them."""
    return [tensor.transpose(1, 2) for tensor in tensors(*arrays)]


def first(given: Given) -> torch.Tensor:
    return torch.from_numpy(given.state("S", HEADS, KEYS, VALUES))


def close(given: Given, S: Any, y: Any = None) -> None:
    output, finals = given.run()
    # They compute in float32.
    np.testing.assert_allclose(finals["S"].reshape(S.shape), S.numpy(), rtol=2e-4, atol=2e-5)
    if y is not None:
        np.testing.assert_allclose(output, flat(y.numpy()), rtol=2e-4, atol=2e-5)


def test_deltanet_beside_fla() -> None:
    loop = module("fla", "ops/delta_rule/naive.py").delta_rule_recurrence
    given = Given("deltanet")
    y, S = loop(*by_head(*delta_gates(given)), initial_state=first(given))
    close(given, S, y.transpose(1, 2))


def test_gated_deltanet_beside_fla() -> None:
    loop = module("fla", "ops/gated_delta_rule/naive.py").naive_recurrent_gated_delta_rule
    given = Given("gated-deltanet")
    g = np.log(gated_decay(given)[..., 0, 0])
    y, S = loop(*tensors(*delta_gates(given), g), initial_state=first(given), output_final_state=True)
    close(given, S, y)


def test_kda_beside_fla() -> None:
    loop = module("fla", "ops/kda/naive.py").naive_recurrent_kda
    given = Given("kda")
    q, k, v, beta = delta_gates(given)
    g = np.log(kda_decay(given)[..., 0])
    y, S = loop(*tensors(q, k, v, g, beta), initial_state=first(given), output_final_state=True)
    close(given, S, y)


def test_gla_beside_fla() -> None:
    loop = module("fla", "ops/gla/naive.py").naive_recurrent_gla
    given = Given("gla")
    q, k, v, alpha = gla_gates(given)
    y, S = loop(*tensors(q, k, v, np.log(alpha)), initial_state=first(given), output_final_state=True)
    close(given, S, torch.from_numpy(gated(given, y.double().numpy() * KEYS**0.5)))


def test_rwkv_6_beside_fla() -> None:
    loop = module("fla", "ops/rwkv6/recurrent_naive.py").naive_recurrent_rwkv6
    given = Given("rwkv-6")
    r, k, v, w = by_head(given.key("r"), given.key("k"), given.value("v"), np.log(rwkv_6_decay(given)))
    u = torch.from_numpy(given.weight("g_ku").reshape(HEADS, KEYS))
    y, S = loop(r, k, v, w, u, scale=1.0, initial_state=first(given), output_final_state=True)
    close(given, S, torch.from_numpy(gated(given, y.transpose(1, 2).double().numpy())))


def test_rwkv_7_beside_fla() -> None:
    loop = module("fla", "ops/generalized_delta_rule/dplr/naive.py").dplr_recurrence
    given = Given("rwkv-7")
    r, k, v, w, a, kappa, _ = rwkv_7_gates(given)
    arguments = by_head(r, k, v, -kappa, a * kappa, np.log(w))
    _, S = loop(*[argument.float() for argument in arguments], initial_state=first(given).float())
    close(given, S)


def test_matrix_lstm_beside_mlstm_kernels() -> None:
    step = module("mlstm_kernels", "torch/recurrent/native_step.py").mlstm_recurrent_step__native
    given = Given("matrix-lstm")
    q, k, v = tensors(given.key("q"), given.key("k"), given.value("v"))
    i, f = tensors(given.linear("W_gi", bias="b_gi"), given.linear("W_gf", bias="b_gf"))
    # It scales queries instead of keys, so its state is larger.
    S, n = first(given) * KEYS**0.5, torch.from_numpy(given.state("n", HEADS, KEYS)) * KEYS**0.5
    m, outputs = torch.from_numpy(given.state("m", HEADS))[..., None], []
    for t in range(TIME):
        y, (S, n, m) = step(
            q=q[:, t], k=k[:, t], v=v[:, t], i=i[:, t, :, None], f=f[:, t, :, None],
            c=S, n=n, m=m, dtype_state=torch.float64,
        )  # fmt: skip
        outputs.append(y)
    o = torch.from_numpy(sigma(given.linear("W_vo", bias="b_vo"))).reshape(BATCH, TIME, HEADS, VALUES)
    close(given, S / KEYS**0.5, o * torch.stack(outputs, 1))


# What the cells promise -----------------------------------------------------------------------------------


def test_a_negative_step_can_change_the_sign_of_what_is_stored() -> None:
    """With a step of 2 and a value of 0, the component along the key is reflected (Grazzi et al. 2024)."""
    given = Given("deltanet", negative=True)
    place = given.program.family_of("b_gb")
    given.families[place[0]][place[1]] = 50.0
    for name in ("W_gb", "W_vv"):
        family, rows = given.program.family_of(name)
        given.families[family][rows] = 0.0
    given.x = given.x[:, :1]
    _, finals = given.run()
    _, k, _, _ = delta_gates(given)
    S, old = finals["S"].reshape(BATCH, HEADS, KEYS, VALUES), given.state("S", HEADS, KEYS, VALUES)
    np.testing.assert_allclose(read(S, k[:, 0]), -read(old, k[:, 0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"heads": 3}, {"heads": 0}, {"keys": -1}])
def test_heads_divide_the_units(options: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match=f"{next(iter(options))}: expected"):
        cells.GatedDeltaNet(8, **options)
