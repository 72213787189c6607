"""Models as WebAssembly modules: run in wasmtime, and in node by their loader."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi import cells, layers, models
from nabi.errors import OutputError
from nabi.shipping import step_program, write_web_assembly
from nabi.utils import set_random_seed

from ..cells.sampling import CLASSIC, cells_of_today, make

pytest.importorskip("wasmtime", reason="wasmtime is not installed")

from nabi.shipping._self_test import self_test_of
from nabi.shipping._small_weights import quantized
from nabi.shipping._web._module import WebModule

from .web_assembly import RunningModel, numbers_for

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
INPUTS, UNITS = 4, 6
LARGE = {"dnc": 32768}
"""How much code a cell of many small operations may have at most, in bytes."""
ALLOWED = {"layer-norm-lstm": 1e-5, "hyper-lstm": 1e-5, "nru": 1e-5}
FURTHER = {*cells.names("irregular"), "mc-lstm", "conv-lstm", "conv-gru", "pred-rnn"}
"""Cells that read something else than a row of features."""


def gate(units: int = 8, name: str = "gate") -> models.Sequential:
    stack = [
        layers.LSTM(units, input_shape=(None, INPUTS), return_sequences=True),
        layers.GRU(5),
        layers.Dense(3),
    ]
    return models.Sequential([*stack, layers.Activation("softmax")], name=name)


def module_of(model: Any, simd: bool = True) -> WebModule:
    program = step_program(model)
    return WebModule(program, self_test_of(model, program), simd)


@pytest.mark.parametrize("name", [name for name in cells_of_today(days=12) if name not in FURTHER])
def test_every_cell_gives_what_it_gives_in_python(name: str) -> None:
    set_random_seed(8)
    cell = make(name, UNITS)
    model = models.Sequential(
        [layers.RNN(cell, return_sequences=True, input_shape=(None, INPUTS))], name="model"
    )
    module = module_of(model)
    running = RunningModel(module)
    state = running.stream()
    assert running("self_test", state, running.scratch) == 0
    x = numbers_for(step_program(model), 20)
    expected = np.asarray(model.predict(x[None], verbose=0))[0].reshape(20, -1)
    found = np.array([running.step(state, row) for row in x])
    # A division by a small deviation enlarges what is rounded differently before it.
    allowed = ALLOWED.get(name, 2e-6)
    assert np.abs(found - expected).max() <= allowed * max(1.0, float(np.abs(expected).max()))
    if name != "layer-norm-lstm":
        # Code in tests is hardly optimised, and up to twice as large as users'.
        assert len(module.content) - module.weights <= (4096 if name in CLASSIC else LARGE.get(name, 16384))


def test_a_module_of_any_model_steps_as_it_runs_and_goes_on_from_a_state() -> None:
    model = gate()
    running = RunningModel(module_of(model))
    x = numbers_for(step_program(model), 40)
    one, two = running.stream(), running.stream()
    whole = running.run(one, x)
    assert np.array_equal(whole, np.array([running.step(two, row) for row in x]))
    expected = np.asarray(models.Sequential(model.layers).predict(x[None], verbose=0))[0]
    assert np.abs(whole[-1] - expected).max() <= 2e-6
    running("get_state", one, running.values)
    kept = running.read(running.values, running.sizes["state"])
    after = running.step(one, x[0])
    running("reset", one)
    assert np.array_equal(running.step(one, x[0]), whole[0])
    running.write(running.values, kept)
    running("set_state", one, running.values)
    assert np.array_equal(running.step(one, x[0]), after)


def test_code_without_vectors_gives_the_same_bits() -> None:
    model = gate(11)
    x = numbers_for(step_program(model), 30)
    vectors, numbers = (RunningModel(module_of(model, simd)) for simd in (True, False))
    assert np.array_equal(vectors.run(vectors.stream(), x), numbers.run(numbers.stream(), x))


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.27), ("bfloat16", 0.52), ("float16", 0.52)])
def test_weights_in_fewer_bits(kind: str, most: float, tmp_path: Path) -> None:
    model = models.Sequential(
        [layers.LSTM(48, input_shape=(None, 40), return_sequences=True), layers.Dense(3)], name="small"
    )
    small, named = quantized(model, kind)
    program = step_program(small)
    modules = [WebModule(program, self_test_of(small, program), simd, named) for simd in (True, False)]
    whole = 4 * sum(weight.numel() for weight in model.parameters())
    assert modules[0].weights <= most * whole + 1000
    x = numbers_for(program, 20)
    found = [running.run(running.stream(), x) for running in map(RunningModel, modules)]
    assert np.array_equal(*found)
    expected = np.asarray(small.predict(x[None], verbose=0))[0]
    assert np.abs(found[0] - expected).max() <= 2e-6
    names = [path.name for path in write_web_assembly(model, tmp_path, weights=kind)]
    assert names[1] == "small.wasm"
    assert (tmp_path / "small.wasm").read_bytes() == modules[0].content


@pytest.mark.parametrize("simd", [True, False])
def test_much_code_is_written_once(simd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_LLVM_EFFORT", "3")
    layer = layers.RNN(cells.get("retnet")(UNITS), return_sequences=True, input_shape=(None, 5))
    module = module_of(models.Sequential([layer], name="model"), simd)
    assert len(module.content) - module.weights <= 4096


def test_a_model_of_codes_reads_one_number() -> None:
    model = models.Sequential(
        [layers.Embedding(10, 5, input_length=7), layers.LSTM(6), layers.Dense(2)], name="codes"
    )
    model.build((None, 7))
    running = RunningModel(module_of(model))
    assert (running.sizes["input"], running.sizes["codes"]) == (1, 10)
    codes = numbers_for(step_program(model), 7)
    expected = np.asarray(model.predict(codes.T.astype(np.int64), verbose=0))[0]
    assert np.abs(running.run(running.stream(), codes)[-1] - expected).max() <= 2e-6


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = gate()
    first, second = (write_web_assembly(model, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == ["gate.mjs", "gate.wasm", "gate.d.ts", "gate-worklet.js"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert write_web_assembly(model, tmp_path / "one") == first  # its own files are replaced


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "gate.mjs").write_text("mine")
    with pytest.raises(OutputError, match=r"gate\.mjs"):
        write_web_assembly(gate(), tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


PROGRAM = """
import { readFileSync } from "node:fs";
import { Model, compile, load, sizes } from "./gate.mjs";
const rows = JSON.parse(readFileSync("x.json"));
const model = await load();
const stream = model.stream();
const steps = rows.map((row) => Array.from(stream.step(row)));
const state = stream.state;
const next = Array.from(stream.step(rows[0]));
const other = model.stream();
const whole = Array.from(other.run(rows.flat()));
const many = Array.from({ length: 5000 }, () => model.stream());
stream.state = state;
const again = Array.from(stream.step(rows[0]));
stream.reset();
const first = Array.from(stream.step(rows[0]));
let refused = "";
try { stream.step([1]); } catch (problem) { refused = problem.message; }
const bytes = await load(readFileSync("gate.wasm"));
const shared = new Model(await compile());
console.log(JSON.stringify({
  sizes, steps, whole, next, again, first, refused,
  last: Array.from(many.at(-1).step(rows[0])),
  tests: [model.selfTest(), bytes.selfTest(), shared.selfTest()],
}));
"""


@needs_node
def test_the_loader_in_node(tmp_path: Path) -> None:
    model = gate()
    write_web_assembly(model, tmp_path / "gate")
    x = numbers_for(step_program(model), 300)
    (tmp_path / "gate" / "x.json").write_text(json.dumps(x.tolist()))
    (tmp_path / "gate" / "program.mjs").write_text(PROGRAM)
    done = subprocess.run(
        ["node", "program.mjs"], cwd=tmp_path / "gate", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tests"] == [True, True, True]
    assert found["refused"] == f"expected {INPUTS} numbers, got 1"
    assert np.array_equal(np.ravel(found["steps"]), found["whole"])
    assert found["again"] == found["next"]
    assert found["first"] == found["steps"][0] == found["last"]
    running = RunningModel(module_of(model))
    state = running.stream()
    expected = [running.step(state, row) for row in x]
    assert np.array_equal(np.array(found["steps"], np.float32), expected)
    assert found["sizes"] == running.sizes
