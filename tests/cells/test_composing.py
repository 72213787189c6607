"""Cells in cells, delays, and cells that wrap others: the same numbers as what they stand for."""

import copy
import pickle
from typing import Any

import pytest
import torch

from nabi import cells
from nabi.cells import (
    GRU,
    LSTM,
    AttentionWindow,
    Dilated,
    Highway,
    LayerNorm,
    LayerNormLSTM,
    RecurrentDropout,
    Residual,
    SimpleRNN,
    SkipRNN,
    Zoneout,
    ZoneoutLSTM,
)
from nabi.errors import ArgumentError, CellError, UnknownNameError
from nabi.ir import Cell, Program
from nabi.ir.functions import tanh
from nabi.scan import sample_noise, scan


def weights_of(program: Program, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights by the names of their parameters, so that programs with the same names get the same."""
    found = {}
    for parameter in program.parameters:
        generator = torch.Generator().manual_seed(seed + sum(map(ord, parameter.name)))
        found[parameter.name] = 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return found


def families_of(program: Program, weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    found = [torch.zeros(family.shape, dtype=torch.float64) for family in program.families]
    for name, value in weights.items():
        family, rows = program.family_of(name)
        found[family][rows] = value
    return found


def run(cell: Cell, x: torch.Tensor, training: bool = False, **options: Any) -> tuple[torch.Tensor, ...]:
    """The output and final states, with weights by name; noise from a fixed seed."""
    program = cell.program(x.shape[2], training)
    generator = torch.Generator().manual_seed(1)
    noise = sample_noise(program, x.shape[0], x.shape[1], dtype=torch.float64, generator=generator)
    output, final, _ = scan(
        program, x, None, families_of(program, weights_of(program)), noise=noise, **options
    )
    return output, *final


X = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def same(found: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


class Alone(Cell):
    """An LSTM as a part: nothing but its weights' names differs."""

    states = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        return self.inner(LSTM(self.units, recurrent_dropout=0.3), x, h, c, name="only")


class Stacked(Cell):
    """Two layers in one step."""

    states = ("h", "first")

    def step(self, x: Any, h: Any, first: Any) -> Any:
        first = self.inner(GRU(self.units), x, first, name="one")
        return self.inner(GRU(self.units), first, h, name="two"), first


def test_an_inner_cell_is_the_cell() -> None:
    inner, outer = LSTM(5, recurrent_dropout=0.3), Alone(5)
    names = [parameter.name for parameter in outer.program(4).parameters]
    assert names[:3] == ["W_only_xi", "W_only_hi", "b_only_i"]
    assert outer.program(4, training=True).noises[0].name == "d_only_hi"
    weights = {name.replace("only_", ""): value for name, value in weights_of(outer.program(4)).items()}
    for training in (False, True):
        program = inner.program(4, training)
        generator = torch.Generator().manual_seed(1)
        noise = sample_noise(program, 3, 9, dtype=torch.float64, generator=generator)
        output, final, _ = scan(program, X, None, families_of(program, weights), noise=noise)
        same(run(outer, X, training), (output, *final))


def test_a_stack_of_cells_is_the_layers_one_after_the_other() -> None:
    program = Stacked(5).program(4)
    named = weights_of(program)
    first, second = (
        {name.replace(f"{part}_", ""): value for name, value in named.items() if f"_{part}_" in name}
        for part in ("one", "two")
    )
    middle, last_first, _ = scan(GRU(5).program(4), X, None, families_of(GRU(5).program(4), first))
    top, last, _ = scan(GRU(5).program(5), middle, None, families_of(GRU(5).program(5), second))
    same(run(Stacked(5), X), (top, *last, *last_first))


def test_names_of_inner_values_are_shown_with_the_name_of_the_part() -> None:
    equations = Stacked(2).program(3).equations
    assert equations[0] == "z_one_t = σ(W_one_xz x_t + W_one_hz first_{t-1} + b_one_xz + b_one_hz)"
    assert "W_two_xz first_t + W_two_hz h_{t-1}" in equations[4]


def test_parts_within_parts() -> None:
    class Outer(Cell):
        states = ("h", "first")

        def step(self, x: Any, h: Any, first: Any) -> Any:
            return self.inner(Stacked(self.units), x, h, first, name="both")

    names = {family.name for family in Outer(3).program(4).families}
    assert {"W_both_one_x", "W_both_two_h", "b_both_two_x"} <= names
    torch.testing.assert_close(run(Outer(3), X)[0].shape, run(Stacked(3), X)[0].shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda self, x, h: self.inner(LSTM(3), x, h), "LSTM has the states h, c, got 1 values"),
        (lambda self, x, h: self.inner(GRU(4), x, h), "h of GRU: expected a value of 4 units"),
        (lambda self, x, h: self.inner(GRU(3), 1.0, h), "x of GRU: expected a value with units"),
        (lambda self, x, h: self.inner("gru", x, h), "expected a cell such as GRU"),
        (lambda self, x, h: self.inner(GRU(3), x, h, name="a b"), "name: expected a word"),
        (lambda self, x, h: self.delay(h, 2), r"from 1 to what delays\(\) says \(1 for h"),
        (lambda self, x, h: self.delay(h, 0), "got 0"),
    ],
)
def test_what_does_not_fit_is_an_error(call: Any, message: str) -> None:
    class Wrong(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return call(self, x, h)

    with pytest.raises(CellError, match=message):
        Wrong(3).program(4)


class Remembering(Cell):
    """A state of three steps ago."""

    def delays(self) -> dict[str, int]:
        return {"h": 3}

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine("h", x, d=self.delay(h, 3))) + 0.1 * h


