"""Exported models and streams with weights in fewer bits give what the quantized model gives."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers, shipping
from nabi.errors import ArgumentError, UnknownNameError
from nabi.native import host
from nabi.shipping._code._step_function import layout_for
from nabi.shipping._memory import FOURS
from nabi.shipping._targets import machine_for
from nabi.small_weights import KINDS

from ..cells.sampling import make
from .built import MODELS, agrees, inputs, outputs, sequential
from .emulated import needs
from .linked import Linked, compiler
from .test_emulated import in_emulator

pytestmark = pytest.mark.rotates(days=2)

kinds = pytest.mark.parametrize("kind", list(KINDS))


def quantized(model: Any, kind: str) -> Any:
    found = copy.deepcopy(model)
    found.quantize(kind)
    return found


@kinds
def test_streams(kind: str) -> None:
    makers = [MODELS[name] for name in ("codes", "stacks", "graph", "convolutions")]
    makers.append(lambda: sequential(layers.RNN(make("layer-norm-lstm", 37)), layers.Dense(3)))
    for maker in makers:
        model = maker()
        small = quantized(model, kind)
        x = inputs(small)
        assert agrees(nabi.Stream(small).run(x), outputs(small, x))


@kinds
def test_objects(tmp_path: Path, kind: str) -> None:
    model = sequential(layers.LSTM(64), layers.Dense(64, activation="tanh"), features=32)
    shipping.write_object(model, tmp_path / "float32", name="m")
    shipping.write_object(model, tmp_path, name="m", weights=kind)
    linked, small = Linked(tmp_path, "m", ["m.o"]), quantized(model, kind)
    x = inputs(small)
    assert agrees(linked.run(x), outputs(small, x))
    assert linked.self_test() == 0
    machine = machine_for(shipping.TARGETS["x86-64"], None)
    sizes = [
        len(layout_for(shipping.step_program(one), machine, of).weights)
        for one, of in ((model, ""), (small, kind))
    ]
    assert sizes[1] < {"int8": 0.3, "bfloat16": 0.53, "float16": 0.53}[kind] * sizes[0]
    # A model that is quantized already gives the same files.
    before = (tmp_path / "m.o").read_bytes()
    shipping.write_object(small, tmp_path, name="m")
    assert (tmp_path / "m.o").read_bytes() == before


@pytest.mark.parametrize("target", ["aarch64", "cortex-m4", "cortex-m55"])
def test_other_processors(tmp_path: Path, target: str) -> None:
    needs(target)
    for kind in KINDS:
        small = quantized(MODELS["codes"](), kind)
        assert in_emulator(tmp_path, target, small, kind=kind) == 0, kind


def test_what_is_refused(tmp_path: Path) -> None:
    model = sequential(layers.LSTM(4))
    with pytest.raises(UnknownNameError, match="'int4' is not known"):
        shipping.write_object(model, tmp_path, weights="int4")
    model.quantize("int8")
    with pytest.raises(ArgumentError, match="expected a model with float32 weights, got int8"):
        shipping.write_object(model, tmp_path, weights="float16")
    assert not list(tmp_path.iterdir())


def test_float32_is_float32(tmp_path: Path) -> None:
    """Asked for float32, a quantized model is written as the float32 numbers that its weights stand for."""
    small = quantized(sequential(layers.LSTM(32), layers.Dense(2)), "int8")
    sizes = {}
    for weights in (None, "float32"):
        files = shipping.write_object(small, tmp_path, name="m", weights=weights, separate_weights=True)
        sizes[weights] = files[4].stat().st_size
        linked, x = Linked(tmp_path, "m", ["m.o", "m_weights.o"]), inputs(small)
        assert agrees(linked.run(x), outputs(small, x))
    assert sizes[None] < 0.35 * sizes["float32"]
    modules = [
        shipping.write_web_assembly(small, tmp_path, name="m", weights=weights)[1].stat().st_size
        for weights in (None, "float32")
    ]
    assert modules[0] < modules[1] - 10_000


@pytest.mark.parametrize("cpu", ["sapphirerapids", "alderlake"])
def test_sums_of_four_bytes(tmp_path: Path, cpu: str) -> None:
    """Code for processors with VNNI: other widths than whole vectors, inputs of any size, and no numbers."""
    machine = machine_for(shipping.TARGETS["x86-64"], cpu)
    assert machine.has_byte_products
    model = sequential(
        layers.Dense(67, activation="tanh"),
        layers.Conv1D(21, 3, padding="causal", dilation_rate=2, activation="tanh"),
        layers.LSTM(45, return_sequences=True),
        layers.GRU(130, reset_after=False),
        layers.Dense(3),
        features=19,
    )
    small = quantized(model, "int8")
    layout = layout_for(shipping.step_program(small), machine, "int8")
    assert {tiles.kind for one in layout.products.values() for _, tiles in one.tiles} == {FOURS}
    shipping.write_object(small, tmp_path, name="m", cpu=cpu)
    compiler()
    present = set(host().features.split(","))
    if not set(machine.features.split(",")) <= present:
        pytest.skip(f"this processor does not run the code of {cpu}")
    linked = Linked(tmp_path, "m", ["m.o"])
    x = inputs(small, 12) * np.array([1e-6, 1, 1000] * 4, np.float32)[:, None]
    x[3] = 0
    assert agrees(linked.run(x), outputs(small, x))
    assert linked.self_test() == 0
    assert np.isnan(linked.step(np.full(19, np.nan))).all()
