"""State spaces, learners, slots, maps, stacks and liquid units against their papers' equations in numpy."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
import pytest
import torch

import nabi.nn
from nabi import cells, layers
from nabi.cells import Cell
from nabi.errors import ArgumentError, CellError
from nabi.scan import scan

from .sampling import cells_of_today
from .test_matrix import module, norm, outer, read, sigma, silu, softplus, unit
from .twins import machines, memories

Array = np.ndarray
Weights = dict[str, Array]
INPUTS, BATCH, STEPS = 6, 2, 5


def softmax(v: Array) -> Array:
    shares = np.exp(v - v.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def lin(w: Weights, name: str, x: Array, *axes: int, bias: str = "") -> Array:
    found = x @ w[name].T + (w[bias] if bias else 0.0)
    return found.reshape(len(x), *axes) if axes else found


def flat(y: Array) -> Array:
    return y.reshape(len(y), -1)


def s4d(w: Weights, x: Array, re: Array, im: Array) -> tuple[Array, ...]:
    """Gu et al. 2022, equations 3 to 5, in complex numbers: modes × channels, zero-order hold."""
    A = -np.exp(w["log_A"].reshape(3, 6)) + 1j * w["A_im"].reshape(3, 6)
    bar = np.exp(A * np.exp(w["log_step"]))
    s = bar * (re + 1j * im).reshape(-1, 3, 6) + (bar - 1) / A * x[:, None]
    C = (w["C_re"] + 1j * w["C_im"]).reshape(3, 6)
    return 2 * (C * s).sum(1).real + w["w_xy"] * x, flat(s.real), flat(s.imag)


def mamba(w: Weights, x: Array, S: Array, *before: Array) -> tuple[Array, ...]:
    """Gu and Dao 2023, algorithm 2: for every channel, a row of the paper's A is a column here."""
    u = silu(sum(w[f"g_uc{n}"] * lin(w, "W_vu", one) for n, one in enumerate((x, *before))) + w["b_u"])
    delta = softplus(lin(w, "W_dd", lin(w, "W_rr", u), bias="b_dd"))
    A = -np.exp(w["log_A"].reshape(3, 6))
    S = np.exp(delta[:, None] * A) * S.reshape(-1, 3, 6)
    S = S + lin(w, "W_kB", u)[:, :, None] * (delta * u)[:, None]
    y = (S * lin(w, "W_kC", u)[:, :, None]).sum(1) + w["g_dD"] * u
    return y * silu(lin(w, "W_vz", x)), flat(S), x, *before[:2]


def mamba_3(w: Weights, x: Array, S: Array, k: Array, v: Array, t: Array) -> tuple[Array, ...]:
    """Lahoti et al. 2026: the trapezoidal rule; queries and keys as complex numbers that turn."""
    delta, share = softplus(lin(w, "W_gd", x, bias="b_gd")), sigma(lin(w, "W_gl", x, bias="b_gl"))
    alpha = np.exp(-softplus(lin(w, "W_gA", x, bias="b_gA")) * delta)
    angle = t.reshape(-1, 2, 2) + delta[..., None] * lin(w, "W_tt", x)[:, None]

    def turned(gate: str) -> Array:
        row = lin(w, f"W_k{gate}", x)
        row = row / np.sqrt((row**2).mean(-1, keepdims=True) + 1e-5)
        a = row[:, None] + w[f"g_k{gate}"].reshape(2, 4)
        pair = (a[..., :2] + 1j * a[..., 2:]) * np.exp(1j * angle)
        return np.concatenate((pair.real, pair.imag), -1)

    new_k, new_v = turned("k"), lin(w, "W_vv", x, 2, 3)
    before = ((1 - share) * delta * alpha)[..., None, None] * outer(k.reshape(-1, 2, 4), v.reshape(-1, 2, 3))
    S = alpha[..., None, None] * S.reshape(-1, 2, 4, 3) + before
    S = S + (share * delta)[..., None, None] * outer(new_k, new_v)
    y = read(S, turned("q")) + w["g_dD"][:, None] * new_v
    return flat(y) * silu(lin(w, "W_vo", x)), flat(S), flat(new_k), flat(new_v), flat(angle)


