"""Measure one step of an LSTM, from C and from Python, beside peers: `python benchmarks/exported_step.py`.

The object file for this processor is linked with a C compiler; a loop in C calls its step. The Python rows
are one call for each step. Peers are measured where they are installed: ONNX Runtime (states in and out), and
torch's LSTMCell and LSTM. Times are the fastest of several rounds, one thread. `--small` compares weights in
fewer bits for an LSTM of 512 units and inputs. `--drift` compares 2.6 million steps, 30 days at one a second,
with float64: of a stream, and of the WebAssembly module in wasmtime.
"""

import argparse
import ctypes
import importlib.util
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nabi
from nabi import interchange, layers, models, shipping
from nabi.native import host
from nabi.small_weights import KINDS

SIZES = ((32, 8), (64, 40), (128, 64))
_CHUNK = 10_000
_LOOP = """
#include <stddef.h>
void m_step(void *state, void *scratch, const float *x, float *y);
void many(void *state, void *scratch, const float *x, float *y, size_t steps)
{
    size_t n;
    for (n = 0; n < steps; n++)
        m_step(state, scratch, x, y);
}
"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--rounds", type=int, default=15, help="of which the fastest counts (default 15)")
    parser.add_argument("--calls", type=int, default=4000, help="steps of a round (default 4000)")
    parser.add_argument("--drift", action="store_true", help="compare 2.6 million steps with float64")
    parser.add_argument(
        "--small", action="store_true", help="time weights in fewer bits, 512 units and inputs"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.drift:
        for name, found in drift(2_592_000).items():
            print(f"{name}: largest difference from float64 in 2,592,000 steps: {found:.1e}")
        return
    if arguments.small:
        small(arguments.rounds)
        return
    print("| LSTM, units/inputs | " + " | ".join(f"{units}/{inputs}" for units, inputs in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    rows: dict[str, list[str]] = {}
    for units, inputs in SIZES:
        for name, found in times(units, inputs, arguments.calls, arguments.rounds).items():
            rows.setdefault(name, []).append(f"{found:.2f} µs")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def times(units: int, inputs: int, calls: int, rounds: int) -> dict[str, float]:
    """Return microseconds per step, by what runs it."""
    model = models.Sequential(
        [layers.LSTM(units, input_shape=(None, inputs), return_sequences=True)], name="m"
    )
    x = np.random.default_rng(0).standard_normal(inputs).astype(np.float32)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("gcc"):
            found["nabi, object file, called from C"] = from_c(model, Path(folder), x, calls, rounds)
        stream = nabi.Stream(model)
        found["nabi.Stream, one push from Python"] = fastest(lambda: stream.push(x), calls, rounds)
        if importlib.util.find_spec("onnxruntime"):
            found["ONNX Runtime, one call from Python"] = fastest(
                onnx_step(model, Path(folder), x), calls, rounds
            )
    given = torch.from_numpy(x)[None]
    cell = torch.nn.LSTMCell(inputs, units)
    module = torch.nn.LSTM(inputs, units)
    state = torch.zeros(1, units), torch.zeros(1, units)
    states = torch.zeros(1, 1, units), torch.zeros(1, 1, units)
    with torch.inference_mode():
        found["torch.nn.LSTMCell, one call from Python"] = fastest(lambda: cell(given, state), calls, rounds)
        found["torch.nn.LSTM, one call from Python"] = fastest(
            lambda: module(given[None], states), calls, rounds
        )
    return found


def fastest(call: Callable[[], Any], calls: int, rounds: int) -> float:
    """Return microseconds of a call: the mean of a round, in the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


def small(rounds: int) -> None:
    """Print microseconds of a step of LSTM 512/512 with weights of every kind, all in turns."""
    stack = [layers.LSTM(512, input_shape=(None, 512), return_sequences=True)]
    model = models.Sequential(stack, name="m")
    x = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    shortest: dict[str, list[float]] = {}
    for _ in range(3):
        for kind in ("float32", *KINDS):
            made = models.clone_model(model)
            made.set_weights(model.get_weights())
            if kind != "float32":
                made.quantize(kind)
            stream = nabi.Stream(made)
            with tempfile.TemporaryDirectory() as folder:
                found = [fastest(lambda s=stream: s.push(x), 200, rounds)]
                if shutil.which("gcc"):
                    found.append(from_c(made, Path(folder), x, 200, rounds, "m"))
            best = shortest.setdefault(kind, found)
            shortest[kind] = [min(pair) for pair in zip(best, found, strict=True)]
    print("| weights | nabi.Stream, one push | object file, called from C | times as fast as float32 |")
    print("|---|---:|---:|---:|")
    for kind, found in shortest.items():
        times = [f"{one:.1f} µs" for one in found]
        print(f"| {kind} | {' | '.join(times)} | {shortest['float32'][-1] / found[-1]:.2f} |")


