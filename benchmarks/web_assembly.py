"""How long does a step of a model take as WebAssembly, in Node?

    python benchmarks/web_assembly.py
    python benchmarks/web_assembly.py --models lstm-64-40 --scalar
    python benchmarks/web_assembly.py --sizes

Each model is exported as `nabi export --to wasm` does it, and timed in a process of Node by its own loader:
the shortest of many runs of a thousand steps, from an array in JavaScript to the outputs, so that a busy
machine disturbs little. Beside it are the bytes of the module beyond its weights, and how long it takes to
compile and start. "no" stands for the module without vectors. `--sizes` counts instead the bytes beyond the
weights for every cell of the catalogue, of 6 units and 5 features, and names those above 4 kB.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nabi import cells, layers, models
from nabi.errors import NabiError
from nabi.shipping import step_program, write_web_assembly
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._web._module import WebModule
from nabi.utils import set_random_seed

LAYERS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
ENOUGH = 4096
MODELS = ("lstm-32-8", "lstm-64-40", "lstm-128-64", "gru-64-40", "rnn-64-40")
PROGRAM = """
import { readFileSync } from "node:fs";
import { Model, sizes } from "./model.mjs";
const bytes = readFileSync("model.wasm");
let loading = Infinity;
let model;
for (let time = 0; time < 5; time += 1) {
  const start = performance.now();
  model = new Model(new WebAssembly.Module(bytes));
  loading = Math.min(loading, performance.now() - start);
}
const stream = model.stream();
const x = Float32Array.from({ length: sizes.input }, (_, at) => Math.sin(at));
let shortest = Infinity;
for (let time = 0; time < 300; time += 1) {
  const start = performance.now();
  for (let step = 0; step < 1000; step += 1) stream.step(x);
  shortest = Math.min(shortest, performance.now() - start);
}
console.log(JSON.stringify({ microseconds: shortest, loading, right: model.selfTest() }));
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time of a step in Node.")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="LAYER-UNITS-INPUTS")
    parser.add_argument("--scalar", action="store_true", help="modules without vectors as well")
    parser.add_argument("--sizes", action="store_true", help="bytes of every cell of the catalogue")
    chosen = parser.parse_args(arguments)
    if chosen.sizes:
        sizes()
        return
    table = Table("model", "vectors", "µs a step", "loading (ms)", "weights (kB)", "beyond (bytes)")
    for name in chosen.models:
        kind, units, inputs = name.split("-")
        set_random_seed(1)
        layer = LAYERS[kind](int(units), input_shape=(None, int(inputs)), return_sequences=True)
        model = models.Sequential([layer], name="model")
        weights = 4 * sum(weight.numel() for weight in model.parameters())
        for simd in (True, False) if chosen.scalar else (True,):
            with tempfile.TemporaryDirectory() as folder:
                write_web_assembly(model, folder, simd=simd)
                (Path(folder) / "program.mjs").write_text(PROGRAM)
                done = subprocess.run(["node", "program.mjs"], cwd=folder, capture_output=True, check=True)
                size = (Path(folder) / "model.wasm").stat().st_size
            found = json.loads(done.stdout)
            assert found["right"], step_program(model)
            figures = (f"{found['microseconds']:.2f}", f"{found['loading']:.2f}", f"{weights / 1000:.1f}")
            table.add_row(name, "yes" if simd else "no", *figures, str(size - weights))
    Console().print(table)


def sizes() -> None:
    """Print how many bytes modules have beyond their weights."""
    for simd in (True, False):
        found = {}
        for name in cells.names():
            more = {"projection": 3} if name == "projected-lstm" else {}
            try:
                cell = cells.get(name)(6, **more)
                layer = layers.RNN(cell, input_shape=(None, 5), return_sequences=True)
                program = step_program(models.Sequential([layer], name="m"))
            except NabiError:  # it reads more than a row of features
                continue
            nothing = np.zeros((4, program.output.width), np.float32)
            test = SelfTest(np.zeros((4, 5), np.float32), nothing, 1.0)
            module = WebModule(program, test, simd)
            found[name] = len(module.content) - module.weights
        above = {name: size for name, size in found.items() if size > ENOUGH}
        print(f"{'SIMD128' if simd else 'scalar'}: {len(found)} cells, {min(found.values()):,} to "
              f"{max(found.values()):,} bytes, {len(above)} above {ENOUGH:,}: {above}")  # fmt: skip


if __name__ == "__main__":
    main()
