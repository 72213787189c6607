"""Spiking, ordered, nested and delayed cells, against their equations typed from the papers in numpy."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nabi.nn
from nabi.cells import (
    ALIF,
    FSRNN,
    GRU,
    LIF,
    MIST,
    NARX,
    ONLSTM,
    Cell,
    ClockworkRNN,
    HyperLSTM,
    NestedLSTM,
    SynapticLIF,
    TauGRU,
    WeightNorm,
)
from nabi.errors import ArgumentError, UnknownNameError
from nabi.scan import scan, step

Weights = dict[str, np.ndarray]
States = tuple[np.ndarray, ...]
INPUTS, BATCH = 3, 4


def sigma(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def norm(v: np.ndarray) -> np.ndarray:
    return (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-5)


def softmax(v: np.ndarray) -> np.ndarray:
    shares = np.exp(v - v.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def pre(w: Weights, gate: str, x: np.ndarray, h: np.ndarray, part: str = "") -> np.ndarray:
    p = f"{part}_" if part else ""
    return x @ w[f"W_{p}x{gate}"].T + h @ w[f"W_{p}h{gate}"].T + w[f"b_{p}{gate}"]


def lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray, part: str = "") -> States:
    f, i, o = (sigma(pre(w, gate, x, h, part)) for gate in "fio")
    c = f * c + i * np.tanh(pre(w, "c", x, h, part))
    return o * np.tanh(c), c


def lif(w: Weights, x: np.ndarray, s: np.ndarray, v: np.ndarray) -> States:
    """Bellec et al. 2018, equation 1 in discrete time: the reset subtracts the threshold."""
    v = 0.8 * v + x @ w["W_xv"].T + s @ w["W_sv"].T + w["b_v"] - 0.7 * s
    return (v > 0.7) * 1.0, v


def alif(w: Weights, x: np.ndarray, s: np.ndarray, v: np.ndarray, a: np.ndarray) -> States:
    """The threshold B = b_0 + beta a, and a decays with rho."""
    v = 0.9 * v + x @ w["W_xv"].T + s @ w["W_sv"].T + w["b_v"] - 1.0 * s
    s = (v > 1.0 + 0.3 * a) * 1.0
    return s, v, 0.95 * a + s


def synaptic_lif(w: Weights, x: np.ndarray, s: np.ndarray, v: np.ndarray, i: np.ndarray) -> States:
    """The current fades with 0.6, the potential with 0.8."""
    i = 0.6 * i + x @ w["W_xv"].T + s @ w["W_sv"].T + w["b_v"]
    v = 0.8 * v + i - 1.0 * s
    return (v > 1.0) * 1.0, v, i


def on_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> States:
    """Shen et al. 2019, equations 9 to 14, with master gates of chunks of two."""

    def cumax(gate: str) -> np.ndarray:
        places = x @ w[f"W_m{gate}"].T + h @ w[f"W_n{gate}"].T + w[f"b_{gate}"]
        return np.cumsum(softmax(places), 1).repeat(2, 1)

    master_f, master_i = cumax("F"), 1 - cumax("I")
    overlap = master_f * master_i
    f, i, o = (sigma(pre(w, gate, x, h)) for gate in "fio")
    f_hat = f * overlap + (master_f - overlap)
    i_hat = i * overlap + (master_i - overlap)
    c = f_hat * c + i_hat * np.tanh(pre(w, "c", x, h))
    return o * np.tanh(c), c


def nested_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray, d: np.ndarray) -> States:
    """Moniz and Krueger 2017, equations 6 to 16."""
    f, i, o = (sigma(pre(w, gate, x, h)) for gate in "fio")
    c, d = lstm(w, i * np.tanh(pre(w, "c", x, h)), f * c, d, "inner")
    return o * np.tanh(c), c, d


def fast_slow(
    w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray, s: np.ndarray, r: np.ndarray
) -> States:
    """Mujika et al. 2017, equations 1 to 4, with two fast LSTMs."""
    h, c = lstm(w, x, h, c, "fast1")
    s, r = lstm(w, h, s, r, "slow")
    h, c = lstm(w, s, h, c, "fast2")
    return h, c, s, r


def hyper_lstm(
    w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray, p: np.ndarray, q: np.ndarray
) -> States:
    """Ha et al. 2017, equations 10 to 13 of the appendix."""

    def small(gate: str) -> np.ndarray:
        return x @ w[f"W_xp{gate}"].T + h @ w[f"W_hp{gate}"].T + p @ w[f"W_pp{gate}"].T + w[f"b_p{gate}"]

    q_new = sigma(small("f")) * q + sigma(small("i")) * np.tanh(small("c"))
    p_new = sigma(small("o")) * np.tanh(q_new)

    def scaled(gate: str) -> np.ndarray:
        def factor(letter: str) -> np.ndarray:
            z = p_new @ w[f"W_p{gate}{letter}"].T + w[f"b_z{gate}{letter}"]
            return z @ w[f"W_z{gate}{letter}"].T

        of_x, of_h = factor("x") * (x @ w[f"W_x{gate}"].T), factor("h") * (h @ w[f"W_h{gate}"].T)
        return w[f"g_n{gate}"] * norm(of_x + of_h + factor("b") + w[f"b_{gate}"]) + w[f"b_n{gate}"]

    c = sigma(scaled("f")) * c + sigma(scaled("i")) * np.tanh(scaled("c"))
    return sigma(scaled("o")) * np.tanh(w["g_cc"] * norm(c) + w["b_cc"]), c, p_new, q_new


def tau_gru(w: Weights, x: np.ndarray, h: np.ndarray, h2: np.ndarray, h3: np.ndarray) -> States:
    """Erichson et al. 2022, equation 4, with a delay of three steps."""
    u = np.tanh(pre(w, "u", x, h))
    z = np.tanh(x @ w["W_xz"].T + h3 @ w["W_dz"].T + w["b_z"])
    g, a = sigma(pre(w, "g", x, h)), sigma(pre(w, "a", x, h))
    return (1 - g) * h + g * (u + a * z), h, h2


def narx(w: Weights, x: np.ndarray, h: np.ndarray, h2: np.ndarray, h3: np.ndarray) -> States:
    """Lin et al. 1996 with lags 1 and 3."""
    return np.tanh(x @ w["W_xh"].T + h @ w["W_h1h"].T + h3 @ w["W_h3h"].T + w["b_h"]), h, h2


def mist(w: Weights, x: np.ndarray, h: np.ndarray, h2: np.ndarray, h3: np.ndarray) -> States:
    """DiPietro et al. 2017 with lags 1 and 3, as in the authors' code."""
    past = np.stack([h, h3], 1)
    shares = softmax(x @ w["W_xa"].T + h @ w["W_ha"].T + w["b_aa"])
    mixed = sigma(pre(w, "r", x, h)) * np.einsum("bk,bku->bu", shares, past)
    return np.tanh(pre(w, "h", x, mixed)), h, h2


