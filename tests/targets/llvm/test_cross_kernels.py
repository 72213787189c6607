"""Whole kernels for the machines that the tests do not run on: LSTM, and one with reductions, both ways.

Widths of 32, where all vectors are full, and of 33, where the last needs a mask.
"""

import ctypes
import os
import re
from functools import cache

import pytest

from nabi import cells
from nabi.native import OTHER_MACHINES, emit_assembly
from nabi.native._code import _compiler
from nabi.native._code._compiler import emit_object
from nabi.native._code._objects import undefined_symbols
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._writer._module import write_module

from ...native.machines import called_by
from ...native.test_cross import ELF_MACHINES, FUSED, MAGIC

pytestmark = pytest.mark.rotates(days=3)

VECTOR_FMA = {
    16: r"\bfmla(\.4s\s+v\d+|\s+v\d+\.4s)",
    32: r"\bvfmadd\d+ps\s.*%ymm",
    64: r"\bvfmadd\d+ps\s.*%zmm",
}
PAGE = 4096
KINDS = [
    (cell, units, direction)
    for cell in ("LSTM", "LayerNormLSTM")
    for units in (32, 33)
    for direction in ("forward", "backward")
]
NAMES = ["-".join(map(str, kind)) for kind in KINDS]
WINDOWS = "x86_64-windows-avx2"


def module(name, kind):
    """The kernel with everything in it: all states kept, flags, cuts, gradients of all there is."""
    machine = OTHER_MACHINES[name]
    twin = next(
        other
        for other, m in OTHER_MACHINES.items()
        if (m.vector_bytes, m.registers, m.architecture)
        == (machine.vector_bytes, machine.registers, machine.architecture)
    )
    return _module(twin, *kind)


@cache
def _module(name, cell, units, direction):
    program, machine = getattr(cells, cell)(units=units).program(8), OTHER_MACHINES[name]
    layout = (True,) * len(program.families)
    if direction == "forward":
        kernel = ForwardKernel(program, "float32", machine, True, (0,), True, layout, False)
    else:
        kernel = BackwardKernel(
            program, "float32", machine, (0,), (0,), True, True, layout, True, True, False
        )
    return str(write_module(kernel))


@cache
def needed(name, kind):
    """What an object file needs from elsewhere; its format is looked at on the way."""
    machine, system = OTHER_MACHINES[name], name.split("-")[1]
    image = emit_object(module(name, kind), machine)
    assert image.startswith(MAGIC[system])
    if system == "linux":
        assert int.from_bytes(image[18:20], "little") == ELF_MACHINES[machine.architecture]
    return undefined_symbols(image)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@pytest.mark.parametrize("name", FUSED)
def test_an_object_needs_nothing_but_the_way_to_leave_the_processor(name, kind):
    # Windows: `__chkstk` is for the test below; `_fltused` is named wherever numbers have a point.
    allowed = {"nabi_yield", "_fltused", "__chkstk"} if name == WINDOWS else {"nabi_yield"}
    assert needed(name, kind) <= allowed


@pytest.mark.parametrize("name", FUSED)
def test_weights_read_in_place_need_nothing_either(name):
    machine = OTHER_MACHINES[name]
    program = cells.LSTM(units=33).program(8)
    for layout in (True, False):
        kernel = ForwardKernel(
            program, "float32", machine, True, (0,), True, (layout,) * 3, few_rows=True, in_place=True
        )
        found = called_by(write_module(kernel), machine)
        assert found <= {"nabi_yield", "_fltused", "__chkstk"}


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@pytest.mark.parametrize("name", FUSED)
def test_products_are_fused_in_vectors(name, kind, monkeypatch):
    # Which instruction becomes of a product does not depend on how hard LLVM tries to order them.
    monkeypatch.setenv("NABI_LLVM_EFFORT", "0")
    machine = OTHER_MACHINES[name]
    assembly = emit_assembly(module(name, kind), machine)
    assert re.search(VECTOR_FMA[machine.vector_bytes], assembly)
    assert re.search(r"\bfmaf?\b", assembly) is None


@pytest.mark.parametrize("kind", KINDS[2::4] + KINDS[3::4], ids=NAMES[2::4] + NAMES[3::4])
def test_windows_touches_pages_of_the_stack_only_for_a_large_frame(kind):
    """A frame of more than a page must be touched page by page, which `__chkstk` does.

    Registers that do not suffice and the scratch of long sums come to more than a page, so that cannot be
    avoided. Memory of the stack that is reserved anywhere but at the very start of a function also calls
    it, whatever its size.
    """
    assembly = emit_assembly(module(WINDOWS, kind), OTHER_MACHINES[WINDOWS])
    calls = len(re.findall(r"\bcall\w*\s+__chkstk", assembly))
    frames = [int(size) for size in re.findall(r"movl\s+\$(\d+), %eax\n\s+callq\s+__chkstk", assembly)]
    assert len(frames) == calls
    assert [size for size in frames if size < PAGE] == []


def test_windows_is_given_all_that_its_objects_need(monkeypatch):
    class Functions:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, name):
            return getattr(self, name)

        def __getattr__(self, name):
            return ctypes.CFUNCTYPE(None)(1)

    monkeypatch.setattr(ctypes, "WinDLL", Functions, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        given = _compiler.symbols.__wrapped__()
    for kind in KINDS:
        assert needed(WINDOWS, kind) <= given.keys()