def test_a_delay_is_the_state_of_some_steps_ago() -> None:
    cell = Remembering(5)
    assert cell.states == ("h", "h_2", "h_3")
    w = weights_of(cell.program(4))
    past = [torch.zeros(3, 5, dtype=torch.float64)] * 3
    for t in range(9):
        new = torch.tanh(X[:, t] @ w["W_xh"].T + past[-3] @ w["W_dh"].T + w["b_h"]) + 0.1 * past[-1]
        past.append(new)
    output, *final = run(cell, X)
    torch.testing.assert_close(output, torch.stack(past[3:], 1))
    same(tuple(final), (past[-1], past[-2], past[-3]))
    assert cell.program(4).equations == ("h_t = tanh(W_xh x_t + W_dh h_{t-3} + b_h) + 0.1 h_{t-1}",)


def test_a_delay_counts_the_valid_steps_of_a_segment() -> None:
    """With a mask, in reverse, and after a reset: as for the sequence without the rest."""
    cell, lengths = Remembering(5), torch.tensor([9, 4, 6])
    whole = run(cell, X, lengths=lengths, reverse=True)
    for row, length in enumerate(lengths.tolist()):
        alone = run(cell, X[row : row + 1, :length].flip(1))
        torch.testing.assert_close(whole[0][row, :length], alone[0][0].flip(0))
        torch.testing.assert_close(whole[2][row], alone[2][0])
    resets = torch.zeros(3, 9, dtype=torch.bool)
    resets[:, 5] = True
    found = run(cell, X, resets=resets)[0]
    torch.testing.assert_close(found[:, 5:], run(cell, X[:, 5:])[0])
    torch.testing.assert_close(found[:, :5], run(cell, X[:, :5])[0])


def test_zoneout_and_layer_normalisation_are_the_cells_written_by_hand() -> None:
    for training in (False, True):
        same(
            run(Zoneout(LSTM(5), (0.2, 0.4)), X, training),
            run(ZoneoutLSTM(5, zoneout_h=0.2, zoneout_c=0.4), X, training),
        )
    wrapped, written = LayerNorm(LSTM(5)).program(4), LayerNormLSTM(5).program(4)
    # All but the normalised cell output, which is no sum of products.
    assert wrapped.equations[:5] == written.equations[:5]


def test_dilation_one_is_the_cell_and_dilation_two_runs_every_other_step() -> None:
    same(run(Dilated(GRU(5), 1), X), run(GRU(5), X))
    found = run(Dilated(LSTM(5), 2), X)[0]
    for start in (0, 1):
        torch.testing.assert_close(found[:, start::2], run(LSTM(5), X[:, start::2])[0])


def test_residual_and_highway_leave_the_cell_as_it_is() -> None:
    plain = run(GRU(4), X)
    residual = run(Residual(GRU(4)), X)
    same(residual, (plain[0] + X, plain[1]))
    program = Highway(GRU(4)).program(4)
    w = weights_of(program)
    k = torch.sigmoid(X @ w["W_vk"].T + w["b_yk"])
    highway = run(Highway(GRU(4)), X)
    same(highway, (k * plain[0] + (1 - k) * X, plain[1]))
    with pytest.raises(CellError, match="widths"):
        Residual(GRU(5)).program(4)


def test_recurrent_dropout_has_one_mask_for_all_gates() -> None:
    cell = RecurrentDropout(LSTM(5), 0.4)
    assert cell.program(4).noises == ()
    (noise,) = cell.program(4, training=True).noises
    assert (noise.name, noise.width, noise.per_step) == ("d_h", 5, False)
    same(run(cell, X), run(LSTM(5), X))
    assert not torch.equal(run(cell, X, training=True)[0], run(LSTM(5), X)[0])


