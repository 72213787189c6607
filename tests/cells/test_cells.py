"""The cells against their equations, computed by hand in numpy from the papers' formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nabi import cells
from nabi.cells import Cell
from nabi.errors import ArgumentError, UnknownNameError
from nabi.scan import sample_noise, step

Weights = dict[str, np.ndarray]
UNITS, INPUTS, BATCH = 5, 3, 4


def sigma(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def norm(v: np.ndarray) -> np.ndarray:
    return (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-5)


def pre(w: Weights, gate: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return x @ w[f"W_x{gate}"].T + h @ w[f"W_h{gate}"].T + w[f"b_{gate}"]


def simple_rnn(w: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.tanh(pre(w, "h", x, h)),)


def lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    f, i, o = (sigma(pre(w, gate, x, h)) for gate in "fio")
    c = f * c + i * np.tanh(pre(w, "c", x, h))
    return o * np.tanh(c), c


def peephole(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    f = sigma(pre(w, "f", x, h) + w["w_cf"] * c)
    i = sigma(pre(w, "i", x, h) + w["w_ci"] * c)
    c = f * c + i * np.tanh(pre(w, "c", x, h))
    return sigma(pre(w, "o", x, h) + w["w_co"] * c) * np.tanh(c), c


def full_peephole(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    f = sigma(
        np.concatenate([c, h, x], 1) @ np.concatenate([w["W_cf"], w["W_hf"], w["W_xf"]], 1).T + w["b_f"]
    )
    i = sigma(
        np.concatenate([c, h, x], 1) @ np.concatenate([w["W_ci"], w["W_hi"], w["W_xi"]], 1).T + w["b_i"]
    )
    new = f * c + i * np.tanh(pre(w, "c", x, h))
    o = sigma(
        np.concatenate([new, h, x], 1) @ np.concatenate([w["W_co"], w["W_ho"], w["W_xo"]], 1).T + w["b_o"]
    )
    return o * np.tanh(new), new


def coupled(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    f, o = (sigma(pre(w, gate, x, h)) for gate in "fo")
    c = f * c + (1 - f) * np.tanh(pre(w, "c", x, h))
    return o * np.tanh(c), c


def gru_lecture(w: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    z = sigma(x @ w["W_xz"].T + h @ w["W_hz"].T)
    r = sigma(x @ w["W_xr"].T + h @ w["W_hr"].T)
    candidate = np.tanh(x @ w["W_xh"].T + (r * h) @ w["W_hh"].T)
    return ((1 - z) * h + z * candidate,)


def gru_2014(w: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    z, r = (sigma(pre(w, gate, x, h)) for gate in "zr")
    return (z * h + (1 - z) * np.tanh(pre(w, "h", x, r * h)),)


def gru(w: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    def both(gate: str) -> tuple[np.ndarray, np.ndarray]:
        return x @ w[f"W_x{gate}"].T + w[f"b_x{gate}"], h @ w[f"W_h{gate}"].T + w[f"b_h{gate}"]

    z, r = (sigma(sum(both(gate))) for gate in "zr")
    of_x, of_h = both("h")
    return (z * h + (1 - z) * np.tanh(of_x + r * of_h),)


def layer_norm_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    def gate(name: str) -> np.ndarray:
        of_x = w[f"g_x{name}"] * norm(x @ w[f"W_x{name}"].T)
        return of_x + w[f"g_h{name}"] * norm(h @ w[f"W_h{name}"].T) + w[f"b_{name}"]

    c = sigma(gate("f")) * c + sigma(gate("i")) * np.tanh(gate("c"))
    return sigma(gate("o")) * np.tanh(w["g_cc"] * norm(c) + w["b_cc"]), c


def ind_rnn(w: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    return (np.maximum(x @ w["W_xh"].T + w["b_h"] + w["w_hh"] * h, 0),)


def projected(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    wide, c = lstm(w, x, h, c)
    return wide @ w["W_mr"].T, c


def zoneout(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    new_h, new_c = lstm(w, x, h, c)
    return 0.1 * h + 0.9 * new_h, 0.3 * c + 0.7 * new_c


CASES: list[tuple[Cell, Callable[..., tuple[np.ndarray, ...]], int]] = [
    # cell, its equations in numpy, its parameter count by hand
    (cells.SimpleRNN(5), simple_rnn, 5 * (3 + 5 + 1)),
    (cells.LSTM(5), lstm, 4 * 5 * (3 + 5 + 1)),
    (cells.PeepholeLSTM(5), peephole, 4 * 5 * 9 + 3 * 5),
    (cells.PeepholeLSTM(5, full=True), full_peephole, 4 * 5 * 9 + 3 * 25),
    (cells.CoupledLSTM(5), coupled, 3 * 5 * 9),
    (cells.GRULecture(5), gru_lecture, 3 * 5 * 8),
    (cells.GRU2014(5), gru_2014, 3 * 5 * 9),
    (cells.GRU(5), gru, 3 * 5 * 10),
    (cells.LayerNormLSTM(5), layer_norm_lstm, 4 * 5 * (3 + 1 + 5 + 1 + 1) + 2 * 5),
    (cells.IndRNN(5), ind_rnn, 5 * (3 + 1 + 1)),
    (cells.ProjectedLSTM(5, projection=2), projected, 4 * 5 * (3 + 2 + 1) + 2 * 5),
    (cells.ZoneoutLSTM(5, zoneout_h=0.1, zoneout_c=0.3), zoneout, 4 * 5 * 9),
]


@pytest.mark.parametrize(
    ("cell", "reference", "count"), CASES, ids=lambda v: repr(v) if isinstance(v, Cell) else ""
)
def test_a_cell_computes_its_equations(
    cell: Cell, reference: Callable[..., tuple[np.ndarray, ...]], count: int
) -> None:
    program = cell.program(INPUTS)
    torch.manual_seed(1)
    families = [torch.randn(family.shape, dtype=torch.float64) for family in program.families]
    x = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    states = [torch.randn(BATCH, width, dtype=torch.float64) for width in program.state_widths]
    found = step(program, x, states, families)
    by_name = {}
    for parameter in program.parameters:
        family, rows = program.family_of(parameter.name)
        by_name[parameter.name] = families[family][rows].numpy()
    expected = reference(by_name, x.numpy(), *(state.numpy() for state in states))
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)
    assert program.parameter_count == count == sum(value.size for value in by_name.values())
    assert program.parameter_sum.endswith(f"= {count:,}")
    assert eval(program.parameter_sum.split(" = ")[0].replace("×", "*")) == count


def test_the_lecture_gru_is_the_2014_gru_with_z_negated() -> None:
    lecture, other = cells.GRULecture(5).program(3), cells.GRU2014(5, use_bias=False).program(3)
    torch.manual_seed(0)
    weights = [torch.randn(family.shape, dtype=torch.float64) for family in lecture.families]
    negated = cells.negate_update_gate(lecture, weights)
    x, h = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(step(lecture, x, [h], weights), step(other, x, [h], negated))
    torch.testing.assert_close(cells.negate_update_gate(other, negated), weights, rtol=0, atol=0)
    with pytest.raises(ArgumentError, match="weights: expected one for each of W_x, W_h, got 1"):
        cells.negate_update_gate(lecture, weights[:1])
    with pytest.raises(ArgumentError, match="with a gate z, got LSTM"):
        cells.negate_update_gate(cells.LSTM(5).program(3), [*weights, weights[0]])


def test_a_gru_has_three_quarters_of_an_lstm_s_recurrent_weights() -> None:
    lstm_h, gru_h = (cell.program(3).families[1] for cell in (cells.LSTM(8), cells.GRU(8)))
    assert (lstm_h.name, gru_h.name) == ("W_h", "W_h")
    assert gru_h.shape[0] * 4 == lstm_h.shape[0] * 3


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", cells.names())
def test_without_bias_no_bias_remains(name: str) -> None:
    more = cells.get(name).needed_settings(4, 3)
    program = cells.get(name)(units=4, use_bias=False, **more).program(3)
    assert "bias" not in {family.role for family in program.families}


def test_random_inputs_exist_only_in_training() -> None:
    cell = cells.LSTM(4, dropout=0.1, recurrent_dropout=0.5)
    assert cell.program(3).noises == ()
    noises = cell.program(3, training=True).noises
    assert sorted(noise.name for noise in noises) == sorted(f"d_{a}{g}" for a in "xh" for g in "ifco")
    assert {noise.per_step for noise in noises} == {False}
    zoneout_noises = cells.ZoneoutLSTM(4).program(3, training=True).noises
    assert [(noise.name, noise.rate, noise.per_step) for noise in zoneout_noises] == [
        ("m_h", 0.05, True),
        ("m_c", 0.5, True),
    ]


def test_drawn_noise_has_its_rate_and_its_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    program = cells.LSTM(50, recurrent_dropout=0.2).program(3, training=True)
    for noise in sample_noise(program, 400, 7, generator=generator):
        assert noise.shape == (400, 50)
        assert set(noise.unique().tolist()) == {0.0, 1.25}
        assert abs(noise.mean().item() - 1) < 0.02
    program = cells.ZoneoutLSTM(50, zoneout_h=0.3, zoneout_c=0.0).program(3, training=True)
    (noise,) = sample_noise(program, 40, 7, generator=generator)
    assert noise.shape == (40, 7, 50)
    assert abs(noise.mean().item() - 0.3) < 0.02


def test_unknown_names_and_bad_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="cell: 'lsmt' is not known; did you mean 'lstm'"):
        cells.get("lsmt")
    with pytest.raises(ArgumentError, match="projection: expected a whole number of at least 1, got 0"):
        cells.ProjectedLSTM(4)
    with pytest.raises(ArgumentError, match=r"zoneout_h: expected a rate .*, got 1\.5"):
        cells.ZoneoutLSTM(4, zoneout_h=1.5)


def test_the_two_steps_of_the_lecture_by_hand() -> None:
    """5 neurons, 3 inputs, 2 steps (SYSTEMS: the recurrent neuron layer, output fed back)."""
    batch = np.array(
        [[[0, 1, 2], [9, 8, 7]], [[3, 4, 5], [0, 0, 0]], [[6, 7, 8], [6, 5, 4]], [[9, 0, 1], [3, 2, 1]]]
    )
    rng = np.random.default_rng(0)
    w_x, w_y, b = rng.normal(size=(3, 5)), rng.normal(size=(5, 5)), np.zeros(5)
    y0 = np.tanh(batch[:, 0] @ w_x + b)
    y1 = np.tanh(batch[:, 1] @ w_x + y0 @ w_y + b)
    program = cells.SimpleRNN(5).program(3)
    weights = [torch.tensor(w_x.T), torch.tensor(w_y.T), torch.tensor(b)]
    (first,) = step(program, torch.tensor(batch[:, 0], dtype=torch.float64), None, weights)
    (second,) = step(program, torch.tensor(batch[:, 1], dtype=torch.float64), [first], weights)
    np.testing.assert_allclose(first, y0)
    np.testing.assert_allclose(second, y1)