CASES: list[tuple[Cell, Callable[..., States], int]] = [
    # cell, its equations in numpy, its parameter count by hand
    (LIF(5, decay=0.8, threshold=0.7), lif, 5 * (3 + 5 + 1)),
    (ALIF(5, adaptation=0.3, adaptation_decay=0.95), alif, 5 * (3 + 5 + 1)),
    (SynapticLIF(5, decay=0.8, synaptic_decay=0.6), synaptic_lif, 5 * (3 + 5 + 1)),
    (ONLSTM(6, chunk=2), on_lstm, 4 * 6 * (3 + 6 + 1) + 2 * 3 * (3 + 6 + 1)),
    (NestedLSTM(5), nested_lstm, 4 * 5 * (3 + 5 + 1) + 4 * 5 * (5 + 5 + 1)),
    (FSRNN(5), fast_slow, 4 * 5 * (3 + 5 + 1) + 2 * 4 * 5 * (5 + 5 + 1)),
    (
        HyperLSTM(5, hyper=4, embedding=2),
        hyper_lstm,
        4 * 4 * (3 + 5 + 4 + 1) + 12 * 2 * (4 + 1) + 12 * 5 * 2 + 4 * 5 * (3 + 5 + 3) + 2 * 5,
    ),
    (TauGRU(5, delay_steps=3), tau_gru, 4 * 5 * (3 + 5 + 1)),
    (NARX(5, lags=(1, 3)), narx, 5 * (3 + 2 * 5 + 1)),
    (MIST(5, lags=(1, 3)), mist, (5 + 5 + 2) * (3 + 5 + 1)),
]