def from_c(model: Any, folder: Path, x: Any, calls: int, rounds: int, name: str | None = None) -> float:
    """Return microseconds of a step that a loop in C calls."""
    machine = host()
    cpu = "x86-64-v4" if machine.vector_bytes == 64 else "x86-64-v3"
    if machine.has_byte_products:
        cpu = "icelake-server" if machine.vector_bytes == 64 else "alderlake"
    shipping.write_object(model, folder, cpu=cpu, name=name)
    (folder / "loop.c").write_text(_LOOP)
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", "loop.so", "loop.c", "m.o"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "loop.so"))
    memories = [
        np.zeros(size // 4, np.float32)
        for size in (library.m_state_bytes(), library.m_scratch_bytes(), 4 * library.m_output_size())
    ]
    state, scratch, y = (ctypes.c_void_p(one.ctypes.data) for one in memories)
    given = ctypes.c_void_p(x.ctypes.data)
    steps = ctypes.c_size_t(calls)
    return fastest(lambda: library.many(state, scratch, given, y, steps), 1, rounds) / calls


def onnx_step(model: Any, folder: Path, x: Any) -> Callable[[], Any]:
    """Return a call of ONNX Runtime for one step, whose states go in and out."""
    import onnxruntime

    path = folder / "m.onnx"
    interchange.write_onnx(model, path, stateful=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    units = model.layers[0].units
    given = {"input": x[None, None]}
    given |= {one.name: np.zeros((1, units), np.float32) for one in session.get_inputs()[1:]}
    return lambda: session.run(None, given)


def drift(steps: int) -> dict[str, float]:
    """Return how far float32 is from torch's LSTM in float64, in any step, by what runs it."""
    stack = [layers.LSTM(8, input_shape=(None, 2), return_sequences=True)]
    model = models.Sequential(stack, name="m")
    kernel, recurrent, bias = (one.detach().double() for one in model.layers[0].weights)
    module = torch.nn.LSTM(2, 8, batch_first=True).double()
    with torch.no_grad():  # both have the gates in the order i, f, g, o
        module.weight_ih_l0.copy_(kernel.T)
        module.weight_hh_l0.copy_(recurrent.T)
        module.bias_ih_l0.copy_(bias)
        module.bias_hh_l0.zero_()
    draw, states = np.random.default_rng(0), None
    runs: dict[str, Callable[[Any], Any]] = {"nabi.Stream": nabi.Stream(model).run}
    if importlib.util.find_spec("wasmtime"):
        runs["WebAssembly in wasmtime"] = in_wasmtime(model)
    largest = dict.fromkeys(runs, 0.0)
    for start in range(0, steps, _CHUNK):
        time_of_day = np.arange(start, min(start + _CHUNK, steps)) % 86400 / 86400 * 2 * np.pi
        x = np.stack([np.sin(time_of_day), np.cos(time_of_day)], 1)
        x = (x + 0.3 * draw.standard_normal(x.shape)).astype(np.float32)
        with torch.inference_mode():
            wanted, states = module(torch.from_numpy(x).double()[None], states)
        for name, run in runs.items():
            largest[name] = max(largest[name], float(np.abs(wanted[0].numpy() - run(x)).max()))
    return largest


def in_wasmtime(model: Any) -> Callable[[Any], Any]:
    """Return what runs a model's WebAssembly module: from rows to outputs, going on where it was."""
    import wasmtime

    with tempfile.TemporaryDirectory() as folder:
        written = shipping.write_web_assembly(model, folder)
        content = next(one for one in written if one.suffix == ".wasm").read_bytes()
        text = next(one for one in written if one.suffix == ".mjs").read_text()
    sizes = json.loads(text.partition("export const sizes = ")[2].partition(";")[0])
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, content), []).exports(store)
    memory, end, places = exports["memory"], int(exports["heap_base"].value(store)), []
    rooms = [sizes["stateBytes"], sizes["scratchBytes"]]
    rooms += [4 * sizes["block"] * sizes[what] for what in ("input", "output")]
    for room in rooms:
        places.append(-(-end // 64) * 64)
        end = places[-1] + room
    state, scratch, given, found = places
    exports["init"](store, state, sizes["stateBytes"])

    def run(x: Any) -> Any:
        outputs = []
        for first in range(0, len(x), sizes["block"]):
            part = np.ascontiguousarray(x[first : first + sizes["block"]], "<f4")
            memory.write(store, part.tobytes(), given)
            exports["run"](store, state, scratch, given, found, len(part))
            count = 4 * len(part) * sizes["output"]
            outputs.append(np.frombuffer(memory.read(store, found, found + count), "<f4"))
        return np.concatenate(outputs).reshape(len(x), -1)

    return run


if __name__ == "__main__":
    main()
