"""Cells for irregular series against the equations of their papers in numpy, and against a package."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nabi.nn
from nabi import cells
from nabi.cells import Cell
from nabi.errors import ArgumentError, CellError, UnknownNameError
from nabi.scan import scan, step

from .test_cells import sigma

UNITS, INPUTS, BATCH = 5, 3, 4
Array = np.ndarray
Weights = dict[str, Array]


def pre(w: Weights, gate: str, **operands: Array) -> Array:
    return sum(value @ w[f"W_{letter}{gate}"].T for letter, value in operands.items()) + w[f"b_{gate}"]


def cfc(w: Weights, x: Array, h: Array, *, delta: Array) -> tuple[Array, ...]:
    """Hasani et al. 2022, equation 10, with the backbone and the activation of the authors' package."""
    both = np.concatenate([x, h], 1) @ np.concatenate([w["W_xb"], w["W_hb"]], 1).T + w["b_bb"]
    b = 1.7159 * np.tanh(0.666 * both)
    f, g = np.tanh(pre(w, "f", b=b)), np.tanh(pre(w, "g", b=b))
    share = sigma(-(-pre(w, "a", b=b) * delta[:, None] - pre(w, "c", b=b)))
    return (share * g + (1 - share) * f,)


def t_lstm(
    w: Weights, x: Array, h: Array, c: Array, *, delta: Array, inverse: bool = False
) -> tuple[Array, ...]:
    """Baytas et al. 2017, section 3.2."""
    short = np.tanh(c @ w["W_cd"].T + w["b_d"])
    decay = 1 / delta if inverse else 1 / np.log(np.e + delta)
    adjusted = (c - short) + short * decay[:, None]
    f, i, o = (sigma(pre(w, gate, x=x, h=h)) for gate in "fio")
    c = f * adjusted + i * np.tanh(pre(w, "c", x=x, h=h))
    return o * np.tanh(c), c


def gru_d(w: Weights, x: Array, h: Array, last: Array, *, observed: Array, delta: Array) -> tuple[Array, ...]:
    """Che et al. 2018, equations 10 to 17."""
    fade_x = np.exp(-np.maximum(0, w["w_xd"] * delta + w["b_xd"]))
    fade_h = np.exp(-np.maximum(0, delta @ w["W_dd"].T + w["b_dd"]))
    x = np.nan_to_num(x)
    filled = observed * x + (1 - observed) * (fade_x * last + (1 - fade_x) * w["mean"])
    h = fade_h * h
    z, r = (sigma(pre(w, gate, x=filled, h=h, m=observed)) for gate in "zr")
    new = np.tanh(pre(w, "n", x=filled, h=r * h, m=observed))
    return (1 - z) * h + z * new, observed * x + (1 - observed) * last


def ea_lstm(w: Weights, x: Array, h: Array, c: Array, *, static: Array) -> tuple[Array, ...]:
    """Kratzert et al. 2019, equations 7 to 12."""
    i = sigma(static @ w["W_si"].T + w["b_i"])
    f, o = (sigma(pre(w, gate, x=x, h=h)) for gate in "fo")
    c = f * c + i * np.tanh(pre(w, "c", x=x, h=h))
    return o * np.tanh(c), c


def ct_rnn(w: Weights, x: Array, h: Array, *, delta: Array, steps: int = 1) -> tuple[Array, ...]:
    """Euler's method for Funahashi and Nakamura 1993, equation 1."""
    tau = np.log1p(np.exp(w["tau"]))
    for _ in range(steps):
        h = h + delta[:, None] / steps * (-h + np.tanh(pre(w, "h", x=x, h=h))) / tau
    return (h,)


def ode_rnn(
    w: Weights, x: Array, h: Array, *, delta: Array, rk4: bool = False, steps: int = 1, gru: bool = False
) -> tuple[Array, ...]:
    """Rubanova et al. 2019, algorithm 1, with a GRU; De Brouwer et al. 2019, for `gru`."""

    def f(h: Array) -> Array:
        if gru:
            z, r = (sigma(pre(w, gate, h=h)) for gate in ("zd", "rd"))
            return (1 - z) * (np.tanh(pre(w, "nd", h=r * h)) - h)
        return np.tanh(h @ w["W_ee"].T + w["b_ee"]) @ w["W_vv"].T + w["b_v"]

    dt = delta[:, None] / steps
    for _ in range(steps):
        k1 = f(h)
        if rk4:
            k2 = f(h + dt * k1 / 2)
            k3 = f(h + dt * k2 / 2)
            k1 = (k1 + 2 * k2 + 2 * k3 + f(h + dt * k3)) / 6
        h = h + dt * k1
    z, r = (sigma(pre(w, gate, x=x, h=h)) for gate in "zr")
    return (z * h + (1 - z) * np.tanh(pre(w, "n", x=x, h=r * h)),)


