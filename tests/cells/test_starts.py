"""Weights start as the papers of the cells say, whatever runs the cell."""

from typing import Any

import pytest
import torch

from nabi import cells, layers, nn

UNITS = 40


def start(cell: cells.Cell, inputs: int = 3, initializer: str = "torch") -> dict[str, torch.Tensor]:
    """The weights of a new layer by their names in the equations."""
    torch.manual_seed(0)
    rnn = nn.RNN(cell, inputs, initializer=initializer)
    program, found = cell.program(inputs), {}
    for parameter in program.parameters:
        if parameter.derived is None:
            number, rows = program.family_of(parameter.name)
            found[parameter.name] = getattr(rnn, f"{program.families[number].name}_l0").detach()[rows]
    return found


CONSTANT: dict[str, dict[str, float]] = {
    "cfn": {"b_theta": 1, "b_eta": -1},
    "ugrnn": {"b_g": 1},
    "intersection-rnn": {"b_u": 1, "b_g": 1},
    "delta-rnn": {"alpha": 1, "beta1": 1, "beta2": 1},
    "mi-rnn": {"g_xhh": 2, "g_hh": 0.5, "g_xh": 0.5, "b_h": 0},
    "brc": {"w_ha": 1, "w_hc": 1},
    "fast-rnn": {"alpha": -3, "beta": 3},
    "fast-grnn": {"zeta": 1, "nu": -4},
    "rhn": {"b_t1": -2, "b_t5": -2},
    "ur-lstm": {"b_f": 0, "b_r": 0},
    "sru": {"w_cf": 0, "w_cr": 0, "b_r": 0},
    "slstm": {"W_hi": 0, "W_hf": 0, "W_hz": 0, "W_ho": 0},
    "s5": {"Lambda_re": -0.5},
}


@pytest.mark.parametrize("initializer", ["torch", "keras"])
@pytest.mark.parametrize("name", CONSTANT)
def test_constants(name: str, initializer: str) -> None:
    found = start(cells.get(name)(UNITS), initializer=initializer)
    for parameter, value in CONSTANT[name].items():
        assert torch.equal(found[parameter], torch.full_like(found[parameter], value)), parameter


def test_keras_layers_start_so_as_well() -> None:
    layer = layers.RNN(cells.FastRNN(4))
    layer.build((None, None, 3))
    by_size = {tuple(w.shape): w for w in layer.weights}
    assert by_size[(1,)].item() in (-3.0, 3.0)


def test_matrices() -> None:
    irnn, li_gru = start(cells.IRNN(UNITS)), start(cells.LiGRU(UNITS))
    assert torch.equal(irnn["W_hh"], torch.eye(UNITS))
    assert 0.0005 < irnn["W_xh"].std() < 0.0015
    for gate in "zh":
        product = li_gru[f"W_h{gate}"] @ li_gru[f"W_h{gate}"].T
        torch.testing.assert_close(product, torch.eye(UNITS), atol=1e-5, rtol=0)
    echo = start(cells.EchoState(UNITS, radius=0.7))
    assert torch.linalg.eigvals(echo["W_hh"]).abs().max().item() == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "source"), [(cells.ExpRNN, "V_hh"), (cells.ScoRNN, "V_hh"), (cells.GORU, "V_hq")]
)
def test_rotations_turn_pairs_of_units(kind: Any, source: str) -> None:
    v = start(kind(UNITS))[source]
    assert (v != 0).sum() == UNITS // 2
    skew = (v - v.T).double()
    if kind is cells.ScoRNN:
        one = torch.eye(UNITS, dtype=torch.float64)
        orthogonal = torch.linalg.solve(one + skew, one - skew)
        # Helfrich et al.: angles up to a right one, so that no unit is turned over.
        assert orthogonal.diagonal().min() >= -1e-6
    else:
        orthogonal = torch.linalg.matrix_exp(skew)
        assert orthogonal.diagonal().min() < -0.5
    product = orthogonal @ orthogonal.T
    torch.testing.assert_close(product, torch.eye(UNITS, dtype=torch.float64), atol=1e-6, rtol=0)


def test_gates_of_the_ur_lstm_are_spread_evenly() -> None:
    forget = start(cells.URLSTM(1000))["u"].sigmoid()
    assert 0.001 <= forget.min() < 0.02
    assert 0.98 < forget.max() <= 0.999
    assert 0.45 < forget.mean() < 0.55


def test_decays_of_griffin() -> None:
    keep = torch.exp(-torch.nn.functional.softplus(start(cells.RGLRU(1000))["Lambda"]))
    assert 0.9 <= keep.min() < 0.91
    assert 0.998 < keep.max() <= 0.9991


def test_eigenvalues_of_the_lru_lie_on_the_ring() -> None:
    found = start(cells.LRU(1000, smallest=0.5, largest=0.9))
    modulus, angle = torch.exp(-torch.exp(found["nu"])), torch.exp(found["theta"])
    assert 0.5 <= modulus.min() < 0.51
    assert 0.89 < modulus.max() <= 0.9
    torch.testing.assert_close(torch.exp(found["gamma"]), torch.sqrt(1 - modulus**2), atol=1e-5, rtol=0)
    # Even over the ring's area and its angles, and the two do not go together.
    assert modulus.square().mean().item() == pytest.approx((0.25 + 0.81) / 2, abs=0.01)
    assert angle.mean().item() == pytest.approx(torch.pi, abs=0.05)
    assert abs(torch.corrcoef(torch.stack([modulus, angle]))[0, 1]) < 0.05


def test_hippo_frequencies_come_in_pairs() -> None:
    imaginary = start(cells.S5(8))["Lambda_im"].sort().values
    torch.testing.assert_close(imaginary, -imaginary.flip(0), atol=1e-4, rtol=1e-4)
    steps = start(cells.S5(1000))["log_step"].exp()
    assert 0.001 <= steps.min() < 0.0012
    assert 0.09 < steps.max() <= 0.1


def test_rwkv_starts_by_unit_and_by_layer() -> None:
    first, last = (start(cells.RWKV4(UNITS, layer=n, layers=4), inputs=8) for n in (0, 3))
    for found in (first, last):
        assert found["w"][0].item() == -5
        assert found["w"][-1].item() == pytest.approx(3)
        assert (found["w"].diff() > 0).all()
    assert first["mu_k"].tolist() == pytest.approx([unit / 8 for unit in range(8)])
    assert (last["mu_v"] - last["mu_k"]).tolist() == pytest.approx([0.3] * 8)
    assert (last["w"] <= first["w"] + 1e-6).all()
