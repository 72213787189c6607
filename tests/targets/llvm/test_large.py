"""Layers whose weights are too many for a near cache."""

import re

import pytest
import torch

from nabi import cells
from nabi.native import OTHER_MACHINES, emit_assembly
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._writer._gradients import _strips
from nabi.targets.llvm._writer._module import write_module

from .sweep import Data, Setting, eager, native, worst

pytestmark = pytest.mark.rotates(days=2)

ASKS = {"x86_64-linux-avx512": "prefetcht1", "x86_64-linux-avx2": "prefetcht1", "aarch64-linux": "pldl2keep"}


def kernels(units, features, name, few_rows=False, need_input=True):
    program, machine = cells.LSTM(units).program(features), OTHER_MACHINES[name]
    layout = (True,) * len(program.families)
    forward = ForwardKernel(program, "float32", machine, True, (0,), False, layout, few_rows)
    backward = BackwardKernel(
        program, "float32", machine, (0,), (0,), False, False, layout, need_input, True, few_rows
    )
    return [emit_assembly(write_module(kernel), machine) for kernel in (forward, backward)]


@pytest.mark.parametrize("name", ASKS)
def test_only_weights_that_are_far_are_asked_for(name):
    assert all(ASKS[name] in text for text in kernels(256, 256, name))
    assert not any(ASKS[name] in text for text in kernels(32, 8, name))


def test_nothing_is_asked_for_where_each_weight_is_read_once_a_step():
    _, backward = kernels(256, 256, "x86_64-linux-avx512", few_rows=True, need_input=False)
    assert "prefetcht1" not in backward


def inner_loops(assembly):
    """Code between a label and the jump back to it that holds no other label."""
    found = re.findall(
        r"^(\.L\w+):[^\n]*\n((?:(?!^\.L\w+:).*\n)*?)\s+j\w+\s+\1\b", assembly, flags=re.MULTILINE
    )
    return [body for _, body in found]


@pytest.mark.usefixtures("full_effort")
def test_inner_loops_keep_all_sums_in_registers():
    for text in kernels(256, 256, "x86_64-linux-avx512"):
        loops = [body for body in inner_loops(text) if body.count("vfmadd") >= 8]
        assert len(loops) > 4
        assert not any(re.search(r"zmm.*\(%r[sb]p\)|\(%r[sb]p\).*zmm", body) for body in loops)


def test_strips_hold_every_vector_once():
    for count in range(1, 70):
        strips = _strips(count)
        covered = [
            first + n * size + i for size, first, many in strips for n in range(many) for i in range(size)
        ]
        assert covered == list(range(count))
        assert all(size > 1 for size, _, _ in strips) or count == 1


@pytest.mark.parametrize("batch", [5, 13, 27, 70])
def test_a_large_layer_agrees_with_the_definition(batch):
    setting = Setting(batch=batch, steps=3)
    data = Data.draw(cells.LSTM(264), 20, setting, batch)
    truth, found = eager(data), native(data, torch.float32)
    assert worst(found.outputs, truth.outputs)[0] <= 1e-6
    assert worst(found.inference, truth.inference)[0] <= 1e-6
    assert worst(found.gradients, truth.gradients)[0] <= 1e-5