def longhorn(w: Weights, x: Array, S: Array) -> tuple[Array, ...]:
    """Liu et al. 2024: every column solves argmin ‖s - S‖² + β (s · k - u)², by the normal equations."""
    S, beta, u = S.reshape(-1, 4, 6), sigma(lin(w, "W_xb", x, bias="b_b")), lin(w, "W_vv", x)
    k, q, new = lin(w, "W_kk", x), lin(w, "W_kq", x), np.empty_like(S)
    for row in range(len(x)):
        for column in range(6):
            # The exact solution, and the paper's diagonal approximation of k kᵀ on what is kept.
            step = beta[row, column] / (1 + beta[row, column] * (k[row] @ k[row]))
            keep = np.diag(1 - step * k[row] ** 2)
            new[row, :, column] = keep @ S[row, :, column] + step * u[row, column] * k[row]
    return (new * q[:, :, None]).sum(1), flat(new)


def ffm(w: Weights, x: Array, re: Array, im: Array) -> tuple[Array, ...]:
    """Morad et al. 2023, equations 4 to 9: context × memory, in complex numbers."""
    factor = np.exp(-np.abs(w["alpha"])[None] + 1j * w["omega"][:, None])
    u = lin(w, "W_mu", x, bias="b_mu") * sigma(lin(w, "W_mi", x, bias="b_mi"))
    s = factor * (re + 1j * im).reshape(-1, 2, 3) + u[:, None]
    z = norm(flat(s.real) @ w["W_rz"].T + flat(s.imag) @ w["W_iz"].T + w["b_z"])
    o = sigma(lin(w, "W_xo", x, bias="b_o"))
    return z * o + lin(w, "W_xs", x, bias="b_s") * (1 - o), flat(s.real), flat(s.imag)


def delta_product(w: Weights, x: Array, S: Array) -> tuple[Array, ...]:
    """Siems et al. 2025, equation 6: a product of generalised Householder matrices."""
    S = S.reshape(-1, 2, 4, 3)
    for n in "12":
        k, v = unit(silu(lin(w, f"W_kk{n}", x, 2, 4))), silu(lin(w, f"W_vv{n}", x, 2, 3))
        beta = 2 * sigma(lin(w, f"W_gb{n}", x, bias=f"b_gb{n}"))[..., None, None]
        S = (np.eye(4) - beta * outer(k, k)) @ S + beta * outer(k, v)
    return flat(read(S, unit(silu(lin(w, "W_kq", x, 2, 4))))) / 2, flat(S)


def gsa(w: Weights, x: Array, S: Array, V: Array) -> tuple[Array, ...]:
    """Zhang et al. 2024, equation 9; keys are slots × keys in the paper."""
    q, k, v = silu(lin(w, "W_kq", x, 2, 4)) / 2, silu(lin(w, "W_kk", x, 2, 4)), silu(lin(w, "W_vv", x, 2, 3))
    alpha = sigma(lin(w, "W_aa", x, 2, 5, bias="b_aa")) ** (1 / 8)
    keys = np.swapaxes(S.reshape(-1, 2, 4, 5), -1, -2)
    keys = alpha[..., None] * keys + outer(1 - alpha, k)
    V = alpha[..., None] * V.reshape(-1, 2, 5, 3) + outer(1 - alpha, v)
    shares = softmax(np.einsum("bhmk,bhk->bhm", keys, q))
    return flat(read(V, shares)), flat(np.swapaxes(keys, -1, -2)), flat(V)


def titans(w: Weights, x: Array, S: Array, M: Array) -> tuple[Array, ...]:
    """Behrouz et al. 2025, equations 9 to 14, the gradient of half the squared error as a product."""
    S, M = S.reshape(-1, 2, 4, 3), M.reshape(-1, 2, 4, 3)
    q, k = (unit(silu(lin(w, f"W_k{gate}", x, 2, 4))) for gate in "qk")
    v = silu(lin(w, "W_vv", x, 2, 3))
    eta, theta, alpha = (sigma(lin(w, f"W_g{g}", x, bias=f"b_g{g}"))[..., None, None] for g in "ela")
    M = eta * M - theta * (outer(k, k) @ S - outer(k, v))
    S = (1 - alpha) * S + M
    return flat(read(S, q)), flat(S), flat(M)


