"""Wrapped cells that read more than x, or have outputs that are no states, earlier inputs, or axes."""

from typing import Any

import pytest
import torch
from torch import Tensor

import nabi.nn
from nabi import cells, layers
from nabi.cells import (
    EALSTM,
    GRUD,
    LSTM,
    QRNN,
    SLSTM,
    CfC,
    Dilated,
    Highway,
    JordanRNN,
    LayerNorm,
    Mamba2,
    PhasedLSTM,
    RecurrentDropout,
    Residual,
    SkipRNN,
    WeightDrop,
    WeightNorm,
    Wrapper,
    Zoneout,
)
from nabi.errors import ArgumentError, CellError
from nabi.ir import Cell
from nabi.scan import sample_noise, scan

from .test_composing import families_of, weights_of

D = 4
X = torch.randn(3, 8, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Leak(Cell):
    """An output that is no state, an earlier input, and inputs of a step and of a sequence."""

    output = "y"
    states = ("c",)
    static_size: int = 2

    def step(self, x: Any, c: Any, *, delta: Any = 1.0, static: Any) -> Any:
        c = 0.5 * c * (2 - delta) + self.affine("c", x, self.previous(x))
        return self.linear("y", "o", c) + self.linear("y", "s", static), c


CASES: dict[str, Cell] = {
    "delta": CfC(D, backbone=3),
    "observed": GRUD(D, features=D),
    "static": EALSTM(D, static_size=2),
    "time": PhasedLSTM(D),
    "output": QRNN(D),
    "all": Leak(D),
    "axes": Mamba2(D, heads=2, keys=3),
}


def given(cell: Cell) -> dict[str, Tensor]:
    """A value for each further input."""
    generator, found = torch.Generator().manual_seed(2), {}
    for one in cell.program(D).inputs[1:]:
        lead = (3,) if one.per_sequence else (3, 8)
        shape = lead if one.width is None else (*lead, one.width)
        found[one.name] = torch.rand(shape, generator=generator, dtype=torch.float64)
    if "observed" in found:
        found["observed"] = (found["observed"] < 0.6).double()
    return found


def run(cell: Cell, x: Tensor, training: bool = False, **options: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output and the final states, with weights by name; those of a wrapper are those of its cell."""
    program = cell.program(x.shape[2], training)
    generator = torch.Generator().manual_seed(1)
    noise = sample_noise(program, x.shape[0], x.shape[1], dtype=torch.float64, generator=generator)
    families = families_of(program, weights_of(program))
    output, finals, _ = scan(program, x, None, families, noise=noise, **options)
    return output, finals


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CASES.values(), ids=CASES)
def test_a_wrapper_reads_what_its_cell_reads(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_NATIVE", "0")
    more = given(cell)
    options: dict[str, Any] = {"extra": more, "lengths": torch.tensor([8, 3, 6])}
    output, finals = run(cell, X, **options)
    valid = (torch.arange(8) < options["lengths"][:, None])[..., None]
    for whole in (RecurrentDropout(cell, 0.0), Dilated(cell, 1), Zoneout(cell, 0.0)):
        assert list(whole.step_inputs()) == list(cell.step_inputs())
        assert whole.inputs_to_give == cell.inputs_to_give
        same(run(whole, X, **options)[0], output)
    added, states = run(Residual(cell), X, **options)
    same(added, output + torch.where(valid, X, 0.0))
    same(states, finals)
    highway = Highway(cell)
    w = weights_of(highway.program(D))
    k = torch.sigmoid(X @ w["W_vk"].T + w["b_yk"])
    same(run(highway, X, **options)[0], torch.where(valid, k * output + (1 - k) * X, 0.0))


NATIVE = {"all", "axes"}
"""Of these cells, kernels are compiled; for the others it is the equations that matter here."""


@pytest.mark.parametrize(
    ("cell", "native"), [(cell, "" if name in NATIVE else "0") for name, cell in CASES.items()], ids=CASES
)
def test_zoneout_mixes_every_state_and_leaves_the_output(
    cell: Cell, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    wrapped, more = Zoneout(cell, 0.3), given(cell)
    program = wrapped.program(D, training=True)
    generator = torch.Generator().manual_seed(1)
    noise = sample_noise(program, 3, 8, dtype=torch.float64, generator=generator)
    output, finals = run(wrapped, X, training=True, extra=more)
    plain = cell.program(D)
    families = families_of(plain, weights_of(plain))
    states = [torch.zeros(3, width, dtype=torch.float64) for width in plain.state_widths]
    if isinstance(cell, Mamba2):
        assert [draw.width for draw in program.noises] == [2 * 3 * 2, 4 + 2 * 3]  # not the older u
    for t in range(8):
        here = {name: value[:, t : t + 1] if name != "static" else value for name, value in more.items()}
        got, new, _ = scan(plain, X[:, t : t + 1], states, families, extra=here)
        masks = dict(zip([draw.name for draw in program.noises], noise, strict=True))
        mixed = []
        for name, old, value in zip(plain.state_names, states, new, strict=True):
            mask = masks.get(f"m_{name}")
            mixed.append(value if mask is None else torch.where(_at(mask, t) > 0, old, value))
        states = mixed
        same(output[:, t], got[:, 0] if cell.output else states[0])
    same(finals, tuple(states))


def _at(mask: Tensor, t: int) -> Tensor:
    return mask[:, t]


@pytest.mark.parametrize("cell", [QRNN(D), Leak(D), CfC(D, backbone=3)], ids=["QRNN", "Leak", "CfC"])
def test_a_dilated_cell_runs_on_every_other_step(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input before is that of two steps ago as well."""
    monkeypatch.setenv("NABI_NATIVE", "0")
    more = given(cell)
    found = run(Dilated(cell, 2), X, extra=more)[0]
    for start in (0, 1):
        part = {name: value if name == "static" else value[:, start::2] for name, value in more.items()}
        same(found[:, start::2], run(cell, X[:, start::2], extra=part)[0])


def test_a_skipped_step_keeps_the_output() -> None:
    cell = SkipRNN(Leak(D))
    assert (cell.output, cell.states) == ("", ("y", "c", "w"))
    more = given(cell)
    output, _ = run(cell, X, extra=more)
    program = cell.program(D)
    _, _, every = scan(
        program, X, None, families_of(program, weights_of(program)), extra=more, return_all_states=True
    )
    assert every is not None
    u = 1 - every[2][:, :-1]
    skipped = (u <= 0.5).squeeze(-1)
    assert 0 < int(skipped.sum()) < skipped.numel()
    same(output[:, 1:][skipped], output[:, :-1][skipped])


WRAPPED = [
    Zoneout(LayerNorm(Leak(D)), 0.2), Residual(Residual(GRUD(D, features=D))), WeightNorm(QRNN(D)),
    Highway(Dilated(CfC(D, backbone=3), 2)), cells.AttentionWindow(EALSTM(D, static_size=2), 2),
    SkipRNN(Leak(D)), RecurrentDropout(Leak(D), 0.3), cells.AttentionWindow(SLSTM(D), 2),
    Residual(JordanRNN(D)),
]  # fmt: skip


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("cell", WRAPPED, ids=lambda cell: str(cell)[:34])
def test_gradients_are_those_of_numeric_differentiation(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    if cell not in WRAPPED[:2]:
        monkeypatch.setenv("NABI_NATIVE", "0")
    program, more = cell.program(D, training=True), given(cell)
    generator = torch.Generator().manual_seed(1)
    noise = sample_noise(program, 2, 5, dtype=torch.float64, generator=generator)
    weights = [f.requires_grad_() for f in families_of(program, weights_of(program))]
    extra = {name: value[:2] if name == "static" else value[:2, :5] for name, value in more.items()}

    def output(x: Tensor, *weights: Tensor) -> Tensor:
        lengths = torch.tensor([5, 3])
        return scan(program, x, None, weights, noise=noise, lengths=lengths, extra=extra)[0]

    skips = isinstance(cell, SkipRNN)  # its derivative is declared, not that of its values
    x = X[:2, :5].clone().requires_grad_()
    if skips:
        assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(output(x, *weights).sum(), weights))
    else:
        assert torch.autograd.gradcheck(output, (x, *weights), fast_mode=True)


def test_names_of_added_values_do_not_hide_those_of_the_cell() -> None:
    assert Residual(JordanRNN(D)).output == "own_y"
    assert cells.AttentionWindow(SLSTM(D), 2).states == ("a", "own_m", "h", "c", "n", "m", "own_m_2")
    assert Residual(Residual(LSTM(D))).states == ("h", "c")


def test_a_wrapper_can_read_more_itself() -> None:
    class Scaled(Wrapper):
        """The output, times numbers that come with every step."""

        own_output = "y"
        size_size = D

        def step(self, x: Any, *states: Any, size: Any, delta: Any = 1.0) -> Any:
            output, found = self.outcome(x, *states)
            return output * size * delta, *found

    cell = Scaled(CfC(D, backbone=3))
    assert cell.step_inputs() == {"delta": 1.0, "size": cell.step_inputs()["size"]}
    assert cell.inputs_to_give == ("size",)
    delta, size = torch.rand(3, 8, dtype=torch.float64), torch.rand(3, 8, D, dtype=torch.float64)
    found = run(cell, X, extra={"delta": delta, "size": size})[0]
    plain = run(CfC(D, backbone=3), X, extra={"delta": delta})[0]
    same(found, plain * size * delta[..., None])


def test_layers_and_modules_hand_on_what_is_given() -> None:
    cell = Zoneout(EALSTM(D, static_size=2), 0.1)
    layer, module = layers.RNN(cell), nabi.nn.RNN(cell, D)
    x, static = X.float(), torch.rand(3, 2)
    assert layer(x, static=static).shape == (3, D)
    output, state = module(x, static=static)
    assert output.shape == (3, 8, D)
    assert state._fields == ("h", "c")
    with pytest.raises(ArgumentError, match="static: expected"):
        module(x)
    with pytest.raises(ArgumentError, match="delta"):
        layer(x, static=static, delta=torch.rand(3, 8))


def test_names_of_wrapped_cells_know_what_the_cell_needs() -> None:
    kind = cells.get("zoneout(layer-norm(ea-lstm))")
    assert kind.needed_inputs() == kind.known_inputs() == ("static",)
    assert kind.needed_settings(4, 3) == {"static_size": 5}
    assert kind(4, static_size=5).inputs_to_give == ("static",)
    assert cells.get("weight-drop(gru)")(4, rate=0.1) == WeightDrop(cells.GRU(4), 0.1)


def test_inner_refuses_what_the_cell_does_not_read() -> None:
    class Wrong(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return self.inner(CfC(self.units), x, h, time=1.0)

    with pytest.raises(CellError, match=r"inner: CfC reads delta, got time=\.\.\."):
        Wrong(3).program(4)


def test_dropped_weights_are_those_on_states() -> None:
    rnn = nabi.nn.RNN(WeightDrop(LSTM(16), 0.5), D)
    names = {name for name, _ in rnn.named_parameters()}
    assert names == {"W_x_l0", "V_h_l0", "b_l0"}
    x = X.float()
    rnn.eval()
    plain = nabi.nn.RNN(LSTM(16), D)
    with torch.no_grad():
        for name, value in plain.named_parameters():
            value.copy_(dict(rnn.named_parameters())[name.replace("W_h", "V_h")])
    torch.testing.assert_close(rnn(x)[0], plain(x)[0])
    rnn.train()
    output, _ = rnn(x)
    assert not torch.equal(output, plain(x)[0])
    # The first step reads no state, so nothing is dropped in it.
    torch.testing.assert_close(output[:, 0], plain(x)[0][:, 0])
    output.sum().backward()
    gradient = dict(rnn.named_parameters())["V_h_l0"].grad
    assert gradient is not None
    assert 0.4 < float((gradient == 0).float().mean()) < 0.6