def test_attention_finds_the_shares_of_the_window() -> None:
    cell = AttentionWindow(SimpleRNN(5), window=2)
    program, w = cell.program(4), weights_of(cell.program(4))
    m = [torch.zeros(3, 5, dtype=torch.float64)] * 2
    a = h = torch.zeros(3, 5, dtype=torch.float64)
    outputs = []
    for t in range(9):
        mixed = X[:, t] @ w["W_vm"].T + a @ w["W_am"].T + w["b_vm"]
        h = torch.tanh(mixed @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"])
        query = h @ w["W_qhq"].T + w["b_qq"]
        window = torch.stack([m[-1], m[-2]], 1)
        scores = (w["w_ss"] * torch.tanh(window @ w["W_kk"].T + query[:, None])).sum(2)
        a = (torch.softmax(scores, 1)[..., None] * window).sum(1)
        outputs.append(h @ w["W_ry"].T + a @ w["W_sy"].T + w["b_yy"])
        m.append(h)
    torch.testing.assert_close(run(cell, X)[0], torch.stack(outputs, 1))
    assert (program.cell.output, program.state_names) == ("y", ("a", "m", "h", "m_2"))


def test_a_skipping_cell_updates_when_it_says_so_with_a_straight_derivative() -> None:
    cell = SkipRNN(GRU(5))
    program, w = cell.program(4), weights_of(cell.program(4))
    gru = GRU(5).program(4)
    families = families_of(gru, {p.name: w[p.name] for p in gru.parameters})
    x = X.clone().requires_grad_()
    h, u = torch.zeros(3, 5, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
    outputs, updates = [], []
    for t in range(9):
        _, (new,), _ = scan(gru, x[:, t : t + 1], [h], families)
        b = (u > 0.5).double() + u - u.detach()
        h = b * new + (1 - b) * h
        delta = torch.sigmoid(h @ w["W_ru"].T + w["b_uu"])
        u = b * delta + (1 - b) * (u + torch.minimum(delta, 1 - u))
        outputs.append(h)
        updates.append(b.detach())
    expected = torch.stack(outputs, 1)
    y = X.clone().requires_grad_()
    found = run(cell, y)[0]
    torch.testing.assert_close(found, expected)
    assert program.state_names == ("h", "w")
    assert 0 < torch.cat(updates).mean() < 1
    cotangent = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(
        torch.autograd.grad(found, y, cotangent), torch.autograd.grad(expected, x, cotangent)
    )


@pytest.mark.parametrize("native", ["", "0"])
@pytest.mark.rotates(days=4)
@pytest.mark.parametrize(
    "cell",
    [
        Stacked(5), Remembering(5), Zoneout(GRU(5), 0.3), LayerNorm(GRU(4)), RecurrentDropout(GRU(5)),
        Residual(LSTM(4)), Highway(LSTM(4)), Dilated(LSTM(5), 3), AttentionWindow(GRU(4), 3),
        Zoneout(Dilated(LayerNorm(GRU(4)), 2), 0.2),
    ],
    ids=lambda cell: str(cell)[:30],
)  # fmt: skip
def test_gradients_are_those_of_numeric_differentiation(
    cell: Cell, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    program = cell.program(4, training=True)
    generator = torch.Generator().manual_seed(1)
    noise = sample_noise(program, 2, 5, dtype=torch.float64, generator=generator)
    x = X[:2, :5].clone().requires_grad_()
    weights = [f.requires_grad_() for f in families_of(program, weights_of(program))]

    def output(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return scan(program, x, None, weights, noise=noise, lengths=torch.tensor([5, 3]))[0]

    assert torch.autograd.gradcheck(output, (x, *weights), fast_mode=True)


def test_wrapped_cells_are_values() -> None:
    cell = Zoneout(Residual(GRU(4)), 0.2)
    assert cell == Zoneout(Residual(GRU(4)), 0.2) != Zoneout(Residual(GRU(4)), 0.3)
    assert len({cell, Zoneout(Residual(GRU(4)), rate=0.2), Zoneout(GRU(4))}) == 2
    assert pickle.loads(pickle.dumps(cell)) == copy.deepcopy(cell) == cell
    assert cell.program(4) is Zoneout(Residual(GRU(4)), 0.2).program(4)
    assert (cell.units, cell.output, cell.states) == (4, "y", ("h",))
    with pytest.raises(ArgumentError, match="cell: expected a Cell"):
        Zoneout("gru")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="rate: expected one for each of h, c"):
        Zoneout(LSTM(4), (0.1, 0.2, 0.3))
    with pytest.raises(ArgumentError, match="window"):
        AttentionWindow(GRU(4), 0)


def test_wrapped_cells_have_names() -> None:
    kind = cells.get("zoneout(layer-norm(lstm))")
    assert kind(4, rate=0.2, activation="relu") == Zoneout(LayerNorm(LSTM(4, "relu")), 0.2)
    assert cells.get("dilated(gru)")(4, dilation=3) == Dilated(GRU(4), 3)
    for name, error in (("zoneout(gru", ArgumentError), ("zoneout(grus)", UnknownNameError)):
        with pytest.raises(error):
            cells.get(name)
    with pytest.raises(UnknownNameError, match="did you mean 'zoneout'"):
        cells.get("zoneut(gru)")
