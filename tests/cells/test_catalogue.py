"""Every cell of the catalogue: beside its equations typed a second time, its derivative, its native code.

The cells of the first versions have tests of their own in all rooms; `test_cells.py` has their equations.
Compiling takes most of the time, so native code and derivatives are tested for some cells at a time, other
ones every day. `NABI_TEST_AGREEMENT=all` tests all of them, in both data types.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
import nabi.models
from nabi import cells, layers
from nabi.scan import scan, step

from .sampling import CLASSIC, cells_of_today, everything, make
from .twins import earlier, few_gates, gru, linear, lstm, simple, structured

FAMILIES = (simple, gru, few_gates, lstm, linear, structured, earlier)
TWINS = {name: twin for family in FAMILIES for name, twin in family.TWINS.items()}
ELSEWHERE = {
    *cells.names("matrix"), *cells.names("delays"), *cells.names("spiking"), *cells.names("state-space"),
    *cells.names("irregular"), *cells.names("maps"), "on-lstm", "mc-lstm",
    "nested-lstm", "fs-rnn", "hyper-lstm", "quaternion-lstm", "grid-lstm", "rim",
}  # fmt: skip
"""Cells whose equations are typed a second time in files of their own."""
INPUTS, BATCH = 3, 4


def weights_of(program: Any, seed: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(f.shape, generator=generator, dtype=dtype) / 2 for f in program.families]


def by_name(program: Any, families: list[torch.Tensor]) -> dict[str, np.ndarray]:
    found = {}
    for parameter in program.parameters:
        family, rows = program.family_of(parameter.name)
        found[parameter.name] = families[family][rows].numpy()
    return found


def test_every_cell_has_its_equations_twice() -> None:
    assert set(cells.names()) == set(CLASSIC) | set(TWINS) | ELSEWHERE


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("units", [5, INPUTS], ids=["wider than the input", "as wide"])
@pytest.mark.parametrize("name", TWINS)
def test_a_cell_computes_the_equations_of_its_paper(name: str, units: int) -> None:
    program = make(name, units).program(INPUTS)
    families = weights_of(program, 1)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(BATCH, INPUTS, generator=generator, dtype=torch.float64)
    states = [torch.rand(BATCH, w, generator=generator, dtype=torch.float64) for w in program.state_widths]
    found = step(program, x, states, families)
    weights = by_name(program, families)
    expected = TWINS[name].step(weights, x.numpy(), *(state.numpy() for state in states))
    names = (*[program.cell.output] * program.readouts, *program.state_names)
    for state, got, want in zip(names, found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-11, atol=1e-12, err_msg=state)
    count = TWINS[name].count(units, INPUTS)
    assert program.parameter_count == count == sum(value.size for value in weights.values())
    assert program.parameter_sum.endswith(f"= {count:,}")


@pytest.mark.parametrize("name", TWINS)
def test_a_cell_says_where_it_is_from_and_what_it_is_good_for(name: str) -> None:
    text = cells.get(name).__doc__ or ""
    first = text.splitlines()[0]
    assert any(year in text.split("\n\n")[0] for year in map(str, range(1986, 2027))), first
    assert len(first) < 110


@pytest.mark.parametrize("name", cells_of_today(TWINS, 4))
def test_the_derivative_of_a_cell(name: str) -> None:
    """Numeric differentiation of three steps, by input, initial states and weights."""
    program = make(name, 3).program(2)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    states = [
        torch.rand(2, w, generator=generator, dtype=torch.float64, requires_grad=True)
        for w in program.state_widths
    ]
    weights = [w.requires_grad_() for w in weights_of(program, 4)]

    def run(x: torch.Tensor, *rest: torch.Tensor) -> Any:
        given, learned = rest[: len(states)], rest[len(states) :]
        output, finals, _ = scan(program, x, list(given), list(learned))
        return output, *finals

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        assert torch.autograd.gradcheck(run, (x, *states, *weights), fast_mode=True)


@pytest.mark.parametrize("name", cells_of_today(TWINS, 4))
def test_native_code_is_the_definition(name: str) -> None:
    """Lengths, initial states and their gradients; float32 and float64 in turns."""
    cell = make(name, 7)
    program = cell.program(4)
    both = (torch.float64, torch.float32)
    for dtype in both if everything() else both[list(TWINS).index(name) % 2 :][:1]:
        generator = torch.Generator().manual_seed(5)
        x = torch.randn(5, 9, 4, generator=generator, dtype=torch.float64)
        states = [torch.rand(5, w, generator=generator, dtype=torch.float64) for w in program.state_widths]
        lengths = torch.tensor([9, 4, 0, 7, 1])
        results = []
        for native, kind in (("0", torch.float64), ("", dtype)):
            leaves = [v.to(kind).requires_grad_() for v in (x, *states, *weights_of(program, 6))]
            given, learned = leaves[1 : 1 + len(states)], leaves[1 + len(states) :]
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NABI_NATIVE", native)
                output, finals, _ = scan(program, leaves[0], given, learned, lengths=lengths)
                loss = output.square().sum() + sum(final.sin().sum() for final in finals)
                # A learned first state is not read where a state is given.
                gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
                results.append([output, *finals, *gradients])
        allowed = 1e-9 if dtype is torch.float64 else 2e-4
        for want, got in zip(*results, strict=True):
            size = max(1.0, want.abs().max().item())
            assert (want - got).abs().max().item() <= allowed * size


@pytest.mark.parametrize("name", cells_of_today(TWINS, 8))
def test_a_cell_trains_in_a_model_that_a_file_keeps(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    model = nabi.Sequential([layers.RNN(make(name, 6), input_shape=(6, 3)), layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
