"""Bad arguments of scan: a specific exception that names the argument, what came and what was expected."""

from typing import Any

import pytest
import torch

from nabi import cells
from nabi.errors import ArgumentError, ShapeError
from nabi.scan import loop, scan, scan_packed, static_scan, step

from .conftest import make_case

CASE = make_case(cells.LSTM(5))
X, STATES, WEIGHTS = CASE.x, CASE.states, CASE.weights


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"x": X[0]},
            ShapeError,
            r"x: expected 3 dimensions \[batch, time steps, features\], got shape \(6, 3\)",
        ),
        (
            {"x": X[..., :2]},
            ShapeError,
            r"x: expected 3 features in the last dimension, got 2 \(shape \(4, 6, 2\)\)",
        ),
        ({"x": X.long()}, ArgumentError, "x: expected floating-point numbers, got torch.int64"),
        (
            {"x": X.float()},
            ArgumentError,
            "expected torch.float64, the type of the weights, got torch.float32",
        ),
        ({"x": X.tolist()}, ArgumentError, "x: expected a tensor, got list"),
        ({"states": STATES[:1]}, ArgumentError, r"states: expected 2 tensors \(h, c\), got 1"),
        ({"states": STATES[0]}, ArgumentError, r"states: expected 2 tensors \(h, c\), got one tensor"),
        (
            {"states": [s[:2] for s in STATES]},
            ShapeError,
            r"states.h: expected shape \(4, 5\).*got \(2, 5\)",
        ),
        (
            {"parameters": WEIGHTS[:2]},
            ArgumentError,
            r"parameters: expected 3 tensors \(W_x, W_h, b\), got 2",
        ),
        ({"parameters": WEIGHTS[::-1]}, ShapeError, r"parameters: W_x has shape \(20,\), expected \(20, 3\)"),
        ({"lengths": [1, 2, 3, 7]}, ArgumentError, "lengths: expected from 0 to the 6 time steps, got 7"),
        ({"lengths": [1, -2, 3, 4]}, ArgumentError, "lengths: expected from 0 to the 6 time steps, got -2"),
        (
            {"lengths": [1, 2]},
            ShapeError,
            r"lengths: expected one for each of the 4 sequences, got shape \(2,\)",
        ),
        ({"lengths": [1.0, 2.0, 3.0, 4.0]}, ArgumentError, "lengths: expected integers, got torch.float32"),
        ({"mask": torch.ones(4, 5)}, ShapeError, r"mask: expected shape \(4, 6\), got \(4, 5\)"),
        ({"mask": torch.ones(4, 6), "lengths": [1] * 4}, ArgumentError, "at most one of them, got both"),
        ({"resets": torch.ones(6, 4)}, ShapeError, r"resets: expected shape \(4, 6\), got \(6, 4\)"),
        ({"truncate": 0}, ArgumentError, "truncate: expected a whole number of at least 1 or None, got 0"),
        ({"truncate": 1.5}, ArgumentError, "truncate: .* got 1.5"),
        ({"noise": [X]}, ArgumentError, r"noise: expected 0 tensors \(none\), got 1"),
    ],
    ids=lambda v: str(v)[:40] if isinstance(v, str) else "",
)
def test_scan(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        scan(CASE.program, **{"x": X, "states": STATES, "parameters": WEIGHTS, **arguments})


def test_noise_has_the_shape_of_its_kind() -> None:
    case = make_case(cells.ZoneoutLSTM(5), training=True)
    with pytest.raises(ShapeError, match=r"noise: m_h has shape \(4, 5\), expected \(4, 6, 5\)"):
        scan(case.program, case.x, None, case.weights, noise=[n[:, 0] for n in case.noise])


def test_scan_packed() -> None:
    data = torch.zeros(5, 3, dtype=torch.float64)
    for sizes in ([2, 2], [2, 3], [3, 3, -1]):
        with pytest.raises(
            ShapeError, match="batch_sizes: expected positive sizes that never grow and add up to the 5 rows"
        ):
            scan_packed(CASE.program, data, torch.tensor(sizes), None, WEIGHTS)
    with pytest.raises(ArgumentError, match="batch_sizes: expected one dimension on the CPU"):
        scan_packed(CASE.program, data, torch.tensor([[5]]), None, WEIGHTS)


def test_static_scan_step_and_loop() -> None:
    with pytest.raises(ShapeError, match=r"inputs\[1\]: expected shape \(4, 3\), got \(4, 2\)"):
        static_scan(CASE.program, [X[:, 0], X[:, 0, :2]], None, WEIGHTS)
    with pytest.raises(ArgumentError, match="inputs: expected at least one time step, or initial states"):
        static_scan(CASE.program, [], None, WEIGHTS)
    with pytest.raises(ShapeError, match=r"x: expected shape \[batch, 3\], got \(4, 6, 3\)"):
        step(CASE.program, X, None, WEIGHTS)
    with pytest.raises(ShapeError, match="x: expected at least 3 dimensions"):
        loop(lambda x, h: (h,), X[0], [torch.zeros(4, 5)])