def drawn(cell: Cell) -> tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    program = cell.program(INPUTS)
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    families = [normal(*family.shape) for family in program.families]
    return families, normal(BATCH, INPUTS), [normal(BATCH, width) for width in program.state_widths]


@pytest.mark.parametrize(("cell", "reference", "count"), CASES, ids=lambda v: type(v).__name__)
def test_a_cell_computes_its_equations(cell: Cell, reference: Callable[..., States], count: int) -> None:
    program = cell.program(INPUTS)
    families, x, states = drawn(cell)
    found = step(program, x, states, families)
    by_name = {}
    for parameter in program.parameters:
        family, rows = program.family_of(parameter.name)
        by_name[parameter.name] = families[family][rows].numpy()
    expected = reference(by_name, x.numpy(), *(state.numpy() for state in states))
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)
    assert program.parameter_count == count


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("native", ["", "0"])
@pytest.mark.parametrize("cell", [case[0] for case in CASES[3:]], ids=lambda cell: type(cell).__name__)
def test_gradients_are_those_of_numeric_differentiation(
    cell: Cell, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    families, _, _ = drawn(cell)
    x = torch.randn(2, 5, INPUTS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def output(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return scan(cell.program(INPUTS), x, None, weights, lengths=torch.tensor([5, 3]))[0]

    given = [0.5 * family for family in families]
    assert torch.autograd.gradcheck(
        output, (x.requires_grad_(), *[w.requires_grad_() for w in given]), fast_mode=True
    )


class Spike(torch.autograd.Function):
    """A spike with the derivative of a fast sigmoid, written for torch."""

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, d: torch.Tensor) -> torch.Tensor:
        (v,) = ctx.saved_tensors
        return d / (1 + 5.0 * v.abs()) ** 2


@pytest.mark.parametrize("native", ["", "0"])
@pytest.mark.parametrize("through_reset", [False, True])
def test_spiking_gradients_are_those_of_the_declared_derivative(
    through_reset: bool, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    cell = ALIF(5, sharpness=5.0, adaptation=0.3, adaptation_decay=0.95, reset_gradient=through_reset)
    program = cell.program(INPUTS)
    families, _, _ = drawn(cell)
    weights = [family.requires_grad_() for family in families]
    x = torch.randn(2, 9, INPUTS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cotangent = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    w_x, w_s, b = (
        weights[program.family_of(name)[0]][program.family_of(name)[1]] for name in ("W_xv", "W_sv", "b_v")
    )
    s = v = a = torch.zeros(2, 5, dtype=torch.float64)
    spikes = []
    for t in range(9):
        v = 0.9 * v + x[:, t] @ w_x.T + s @ w_s.T + b - (s if through_reset else s.detach())
        s = Spike.apply(v - 1.0 - 0.3 * a)  # type: ignore[no-untyped-call]
        a = 0.95 * a + s
        spikes.append(s)
    expected = torch.stack(spikes, 1)
    found, _, _ = scan(program, x, None, weights)
    assert torch.equal(found, expected)
    assert 0.05 < found.mean() < 0.95
    torch.testing.assert_close(
        torch.autograd.grad(found, weights, cotangent), torch.autograd.grad(expected, weights, cotangent)
    )


def test_neurons_are_those_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch")
    from snntorch import surrogate

    cell = LIF(5, decay=0.8, threshold=0.7, recurrent=False, sharpness=5.0)
    families, _, _ = drawn(cell)
    w, b = families
    theirs = snntorch.Leaky(beta=0.8, threshold=0.7, spike_grad=surrogate.fast_sigmoid(slope=5.0)).double()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 20, INPUTS, generator=generator, dtype=torch.float64, requires_grad=True)
    potential, spikes = theirs.init_leaky().double(), []
    for t in range(20):
        fired, potential = theirs(x[:, t] @ w.T + b, potential)
        spikes.append(fired)
    expected = torch.stack(spikes, 1)
    found, final, _ = scan(cell.program(INPUTS), x, None, families)
    assert torch.equal(found, expected.double())
    torch.testing.assert_close(final[1], potential)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), x),
        torch.autograd.grad(expected.sum(), x),
        rtol=1e-5,  # its spikes and their gradients are float32
        atol=1e-6,
    )


