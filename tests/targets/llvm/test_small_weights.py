"""Kernels that read small weights: every cell, sizes, machines, and memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.native import OTHER_MACHINES, emit_assembly
from nabi.native._code._machine import why_not
from nabi.scan import PreparedStep, sample_noise, scan, step
from nabi.small_weights import KINDS, as_dense, shrink
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._writer._module import write_module

from .sweep import CELLS

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.rotates(days=4),
    pytest.mark.skipif(why_not() is not None, reason=f"no native code here: {why_not()}"),
]


def weights(program, kind: str, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Small weights of a program, and the float32 weights that they stand for."""
    generator = torch.Generator().manual_seed(seed)
    dense = [torch.randn(family.shape, generator=generator) * 0.4 for family in program.families]
    small = [shrink(one, kind, 0) if one.dim() == 2 else one for one in dense]
    return small, [as_dense(one) for one in small]


def difference(cell: Cell, inputs: int, batch: int, steps: int, kind: str, **options) -> float:
    """The largest difference between outputs and final states with small weights and with float32 weights."""
    program = cell.program(inputs)
    small, dense = weights(program, kind)
    x = torch.randn(batch, steps, inputs, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    noise = sample_noise(program, batch, steps, dtype=x.dtype, device=x.device)
    one, of_one, _ = scan(program, x, None, small, noise=noise, **options)
    two, of_two, _ = scan(program, x, None, dense, noise=noise, **options)
    pairs = zip((one, *of_one), (two, *of_two), strict=True)
    return max(((a - b).abs() / (1 + b.abs())).max().item() for a, b in pairs if b.numel())


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_every_cell_gives_what_float32_weights_give(cell: Cell) -> None:
    kind = list(KINDS)[CELLS.index(cell) % 3]
    lengths = {"lengths": torch.tensor([6, 0, 3]), "reverse": True}
    assert difference(cell, 5, 3, 6, "int8", **lengths) < 2e-6
    if kind != "int8":
        assert difference(cell, 5, 9, 6, kind) < 2e-6


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("units", "inputs", "batch"), [(1, 1, 1), (33, 65, 5), (40, 201, 1)])
def test_sizes(kind: str, units: int, inputs: int, batch: int) -> None:
    assert difference(cells.GRU2014(units), inputs, batch, 4, kind) < 5e-6


def test_rows_of_any_size_are_right() -> None:
    """What dot products of bytes make of numbers: tiny, huge, zero, infinite or NaN."""
    program = cells.SimpleRNN(5, activation="linear").program(3)
    small, dense = weights(program, "int8")
    for size in (1e-25, 1e-3, 1.0, 1e20):
        x = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(3)) * size
        one, two = (scan(program, x, None, some)[0] for some in (small, dense))
        assert ((one - two).abs() <= 2e-6 * two.abs().max()).all()
    assert torch.equal(scan(program, torch.zeros(1, 1, 3), None, small)[0], dense[2].expand(1, 1, 5))
    for wrong in (float("nan"), float("inf")):
        x = torch.tensor([[[1.0, wrong, 0.0]], [[1.0, 2.0, 3.0]]])
        found = scan(program, x, None, small)[0]
        assert not found[0].isfinite().any()
        assert found[1].isfinite().all()


def test_single_steps_and_gradients_of_the_input() -> None:
    program = cells.LSTM(12).program(5)
    small, dense = weights(program, "int8")
    x = torch.randn(3, 5)
    prepared, plain = PreparedStep(program, small), PreparedStep(program, dense)
    state, other = prepared.start(3), plain.start(3)
    for _ in range(3):
        state, other = prepared(x, state), plain(x, other)
    torch.testing.assert_close(state[0], other[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(step(program, x, None, small)[0], step(program, x, None, dense)[0])
    gradients = []
    for some in (small, dense):
        given = torch.ones(2, 4, 5, requires_grad=True)
        output = scan(program, given, None, some)[0]
        gradients.append(torch.autograd.grad(output.sum(), given)[0])
    torch.testing.assert_close(*gradients)


def test_written_weights_are_packed_anew() -> None:
    program = cells.GRU(6).program(4)
    small, _ = weights(program, "int8")
    x = torch.randn(1, 3, 4)
    before = scan(program, x, None, small)[0]
    with torch.no_grad():
        small[0].copy_(torch.zeros(small[0].shape))
    after = scan(program, x, None, small)[0]
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, scan(program, x, None, [as_dense(one) for one in small])[0])


def test_one_after_the_other_with_the_same_weights() -> None:
    """Kernels of other options have their arguments elsewhere."""
    program = cells.LSTM(9).program(4)
    small, dense = weights(program, "int8")
    x, resets = torch.randn(2, 5, 4), torch.tensor([[0, 0, 1, 0, 0], [0, 1, 0, 0, 1]]).bool()
    options = [
        {},
        {"resets": resets},
        {"return_all_states": True},
        {"resets": resets, "return_all_states": True},
    ]
    for some in options * 2:
        one, two = (scan(program, x, None, those, **some) for those in (small, dense))
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_units_are_shared_out_without_a_change() -> None:
    program = cells.LSTM(300).program(200)
    small, _ = weights(program, "int8")
    x = torch.randn(1, 20, 200)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(scan(program, x, None, small)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", sorted(OTHER_MACHINES))
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    program = cells.GRU(20).program(9)
    for kind in KINDS:
        kernel = ForwardKernel(
            program,
            "float32",
            machine,
            False,
            (0,),
            False,
            (True,) * 3,
            True,
            is_packed=True,
            weight_type=kind,
        )
        module = write_module(kernel)
        module.triple = machine.triple
        text = emit_assembly(module, machine)
        assert "vpmaddubsw" not in text  # it saturates
        assert ("vpdpbusd" in text) == kernel.by_dots


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("place", "features"), [("end", ""), ("begin", "-avx512f")])
def test_memory_and_other_instructions(place: str, features: str) -> None:
    given = {"NABI_GUARD": place, "NABI_LLVM_EFFORT": "0", "NABI_CPU_FEATURES": features}
    command = [sys.executable, "-W", "ignore", "-X", "faulthandler", "-m", "tests.targets.llvm.small_sizes"]
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]
    assert found.stdout == "done\n"
