"""Cells of the catalogue with other settings than their defaults, and what they refuse."""

from typing import Any

import numpy as np
import pytest
import torch

from nabi import cells, nn
from nabi.errors import ArgumentError
from nabi.scan import scan

from .twins import linear

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("scrn", {"alpha": 1.5}, r"alpha: expected .*, got 1\.5"),
    ("irnn", {"gain_of_identity": "one"}, "gain_of_identity: expected a number, got 'one'"),
    ("janet", {"longest": 1}, "longest: expected .* or None, got 1"),
    ("miru2", {"reset_rate": -0.1}, r"reset_rate: expected .*, got -0\.1"),
    ("rhn", {"depth": 0}, "depth: expected a whole number of at least 1, got 0"),
    ("mogrifier-lstm", {"rounds": -1}, "rounds: expected a whole number of at least 0, got -1"),
    ("co-rnn", {"epsilon": 0}, "epsilon: expected a number above 0, got 0"),
    ("lem", {"step_size": -1}, "step_size: expected a number above 0, got -1"),
    ("leaky-rnn", {"step_size": 20}, "step_size: expected .*, got 20"),
    ("rg-lru", {"exponent": 0}, "exponent: expected a number above 0, got 0"),
    ("lru", {"smallest": 0.9, "largest": 0.5}, r"smallest: expected .*, got 0\.9"),
    ("s5", {"largest_step": 1e-6}, "largest_step: expected .*, got 1e-06"),
    ("hgrn", {"lower_bound": 1.0}, r"lower_bound: expected .*, got 1\.0"),
    ("lmu", {"order": 0}, "order: expected a whole number of at least 1, got 0"),
    ("rwkv-4", {"layer": 3, "layers": 3}, "layer: expected .*, got 3"),
    ("slstm", {"heads": 3}, "heads: expected a divisor of units=4, got 3"),
    ("fast-grnn", {"rank": 0}, "rank: expected a whole number of at least 1, got 0"),
    ("lipschitz-rnn", {"beta": 2}, "beta: expected .*, got 2"),
    ("sco-rnn", {"negative": 5}, "negative: expected .*, got 5"),
    ("echo-state", {"leak": 0}, "leak: expected .*, got 0"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_settings_are_checked(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        cells.get(name)(4, **settings)


def run(cell: cells.Cell, weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return scan(cell.program(x.shape[-1]), x, None, weights)[0]


def test_a_half_explicit_oscillator_keeps_its_energy() -> None:
    """LinOSS-IMEX without input turns for ever; the implicit one comes to rest."""
    for implicit in (False, True):
        program = cells.LinOSS(1, implicit=implicit).program(1)
        at = {family.name: number for number, family in enumerate(program.families)}
        weights = [torch.zeros(family.shape, dtype=torch.float64) for family in program.families]
        weights[at["a"]] += 0.5
        states = [torch.ones(1, 1), torch.zeros(1, 1)]
        x = torch.zeros(1, 2000, 1, dtype=torch.float64)
        _, _, every = scan(program, x, [s.double() for s in states], weights, return_all_states=True)
        assert every is not None
        last = every[0][0, -50:].abs().max().item()
        assert last < 1e-6 if implicit else 0.8 < last < 1.5


def test_the_memory_of_an_lmu_holds_its_window() -> None:
    """Legendre polynomials, read at the end of the window, give back the signal of 20 steps before."""
    program = cells.LMU(2, order=10, window=20).program(1)
    rnn = nn.RNN(cells.LMU(2, order=10, window=20), 1, dtype=torch.float64)
    with torch.no_grad():
        for family in program.families:
            weight = getattr(rnn, f"{family.name}_l0")
            if family.trained:
                weight.zero_()
        number, rows = program.family_of("W_xs")
        getattr(rnn, f"{program.families[number].name}_l0")[rows] = 1.0
    time = torch.arange(200, dtype=torch.float64)
    signal = (time / 15).sin()
    _, _, every = rnn(signal[None, :, None], return_all_states=True)
    memory = every[1][0][0].detach().numpy()
    read = memory @ np.ones(10)  # every polynomial is 1 where the window ends
    np.testing.assert_allclose(read[60:], signal.numpy()[40:-20], atol=0.05)


def test_heads_of_an_slstm_do_not_read_each_other() -> None:
    cell = cells.SLSTM(6, heads=3)
    rnn = nn.RNN(cell, 2, dtype=torch.float64)
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    x = torch.randn(1, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    start = [torch.rand(1, 1, 6, dtype=torch.float64) for _ in range(4)]
    output, _ = rnn(x, start)
    start[0][..., :2] += 1  # the first head alone
    other, _ = rnn(x, start)
    changed = (output - other).abs().amax((0, 1)) > 1e-9
    assert changed.tolist() == [True, True, False, False, False, False]


def test_a_candidate_of_min_gru_may_be_linear() -> None:
    cell, x = cells.MinGRU(3, positive=False), torch.randn(2, 5, 3, dtype=torch.float64)
    program = cell.program(3)
    weights = [torch.randn(f.shape, dtype=torch.float64) for f in program.families]
    torch.testing.assert_close(run(cell, weights, -x)[:, :0], run(cell, weights, x)[:, :0])
    assert (run(cell, weights, 9 * x) < 0).any()
    assert (run(cells.MinGRU(3), weights, 9 * x) >= 0).all()
    assert linear.TWINS["min-gru"].count(3, 3) == program.parameter_count


def test_fast_grnn_of_low_rank_has_fewer_numbers() -> None:
    full, small = cells.FastGRNN(32), cells.FastGRNN(32, rank=4)
    assert full.program(16).parameter_count == 32 * (16 + 32) + 2 * 32 + 2
    assert small.program(16).parameter_count == 4 * (32 + 16) + 4 * (32 + 32) + 2 * 32 + 2
    output, _ = nn.RNN(small, 16)(torch.randn(2, 3, 16))
    assert output.shape == (2, 3, 32)


def test_chrono_gates_of_janet_start_between_one_and_the_longest_lag() -> None:
    rnn = nn.RNN(cells.JANET(200, longest=100), 1)
    _, rows = cells.JANET(200, longest=100).program(1).family_of("b_f")
    bias = rnn.b_l0[rows].exp()
    assert 1 <= bias.min() < 10
    assert 90 < bias.max() <= 99.01
