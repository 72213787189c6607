"""Exported models on other processors, in QEMU."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from nabi import layers
from nabi.native import emit_object
from nabi.shipping import TARGETS, step_program
from nabi.shipping._code._functions import model_module, scratch_bytes
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._code._step_function import layout_for
from nabi.shipping._targets import machine_for
from nabi.shipping._weights_file import packed_weights

from ..cells.sampling import CLASSIC, everything, make
from .built import MODELS, inputs, outputs, sequential
from .emulated import needs, self_test_in_emulator


def in_emulator(folder: Path, target: str, model: object, fault: float = 0.0, kind: str = "") -> int:
    """What the self-test says with a tolerance of 2e-6: 0, or the first step that differs."""
    program = step_program(model, "m")
    machine = machine_for(TARGETS[target], None)
    layout = layout_for(program, machine, kind)
    x = inputs(model)
    wanted = outputs(model, x)
    given = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    test = SelfTest(given, np.ascontiguousarray(wanted), 2e-6 * max(1.0, float(np.abs(wanted).max())))
    test = replace(test, outputs=test.outputs + np.float32(fault))
    weights = packed_weights(layout, program.structure)
    image = emit_object(model_module(program, layout, machine, weights, test, apart=False), machine, 3)
    state = max(4 * layout.state_size, 4)
    return self_test_in_emulator(folder, target, "m", machine, [image], state, scratch_bytes(program, layout))


def of_today(names: Sequence[str], target: str, count: int) -> list[str]:
    """A few names for each target, others on every day; all where everything is to be tested."""
    if everything():
        return list(names)
    start = date.today().toordinal() * count + list(TARGETS).index(target)
    return [names[(start + number) % len(names)] for number in range(count)]


@pytest.mark.parametrize("target", ["aarch64", "armv7", "cortex-m4", "cortex-m7", "cortex-m55"])
def test_models_and_cells(tmp_path: Path, target: str) -> None:
    needs(target)
    for name in of_today(list(MODELS), target, 1):
        assert in_emulator(tmp_path, target, MODELS[name]()) == 0, name
    for name in of_today(CLASSIC, target, 1):
        model = sequential(layers.RNN(make(name, 7), return_sequences=True))
        assert in_emulator(tmp_path, target, model) == 0, name
    model = sequential(layers.LSTM(7, return_sequences=True))
    assert in_emulator(tmp_path, target, model) == 0
    assert in_emulator(tmp_path, target, model, fault=1e-4) == 1