def ttt(w: Weights, x: Array, S: Array, n: Array) -> tuple[Array, ...]:
    """Sun et al. 2024, section 2; the gradient is torch's."""
    scale, shift = (torch.from_numpy(w[name].reshape(2, 3)) for name in ("g_vn", "b_vn"))
    q, k, v = (torch.from_numpy(lin(w, name, x, 2, 3)) for name in ("W_kq", "W_kk", "W_vv"))
    eta = torch.from_numpy(sigma(lin(w, "W_ge", x, bias="b_ge")) / 3)

    def model(a: torch.Tensor, S: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        z = torch.einsum("bhkv,bhk->bhv", S, a) + n
        return a + torch.nn.functional.layer_norm(z, (3,), eps=1e-5) * scale + shift

    matrix = torch.from_numpy(S.reshape(-1, 2, 3, 3)).requires_grad_()
    bias = torch.from_numpy(n.reshape(-1, 2, 3)).requires_grad_()
    loss = 0.5 * (model(k, matrix, bias) - v).square().sum()
    of_matrix, of_bias = torch.autograd.grad(loss, (matrix, bias))
    with torch.no_grad():
        matrix, bias = matrix - eta[..., None, None] * of_matrix, bias - eta[..., None] * of_bias
        return flat(model(q, matrix, bias).numpy()), flat(matrix.numpy()), flat(bias.numpy())


def gate_loop(w: Weights, x: Array, S: Array, I: Array) -> tuple[Array, ...]:  # noqa: E741
    """Katsch 2023, equation 9, in complex numbers."""
    a = sigma(lin(w, "W_ka", x, 2, 4, bias="b_ka")) * np.exp(1j * lin(w, "W_kb", x, 2, 4, bias="b_kb"))
    q, k, v = lin(w, "W_kq", x, 2, 4), lin(w, "W_kk", x, 2, 4), lin(w, "W_vv", x, 2, 3)
    s = a[..., None] * (S + 1j * I).reshape(-1, 2, 4, 3) + outer(k, v)
    y = flat(norm(read(s, q).real)) * silu(lin(w, "W_vo", x))
    return y, flat(s.real), flat(s.imag)


def stack(w: Weights, x: Array, h: Array, s: Array) -> tuple[Array, ...]:
    """Joulin and Mikolov 2015, equations 4 to 8, stack by stack, as lists."""
    s = s.reshape(-1, 4, 2)
    h = sigma(lin(w, "W_xh", x) + lin(w, "W_hh", h) + flat(s[:, :2]) @ w["W_ph"].T + w["b_h"])
    actions, tops = lin(w, "W_aa", h, 3, 2, bias="b_aa"), sigma(lin(w, "W_dd", h, bias="b_dd"))
    new = np.empty_like(s)
    for row in range(len(x)):
        for one in range(2):
            push, pop, stay = softmax(actions[row, :, one])
            old = list(s[row, :, one])
            pushed, popped = [tops[row, one], *old[:-1]], [*old[1:], -1.0]
            new[row, :, one] = push * np.array(pushed) + pop * np.array(popped) + stay * np.array(old)
    return h, flat(new)


def ltc(w: Weights, x: Array, v: Array, *, delta: Array) -> tuple[Array, ...]:
    """Hasani et al. 2021, algorithm 1, synapse by synapse."""

    def opened(letter: str, value: Array) -> tuple[Array, Array]:
        s, mu, strength, E = (w[f"{n}_{letter}"].reshape(value.shape[1], 6) for n in ("s", "mu", "w", "E"))
        both = np.zeros((2, len(x), 6))
        for j in range(value.shape[1]):
            for i in range(6):
                one = softplus(strength[j, i]) * sigma(s[j, i] * (value[:, j] - mu[j, i]))
                both[:, :, i] += one, one * E[j, i]
        return both[0], both[1]

    c, g = softplus(w["C"]) * 6 / delta[:, None], softplus(w["g"])
    of_x, pull_x = opened("x", x)
    for _ in range(6):
        of_v, pull_v = opened("v", v)
        v = (c * v + g * w["v_l"] + pull_x + pull_v) / (c + g + of_x + of_v)
    return (v,)


def mc_lstm(w: Weights, x: Array, c: Array, *, mass: Array) -> tuple[Array, ...]:
    """Hoedt et al. 2021, equations 3 to 8."""
    shares, m = c / (np.abs(c).sum(1, keepdims=True) + 1e-5), mass[:, None]

    def gate(name: str, letters: str, bias: str) -> Array:
        terms = zip(letters, (x, m, shares), strict=True)
        return sum(a @ w[f"W_{letter}{name}"].T for letter, a in terms) + w[bias]

    i, o = softmax(gate("i", "xmc", "b_i")), sigma(gate("o", "xmc", "b_o"))
    R = softmax(gate("R", "qnr", "b_rR").reshape(-1, 6, 6))
    total = np.einsum("bij,bi->bj", R, c) + i * m
    return o * total, (1 - o) * total


def convolved(w: Weights, name: str, value: Array, size: tuple[int, ...]) -> Array:
    """A convolution by torch, over a line or a picture."""
    kernel = torch.from_numpy(w[f"V_{name}"])
    maps = torch.from_numpy(value).reshape(len(value), -1, *size)
    wide = round((kernel.shape[1] // maps.shape[1]) ** (1 / len(size)))
    weight = kernel.reshape(len(kernel), maps.shape[1], *[wide] * len(size))
    apply: Any = torch.nn.functional.conv1d if len(size) == 1 else torch.nn.functional.conv2d
    return flat(apply(maps, weight, padding=wide // 2).numpy())


def of_maps(size: tuple[int, ...]) -> Callable[..., Callable[..., Array]]:
    def gates(w: Weights) -> Callable[..., Array]:
        def gate(name: str, **maps: Array) -> Array:
            terms = [convolved(w, f"{letter}{name}", value, size) for letter, value in maps.items()]
            return sum(terms) + w[f"b_{name}"].repeat(prod(size))  # type: ignore[return-value]

        return gate

    return gates


def conv_lstm(size: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    def step(w: Weights, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
        """Shi et al. 2015, equation 3."""
        gate = of_maps(size)(w)
        i, f = (sigma(gate(name, x=x, h=h) + w[f"w_c{name}"] * c) for name in "if")
        c = f * c + i * np.tanh(gate("c", x=x, h=h))
        return sigma(gate("o", x=x, h=h) + w["w_co"] * c) * np.tanh(c), c

    return step


def conv_gru(w: Weights, x: Array, h: Array) -> tuple[Array, ...]:
    """Ballas et al. 2016, equations 8 to 11."""
    gate = of_maps((3,))(w)
    z, r = (sigma(gate(name, x=x, h=h)) for name in "zr")
    return ((1 - z) * h + z * np.tanh(gate("h", x=x, h=r * h)),)


def pred_rnn(w: Weights, x: Array, h: Array, c: Array, m: Array) -> tuple[Array, ...]:
    """Wang et al. 2017, equation 2."""
    gate = of_maps((3,))(w)
    c = sigma(gate("f", x=x, h=h)) * c + sigma(gate("i", x=x, h=h)) * np.tanh(gate("g", x=x, h=h))
    m = sigma(gate("k", x=x, m=m)) * m + sigma(gate("j", x=x, m=m)) * np.tanh(gate("n", x=x, m=m))
    both = convolved(w, "cy", c, (3,)) + convolved(w, "my", m, (3,))
    return sigma(gate("o", x=x, h=h, c=c, m=m)) * np.tanh(both), c, m


CASES: list[tuple[str, Cell, Callable[..., tuple[Array, ...]], int]] = [
    # name, cell, its equations in numpy, its parameter count by hand
    ("s4d", cells.S4D(6, keys=3), s4d, 4 * 18 + 2 * 6),
    ("mamba", cells.Mamba(6, keys=3, rank=2), mamba, 2 * 36 + 12 + 18 + 2 * 18 + 18 + 6 + 5 * 6),
    ("mamba-3", cells.Mamba3(6, heads=2, keys=4), mamba_3, 3 * 14 + 12 + 24 + 24 + 16 + 36 + 2 + 36),
    ("longhorn", cells.Longhorn(6, keys=4), longhorn, 2 * 24 + 36 + 42),
    ("ffm", cells.FFM(6, memory=3, context=2), ffm, 3 + 2 + 2 * 21 + 2 * 36 + 6 + 2 * 42),
    ("delta-product", cells.DeltaProduct(6, heads=2, keys=4), delta_product, 3 * 48 + 2 * 36 + 2 * 14),
    ("gsa", cells.GSA(6, heads=2, keys=4, slots=5), gsa, 2 * 48 + 36 + 70),
    ("titans", cells.Titans(6, heads=2, keys=4), titans, 2 * 48 + 36 + 3 * 14),
    ("ttt", cells.TTT(6, heads=2), ttt, 3 * 36 + 14 + 12),
    ("gate-loop", cells.GateLoop(6, heads=2, keys=4), gate_loop, 2 * 48 + 2 * 36 + 2 * 56),
    ("stack-rnn", cells.StackRNN(6, stacks=2, depth=4), stack, 6 * (6 + 6 + 4 + 1) + 7 * 8),
    ("ltc", cells.LTC(6), ltc, 18 + 8 * 36),
    ("mc-lstm", cells.MCLSTM(6), mc_lstm, 14 * (12 + 36)),
    ("conv-lstm", cells.ConvLSTM(6, size=(3,)), conv_lstm((3,)), 4 * 2 * (2 + 2) * 3 + 8 + 18),
    ("conv-lstm", cells.ConvLSTM(12, size=(2, 3)), conv_lstm((2, 3)), 4 * 2 * (1 + 2) * 9 + 8 + 36),
    ("conv-gru", cells.ConvGRU(6, size=(3,)), conv_gru, 3 * 2 * (2 + 2) * 3 + 6),
    ("pred-rnn", cells.PredRNN(6, size=(3,)), pred_rnn, 6 * 24 + 2 * 24 + 8 + 14),
    *memories.CASES,
    *machines.CASES,
]  # fmt: skip


def widths(program: Any) -> Iterator[tuple[str, int]]:
    return zip(program.state_names, program.state_widths, strict=True)


def drawn(cell: Cell, seed: int = 1) -> tuple[Any, ...]:
    """A program, its weights in families and by name, an input, first states and further inputs."""
    program = cell.program(INPUTS)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64) / 2

    families = [normal(*family.shape) for family in program.families]
    named = {}
    for parameter in program.parameters:
        family, rows = program.family_of(parameter.name)
        named[parameter.name] = families[family][rows].numpy()
    drawn_states = {name: normal(BATCH, width) for name, width in widths(program)}
    # The weights of rows are positive and add up to one, and so is how much they are used.
    of_rows = ("p", "w", "u", "g")
    states = [value.softmax(-1) if name in of_rows else value for name, value in drawn_states.items()]
    extra = {one.name: normal(BATCH, STEPS).exp() for one in program.inputs[1:]}
    return program, families, named, normal(BATCH, STEPS, INPUTS), states, extra


def by_name(case: Any) -> str:
    return str(case) if isinstance(case, str) else ""


@pytest.mark.parametrize(("name", "cell", "reference", "count"), CASES, ids=by_name)
def test_a_cell_computes_the_equations_of_its_paper(
    name: str, cell: Cell, reference: Callable[..., tuple[Array, ...]], count: int
) -> None:
    assert type(cell) is cells.get(name)
    program, families, named, x, states, extra = drawn(cell)
    found, finals, _ = scan(program, x, states, families, extra=extra)
    now = [state.numpy() for state in states]
    for t in range(STEPS):
        here = {one: value[:, t].numpy() for one, value in extra.items()}
        new = reference(named, x[:, t].numpy(), *now, **here)
        now = list(new[program.readouts :])
        # The length of a vector is kept from zero by 1e-6.
        np.testing.assert_allclose(found[:, t].numpy(), new[0], rtol=1e-8, atol=1e-9, err_msg=f"step {t}")
    for got, want in zip(finals, now, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-8, atol=1e-9)
    assert program.parameter_count == count


TODAY = cells_of_today(dict.fromkeys(case[0] for case in CASES), 4)


@pytest.mark.parametrize(
    "cell", [case[1] for case in CASES if case[0] in TODAY], ids=lambda cell: type(cell).__name__
)
def test_native_code_and_derivatives(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition and what runs by default; numeric differentiation of the latter."""
    program, families, _, x, states, extra = drawn(cell, 2)
    lengths = torch.tensor([5, 3])

    def run(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        found, finals, _ = scan(program, x, states, list(weights), extra=extra, lengths=lengths)
        return torch.cat([found.flatten(1), *finals], 1)

    given = [leaf.requires_grad_() for leaf in (x, *families)]
    value = run(*given)
    # What states start with is not read where they are given.
    gradients = torch.autograd.grad(value.sin().sum(), given, materialize_grads=True)
    assert torch.autograd.gradcheck(run, given, fast_mode=True)
    monkeypatch.setenv("NABI_NATIVE", "0")
    want = run(*given)
    torch.testing.assert_close(value, want, rtol=1e-9, atol=1e-9)
    expected = torch.autograd.grad(want.sin().sum(), given, materialize_grads=True)
    torch.testing.assert_close(gradients, expected, rtol=1e-8, atol=1e-9)


# What the cells promise -----------------------------------------------------------------------------------


def test_a_convolutional_lstm_is_the_layer_of_torchs_convolutions() -> None:
    """Without peepholes, over a picture: the layer's kernels are window × window × channels × 4 filters."""
    size, filters = (3, 4), 2
    layer = layers.ConvLSTM2D(filters, 3, padding="same", return_sequences=True)
    x = torch.randn(2, 5, *size, 1)
    expected = layer(x)
    cell = cells.ConvLSTM(filters * prod(size), size=size, peepholes=False)
    rnn = nabi.nn.RNN(cell, prod(size))
    kernel, recurrent, bias = (torch.as_tensor(value) for value in layer.get_weights())
    with torch.no_grad():
        for place, gate in enumerate("ifco"):
            columns = slice(place * filters, (place + 1) * filters)
            rows = slice(place * filters, (place + 1) * filters)
            rnn.V_x_l0[rows] = kernel[..., columns].permute(3, 2, 0, 1).reshape(filters, -1)
            rnn.V_h_l0[rows] = recurrent[..., columns].permute(3, 2, 0, 1).reshape(filters, -1)
            getattr(rnn, f"b_{gate}_l0").copy_(bias[columns])
        found, _ = rnn(x.flatten(2))
    shown = found.reshape(2, 5, filters, *size).movedim(2, -1)
    torch.testing.assert_close(shown, torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_mass_is_conserved() -> None:
    rnn = nabi.nn.RNN(cells.MCLSTM(7), INPUTS).double()
    mass = torch.rand(BATCH, 30, dtype=torch.float64)
    output, state = rnn(torch.randn(BATCH, 30, INPUTS, dtype=torch.float64), mass=mass)
    assert bool((output > 0).all())
    torch.testing.assert_close(output.sum((1, 2)) + state.c.sum((0, 2)), mass.sum(1))


def test_a_stack_gives_back_what_was_pushed_in_reverse() -> None:
    """Weights by hand: the first input pushes the second through the state, or pops if negative."""
    cell = cells.StackRNN(2, stacks=1, depth=4, read=1)
    rnn = nabi.nn.RNN(cell, 2)
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.zero_()
        rnn.W_x_l0.copy_(torch.tensor([[40.0, 0.0], [0.0, 1.0]]))
        rnn.W_a_l0.copy_(torch.tensor([[200.0, 0.0], [-200.0, 0.0], [0.0, 0.0]]))
        rnn.b_a_l0.copy_(torch.tensor([-100.0, 100.0, 0.0]))
        rnn.W_d_l0.copy_(torch.tensor([[0.0, 4.0]]))
        x = torch.tensor([[[1.0, -2.0], [1.0, 0.5], [1.0, 2.0], [-1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]])
        tops = []
        state = None
        for t in range(6):
            _, state = rnn(x[:, t : t + 1], state)
            tops.append(float(state.s[0, 0, 0]))
    assert tops[:2] == pytest.approx(tops[4:2:-1], abs=1e-4)
    assert tops[0] < tops[1] < tops[2]
    assert tops[5] == pytest.approx(-1.0)


def test_writes_of_one_product_are_a_delta_rule_with_negative_eigenvalues() -> None:
    one, other = cells.DeltaProduct(6, heads=2, writes=1), cells.DeltaNet(6, heads=2, negative=True)
    program, families, named, x, states, _ = drawn(one)
    assert one.states == other.states
    twin = other.program(INPUTS)
    theirs = [torch.zeros_like(torch.empty(f.shape, dtype=torch.float64)) for f in twin.families]
    for parameter in twin.parameters:
        family, rows = twin.family_of(parameter.name)
        ours = parameter.name if parameter.name == "W_kq" else f"{parameter.name}1"
        theirs[family][rows] = torch.from_numpy(named[ours])
    torch.testing.assert_close(
        scan(program, x, states, families)[0], scan(twin, x, states, theirs)[0], rtol=1e-12, atol=1e-12
    )


def test_as_many_iterations_as_keys_solve_the_regression_of_a_mesa_layer() -> None:
    """From an empty memory, as whose sums the matrices are symmetric."""
    cell = cells.MesaNet(6, keys=4, iterations=4)
    program, families, named, x, _, _ = drawn(cell)
    found, (S, G), _ = scan(program, x, None, families)
    last = x[:, -1].numpy()
    q = unit(silu(last @ named["W_kq"].T))
    A = G.numpy().reshape(BATCH, 4, 4) + np.diag(0.25 + softplus(named["g_kl"]))
    expected = np.einsum(
        "bkv,bk->bv", S.numpy().reshape(BATCH, 4, 6), np.linalg.solve(A, q[..., None])[..., 0]
    )
    np.testing.assert_allclose(found[:, -1].numpy(), expected, rtol=1e-6, atol=1e-8)


def test_bounded_memory_beside_fla() -> None:
    """Peng et al.'s sums and their quotients, over all steps at once, from empty slots."""
    loop = module("fla", "ops/abc/naive.py").naive_cumsum_abc
    program, families, w, x, _, _ = drawn(cells.ABC(6, heads=2, keys=4, slots=5))
    found, _, _ = scan(program, x, None, families)
    widths = {"W_kq": 4, "W_kk": 4, "W_vv": 3, "W_pp": 5}
    parts = [x @ torch.from_numpy(w[name].T) for name in widths]
    divided = [one.reshape(BATCH, STEPS, 2, n) for one, n in zip(parts, widths.values(), strict=True)]
    expected, _ = loop(*[one.transpose(1, 2) for one in divided])
    torch.testing.assert_close(found, expected.double().transpose(1, 2).flatten(2), rtol=2e-4, atol=2e-5)


def test_mesa_layer_beside_fla() -> None:
    """Its exact solution, from an empty memory, at every step."""
    loop = module("fla", "ops/mesa_net/naive.py").naive_mesa_net_exact
    program, families, w, x, _, _ = drawn(cells.MesaNet(6, heads=2, iterations=3))
    found, finals, _ = scan(program, x, None, families)
    q, k, v = (lin(w, f"W_{n}", x.numpy()).reshape(BATCH, STEPS, 2, 3) for n in ("kq", "kk", "vv"))
    g, beta = (sigma(lin(w, f"W_g{n}", x.numpy(), bias=f"b_g{n}")).reshape(BATCH, STEPS, 2) for n in "gb")
    least = 0.25 + softplus(w["g_kl"]).reshape(2, 3)
    given = [torch.from_numpy(one) for one in (unit(silu(q)), unit(silu(k)), v, np.log(g), least, beta)]
    expected, G, S = loop(*given)
    torch.testing.assert_close(found, expected.double().flatten(2), rtol=2e-4, atol=2e-5)
    for got, want in zip(finals, (S, G), strict=True):
        torch.testing.assert_close(got, want.double().flatten(1), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cells.NRU(6, writes=3), "writes: expected a square number such as 1, 4 or 9, got 3"),
        (lambda: cells.SVDRNN(6, radius=2), "radius: expected"),
        (lambda: cells.EUNN(6, layers=0), "layers: expected"),
        (lambda: cells.ConvLSTM(6), "size: expected the positions of each axis"),
        (lambda: cells.ConvGRU(6, size=(4,)), "size: expected a divisor of 6 units, got 4 positions"),
        (lambda: cells.Mamba3(6, keys=3), "keys: expected an even number, got 3"),
        (lambda: cells.Mamba(6, heads=2), "heads: expected"),
        (lambda: cells.TTT(6, heads=2, keys=4), "keys: expected"),
        (lambda: cells.StackRNN(6, depth=3, read=4), "read: expected"),
        (lambda: cells.HouseholderRNN(6, reflections=7), "reflections: expected"),
        (lambda: cells.LTC(6, substeps=0), "substeps: expected"),
        (lambda: cells.S4D(6, largest_step=1e-4), "largest_step: expected"),
        (lambda: cells.DSS(6, length=0), "length: expected .* or None, got 0"),
        (lambda: cells.DNC(6, rows=1), "rows: expected a whole number of at least 2, got 1"),
        (lambda: cells.RIM(6, modules=4), "modules: expected a divisor of 6 units, got 4"),
        (lambda: cells.RIM(6, modules=3, active=4), "active: expected at most 3 modules, got 4"),
        (lambda: cells.GridLSTM(6, layers=0), "layers: expected"),
        (lambda: cells.RUM(6, length=-1), "length: expected a number above 0 or None, got -1"),
    ],
)
def test_settings_are_checked(make: Callable[[], Cell], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_map_has_whole_channels() -> None:
    with pytest.raises(CellError, match="size: expected a divisor of the width 4, got 3 positions"):
        cells.ConvLSTM(6, size=(3,)).program(4)


def test_starts() -> None:
    def start(cell: Cell) -> dict[str, torch.Tensor]:
        rnn = nabi.nn.RNN(cell, INPUTS)
        return {name.removesuffix("_l0"): value.detach() for name, value in rnn.named_parameters()}

    modes = start(cells.S4D(2, keys=3))
    torch.testing.assert_close(modes["A_im"].reshape(3, 2)[:, 0], torch.pi * torch.arange(3.0))
    assert float(modes["log_A"].exp().mean()) == pytest.approx(0.5)
    shared = start(cells.DSS(2, keys=3))
    below = np.tril(np.sqrt(np.outer(np.arange(6) * 2 + 1, np.arange(6) * 2 + 1)), -1)
    turns = np.sort(np.linalg.eigvals((below - below.T) / 2).imag)[:2:-1]
    np.testing.assert_allclose(shared["A_im"].numpy(), turns, rtol=1e-6)
    assert cells.RUM(3, associative=True).program(INPUTS).state_names == ("h", "R")
    _, state = nabi.nn.RNN(cells.RUM(3, associative=True), INPUTS)(torch.zeros(1, 0, INPUTS))
    torch.testing.assert_close(state.R.reshape(3, 3), torch.eye(3))
    assert sum(float(value) for value in start(cells.GridLSTM(2, tied=True))["b"] == 1.0) == 4
    speeds = start(cells.Mamba(2, keys=3))["log_A"].exp().reshape(3, 2)
    torch.testing.assert_close(speeds[:, 1], torch.tensor([1.0, 2.0, 3.0]))
    liquid = start(cells.LTC(30))
    strength = torch.nn.functional.softplus(liquid["w_v"])
    assert 0.001 <= float(strength.min()) < float(strength.max()) <= 1.0
    assert set(liquid["E_v"].tolist()) == {-1.0, 1.0}
    maps = start(cells.ConvLSTM(6, size=(3,)))
    assert maps["b_f"].tolist() == [1.0, 1.0]