def phased_lstm(
    w: Weights, x: Array, h: Array, c: Array, *, time: Array, leak: float = 0.001
) -> tuple[Array, ...]:
    """Neil et al. 2016, equations 6 to 10; s is a share of the period here."""
    period, shift, ratio = w["tau"], w["s"] * w["tau"], w["r"]
    phi = np.mod(time[:, None] - shift, period) / period
    k = np.where(phi < ratio / 2, 2 * phi / ratio, np.where(phi < ratio, 2 - 2 * phi / ratio, leak * phi))
    i, f = (sigma(pre(w, gate, x=x, h=h) + w[f"w_c{gate}"] * c) for gate in "if")
    new = f * c + i * np.tanh(pre(w, "c", x=x, h=h))
    o = sigma(pre(w, "o", x=x, h=h) + w["w_co"] * new)
    return k * o * np.tanh(new) + (1 - k) * h, k * new + (1 - k) * c


def with_options(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return lambda *given, **named: function(*given, **named, **options)


CASES: list[tuple[Cell, Callable[..., Any]]] = [
    (cells.CfC(UNITS, backbone=7), cfc),
    (cells.TLSTM(UNITS), t_lstm),
    (cells.TLSTM(UNITS, decay="inverse"), with_options(t_lstm, inverse=True)),
    (cells.GRUD(UNITS, features=INPUTS), gru_d),
    (cells.EALSTM(UNITS, static_size=4), ea_lstm),
    (cells.PhasedLSTM(UNITS), phased_lstm),
    (cells.PhasedLSTM(UNITS, leak=0.0), with_options(phased_lstm, leak=0.0)),
    (cells.CTRNN(UNITS), ct_rnn),
    (cells.CTRNN(UNITS, substeps=3), with_options(ct_rnn, steps=3)),
    (cells.ODERNN(UNITS), ode_rnn),
    (cells.GRUODE(UNITS, substeps=2), with_options(ode_rnn, steps=2, gru=True)),
    (cells.ODERNN(UNITS, hidden=6, solver="rk4", substeps=2), with_options(ode_rnn, rk4=True, steps=2)),
]


def draw(cell: Cell, seed: int = 0) -> tuple[Any, ...]:
    program = cell.program(INPUTS)
    random = np.random.default_rng(seed)
    weights = [random.normal(size=family.shape) / 2 for family in program.families]
    by_name = {}
    for parameter in program.parameters:
        index, rows = program.family_of(parameter.name)
        by_name[parameter.name] = weights[index][rows]
    for name, low, high in (("tau", 0.5, 3.0), ("s", 0.0, 1.0), ("r", 0.2, 0.9)):
        if name in by_name and "s" in by_name:
            by_name[name][:] = random.uniform(low, high, UNITS)  # weights share its memory
    extra = {}
    for one in program.inputs[1:]:
        lead = (BATCH,) if one.per_sequence else (BATCH, 6)
        extra[one.name] = random.uniform(0.1, 2, size=(*lead, *([] if one.width is None else [one.width])))
        if one.name == "time":
            extra[one.name] = extra[one.name].cumsum(1)
        if one.name == "observed":
            extra[one.name] = (extra[one.name] < 1).astype(float)
    states = [random.normal(size=(BATCH, width)) for width in program.state_widths]
    return program, weights, by_name, random.normal(size=(BATCH, 6, INPUTS)), states, extra


@pytest.mark.parametrize(("cell", "by_hand"), CASES, ids=lambda v: repr(v) if isinstance(v, Cell) else "")
def test_equations(cell: Cell, by_hand: Callable[..., Any]) -> None:
    program, weights, by_name, x, states, extra = draw(cell)
    if "observed" in extra:
        x[extra["observed"] == 0] = np.nan
    expected = tuple(states)
    for t in range(6):
        here = {name: value if name == "static" else value[:, t] for name, value in extra.items()}
        expected = by_hand(by_name, x[:, t], *expected, **here)
    tensors = [torch.from_numpy(weight) for weight in weights]
    _, finals, _ = scan(
        program, torch.from_numpy(x), list(map(torch.from_numpy, states)), tensors, extra=extra
    )
    for own, other in zip(finals, expected, strict=True):
        np.testing.assert_allclose(own.numpy(), other, rtol=1e-12, atol=1e-12)


def test_cfc_is_that_of_the_authors_package() -> None:
    """ncps 1.0.1; a batch of time spans must be a column there, and no backbone layer may be left out."""
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(0)
    theirs = ncps.CfC(INPUTS, UNITS, backbone_units=7, backbone_layers=1, backbone_dropout=0.0).double()
    cell = theirs.rnn_cell
    program = cells.CfC(UNITS, backbone=7).program(INPUTS)
    first, heads = cell.backbone[0], (cell.ff1, cell.ff2, cell.time_a, cell.time_b)
    by_family = {
        "W_x": first.weight[:, :INPUTS],
        "W_h": first.weight[:, INPUTS:],
        "b_b": first.bias,
        "W_b": torch.cat([head.weight for head in heads]),
        "b": torch.cat([head.bias for head in heads]),
    }
    weights = [by_family[family.name].detach() for family in program.families]
    x = torch.randn(BATCH, 6, INPUTS, dtype=torch.float64)
    delta = torch.rand(BATCH, 6, dtype=torch.float64) * 3
    now = torch.zeros(BATCH, UNITS, dtype=torch.float64)
    outputs = []
    for t in range(6):
        _, now = cell(x[:, t], now, delta[:, t, None])
        outputs.append(now)
    found = scan(program, x, None, weights, extra={"delta": delta})[0]
    torch.testing.assert_close(found, torch.stack(outputs, 1), rtol=1e-12, atol=1e-12)
    # Without times: both count steps of 1.
    torch.testing.assert_close(scan(program, x, None, weights)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


def test_gru_d_reads_nothing_that_was_not_observed() -> None:
    cell = cells.GRUD(UNITS, features=INPUTS)
    rnn = nabi.nn.RNN(cell, INPUTS)
    x = torch.randn(BATCH, 6, INPUTS, requires_grad=True)
    observed = torch.rand(BATCH, 6, INPUTS) < 0.5
    spoilt = torch.where(observed, x, torch.nan)
    output, _ = rnn(spoilt, observed=observed, delta=torch.rand(BATCH, 6, INPUTS))
    output.square().sum().backward()
    assert bool(output.isfinite().all())
    assert all(bool(weight.grad.isfinite().all()) for weight in rnn.parameters())
    assert x.grad is not None
    assert not bool(x.grad[~observed].any())
    assert bool((x.grad[observed] != 0).any())


def test_time_that_does_not_pass_leaves_the_state_of_an_ode() -> None:
    cell = cells.CTRNN(UNITS, substeps=4)
    rnn = nabi.nn.RNN(cell, INPUTS)
    h = torch.randn(1, BATCH, UNITS)
    _, state = rnn(torch.randn(BATCH, 3, INPUTS), h, delta=0)
    torch.testing.assert_close(state.h, h)


def test_what_is_static_opens_the_input_gate() -> None:
    """An entity whose gate is closed takes nothing in."""
    program = cells.EALSTM(UNITS, static_size=1).program(INPUTS)
    weights = [torch.randn(family.shape) for family in program.families]
    at = [family.name for family in program.families].index("W_s")
    weights[at] = torch.full_like(weights[at], 200.0)
    x = torch.randn(2, 6, INPUTS)
    output, _, _ = scan(program, x, None, weights, extra={"static": torch.tensor([[-1.0], [1.0]])})
    assert float(output[0].abs().max()) < 1e-6
    assert float(output[1].abs().max()) > 1e-2


def test_settings() -> None:
    with pytest.raises(ArgumentError, match="features: expected a whole number of at least 1, got 0"):
        cells.GRUD(UNITS)
    with pytest.raises(ArgumentError, match="static_size: expected a whole number of at least 1, got 0"):
        cells.EALSTM(UNITS)
    with pytest.raises(UnknownNameError, match="decay: 'linear' is not known"):
        cells.TLSTM(UNITS, decay="linear")
    with pytest.raises(UnknownNameError, match="solver: 'euler2' is not known"):
        cells.ODERNN(UNITS, solver="euler2")
    with pytest.raises(CellError, match="features: expected the width of the input, 4, got 3"):
        cells.GRUD(UNITS, features=3).program(4)
    with pytest.raises(ArgumentError, match="mean: expected a number or 3, one for each feature, got 2"):
        cells.GRUD(UNITS, features=3, mean=(1.0, 2.0))
    rnn = nabi.nn.RNN(cells.GRUD(UNITS, features=3, mean=(1.0, 2.0, 3.0)), 3)
    assert dict(rnn.named_buffers())["mean_l0"].tolist() == [1.0, 2.0, 3.0]
    tau = nabi.nn.RNN(cells.CTRNN(UNITS), 3).tau_l0
    torch.testing.assert_close(torch.nn.functional.softplus(tau), torch.ones(UNITS))
    assert cells.GRUD.needed_inputs() == ("observed",)
    assert cells.CfC.needed_inputs() == ()


@pytest.mark.parametrize("cell", [case[0] for case in CASES[:3]], ids=repr)
def test_one_step_is_a_step_of_the_whole(cell: Cell) -> None:
    program, weights, _, x, states, extra = draw(cell)
    tensors = [torch.from_numpy(weight) for weight in weights]
    now: Any = tuple(map(torch.from_numpy, states))
    _, finals, _ = scan(program, torch.from_numpy(x), now, tensors, extra=extra)
    for t in range(6):
        here = {name: value[:, t] for name, value in extra.items()}
        now = step(program, torch.from_numpy(x[:, t]), now, tensors, extra=here)
    torch.testing.assert_close(now[0], finals[0])