def test_synaptic_neurons_are_those_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch")
    cell = SynapticLIF(5, decay=0.8, synaptic_decay=0.6, recurrent=False)
    families, _, _ = drawn(cell)
    theirs = snntorch.Synaptic(alpha=0.6, beta=0.8).double()
    x = torch.randn(2, 20, INPUTS, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    current, potential = (state.double() for state in theirs.init_synaptic())
    spikes = []
    for t in range(20):
        fired, current, potential = theirs(x[:, t] @ families[0].T + families[1], current, potential)
        spikes.append(fired)
    found, final, _ = scan(cell.program(INPUTS), x, None, families)
    assert torch.equal(found, torch.stack(spikes, 1).double())
    # Its decays are float32.
    torch.testing.assert_close(tuple(final[1:]), (potential, current), rtol=1e-5, atol=1e-5)


def test_arguments_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="surrogate: 'arctan' is not known"):
        LIF(5, surrogate="arctan")
    for wrong in (
        lambda: LIF(5, decay=1.5), lambda: LIF(5, threshold=0.0), lambda: ALIF(5, adaptation=-1.0),
        lambda: ONLSTM(5, chunk=2), lambda: FSRNN(5, layers=1), lambda: FSRNN(5, fast=GRU(4)),
        lambda: HyperLSTM(5, hyper=0), lambda: TauGRU(5, delay_steps=0), lambda: NARX(5, lags=()),
        lambda: NARX(5, lags=(2, 2)), lambda: MIST(5, lags=(0, 1)), lambda: SynapticLIF(5, synaptic_decay=2),
        lambda: ClockworkRNN(5, periods=(1, 3)), lambda: ClockworkRNN(5, periods=()),
    ):  # fmt: skip
        with pytest.raises(ArgumentError):
            wrong()


def test_a_fast_slow_rnn_takes_any_cells() -> None:
    cell = FSRNN(5, layers=3, fast=GRU(5), slow=NestedLSTM(2))
    assert cell.states == ("h", "h_slow", "c_slow", "d_slow")
    assert [cell.state_width(name) for name in cell.states] == [5, 2, 2, 2]
    assert {"W_fast3_h", "W_slow_inner_x"} <= {family.name for family in cell.program(3).families}
    assert dataclasses.replace(cell, slow=GRU(3)) == FSRNN(5, layers=3, fast=GRU(5), slow=GRU(3))


def test_the_groups_of_a_clockwork_rnn_update_at_their_periods() -> None:
    """Koutnik et al. 2014, equations 1 to 3: two groups of three units, of periods 1 and 4."""
    rnn = nabi.nn.RNN(ClockworkRNN(6, periods=(1, 4)), input_size=INPUTS).double()
    w = {name.removesuffix("_l0"): value.detach().numpy() for name, value in rnn.named_parameters()}
    x = torch.randn(BATCH, 9, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    recurrent = w["V_h"].copy()
    recurrent[3:, :3] = 0.0  # the slow group does not read the fast one
    h = np.zeros((BATCH, 6))
    output, state = rnn(x)
    for t in range(9):
        new = np.tanh(x[:, t].numpy() @ w["W_x"].T + h @ recurrent.T + w["b"])
        updates = np.array([True] * 3 + [t % 4 == 0] * 3)
        h = np.where(updates, new, h)
        np.testing.assert_allclose(output[:, t].detach().numpy(), h, rtol=1e-12, atol=1e-12)
    assert (state.n == 9).all()
    output.sum().backward()
    gradient = dict(rnn.named_parameters())["V_h_l0"].grad
    assert gradient is not None
    assert (gradient[3:, :3] == 0).all()
    assert (gradient[:3] != 0).all()


def test_rows_of_normalised_weights_have_the_lengths_that_are_learned() -> None:
    rnn = nabi.nn.RNN(WeightNorm(GRU(5)), input_size=INPUTS).double()
    plain = nabi.nn.RNN(GRU(5), input_size=INPUTS).double()
    with torch.no_grad():
        for name, value in plain.named_parameters():
            if name[0] == "b":
                value.copy_(dict(rnn.named_parameters())[name])
                continue
            v, s = (dict(rnn.named_parameters())[f"{letter}{name[1:]}"] for letter in "Vs")
            s += 0.5 * torch.rand_like(s)
            value.copy_(s[:, None] * v / v.norm(dim=1, keepdim=True))
    x = torch.randn(BATCH, 7, INPUTS, dtype=torch.float64)
    torch.testing.assert_close(rnn(x)[0], plain(x)[0])
