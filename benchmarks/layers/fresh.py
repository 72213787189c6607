"""Measurements that need a new process: memory, first call, import. `python -m benchmarks.layers.fresh`.

Each measurement is a process that receives a task as JSON and prints its figures as JSON.
"""

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.layers.crew import ROOT, WorkerError, environment
from benchmarks.layers.points import Task
from benchmarks.layers.worker import pin

__all__ = ["first_calls", "imports", "memory"]


def ask(task: Task, threads: int, isa: str, **variables: str) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.layers.fresh", json.dumps({**task, "threads": threads})],
        cwd=ROOT,
        env={**environment("nabi", threads, isa), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise WorkerError(f"{task}: {' / '.join(run.stderr.splitlines()[-2:])}")
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def memory(shape: tuple[int, int, int], lengths: list[int], threads: int, isa: str) -> list[dict[str, Any]]:
    """Return the memory of training in nabi and torch, in bytes: B, D, H for several T."""
    batch, inputs, units = shape
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for cell in ("lstm", "gru"):
            for time_steps in lengths:
                row: dict[str, Any] = {"cell": cell, "shape": [batch, time_steps, inputs, units]}
                for name in ("nabi", "torch"):
                    task = {"measure": "memory", "name": name, **row}
                    # Once unmeasured, so that the measured run does not compile.
                    ask(task, threads, isa, NABI_CACHE_DIR=cache)
                    row[name] = ask(task, threads, isa, NABI_CACHE_DIR=cache)["bytes"]
                found.append(row)
    return found


def first_calls(shape: tuple[int, int, int, int], threads: int, isa: str) -> list[dict[str, Any]]:
    """Return the seconds of the first training call with an empty and with a filled cache."""
    found = []
    for cell in ("lstm", "gru", "residual-lstm"):
        with tempfile.TemporaryDirectory() as cache:
            task = {"measure": "first-call", "cell": cell, "shape": shape}
            kept = {"NABI_CACHE_DIR": f"{cache}/nabi", **bytecode(cache)}
            cold, *warm = [ask(task, threads, isa, **kept) for _ in range(4)]
        middle = {key: statistics.median(each[key] for each in warm) for key in cold}
        found.append({"cell": cell, "shape": shape, "cold": cold, "warm": middle})
    return found


def bytecode(folder: str) -> dict[str, str]:
    """Let Python cache bytecode, as for users, in a folder of its own."""
    return {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "PYTHONDONTWRITEBYTECODE": ""}


def imports(threads: int, isa: str, processes: int = 5) -> dict[str, float]:
    """Return the seconds of `import torch`, of `import nabi` after it, and of loading a layer model."""
    with tempfile.TemporaryDirectory() as folder:
        # The first process writes the bytecode.
        _, *measured = [
            ask({"measure": "import"}, threads, isa, **bytecode(folder)) for _ in range(processes + 1)
        ]
    return {key: statistics.median(each[key] for each in measured) for key in measured[0]}


def measure_import(task: Task) -> dict[str, float]:
    start = time.perf_counter()
    import torch  # noqa: F401

    middle = time.perf_counter()
    import nabi

    imported = time.perf_counter()
    # Names are loaded lazily; these load all layers, models and training.
    assert nabi.Sequential
    assert nabi.layers.LSTM
    return {"torch": middle - start, "nabi": imported - middle, "model": time.perf_counter() - imported}


def measure_memory(task: Task) -> dict[str, float]:
    import torch

    from benchmarks.layers.peers.torch_peer import build

    torch.set_num_threads(task["threads"])
    batch, steps, inputs, units = task["shape"]
    # A short run first loads libraries, starts threads and compiles code.
    train_once(build(task["name"], task["cell"], inputs, units), torch.randn(2, 1, inputs))
    x = torch.randn(steps, batch, inputs)
    reset_peak()
    before = status("VmRSS")
    module = build(task["name"], task["cell"], inputs, units)
    for _ in range(2):
        train_once(module, x)
    return {"bytes": status("VmHWM") - before}


def train_once(module: Any, x: Any) -> None:
    x = x.detach().requires_grad_()
    output = module(x)[0]
    output.backward(output.detach())


def reset_peak() -> None:
    """Reset peak memory to the current memory, which Linux supports."""
    Path("/proc/self/clear_refs").write_text("5")


def status(field: str) -> int:
    """Return a size in /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise WorkerError(f"{field} is not in /proc/self/status")


def measure_first_call(task: Task) -> dict[str, float]:
    with suppress(ImportError):
        import llvmlite.binding  # noqa: F401
    import torch

    from benchmarks.layers.peers.variants import cell_of
    from nabi import nn

    torch.set_num_threads(task["threads"])
    batch, steps, inputs, units = task["shape"]
    # Warm up torch: its threads and autograd.
    train_once(torch.nn.LSTM(inputs, units), torch.randn(steps, batch, inputs))
    # Collect the garbage left by loading torch now, so that no collection happens during the measurement.
    gc.collect()
    start = time.perf_counter()
    module = nn.RNN(cell_of(task["cell"], units), inputs, batch_first=False)
    x = torch.randn(steps, batch, inputs)
    built = time.perf_counter()
    train_once(module, x)
    first = time.perf_counter()
    train_once(module, x)
    second = time.perf_counter()
    train_once(module, torch.randn(steps + 3, batch + 1, inputs))
    other = time.perf_counter()
    return {
        "build": built - start,
        "first": first - built,
        "second": second - first,
        "other_sizes": other - second,
    }


MEASURES = {"import": measure_import, "memory": measure_memory, "first-call": measure_first_call}

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    pin(given["threads"])
    print(json.dumps(MEASURES[given["measure"]](given)))
