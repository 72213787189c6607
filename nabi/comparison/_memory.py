"""The memory of a training step, measured in a process of its own."""

import inspect
import json
import os
import runpy
import subprocess
import sys
from typing import Any

import numpy as np

from nabi.cells import Cell
from nabi.comparison._contender import Contender
from nabi.comparison._network import compile_network, make_network
from nabi.comparison._settings import Settings
from nabi.comparison._task import Task

__all__ = ["main", "step_memory"]

_STEPS = 3


def step_memory(contender: Contender, task: Task, settings: Settings) -> int | None:
    """Return by how many bytes a training step raises the peak memory of a process; None if unknown.

    The process already has the network, its optimizer, compiled kernels and the batch. What a step adds is
    mostly what the backward pass needs of every time step.

    It is unknown for cells that no file defines, such as those of a notebook, and where the system does not
    tell the peak memory of a process.

    Raises:
        NabiError: the cell cannot be run on the task.
    """
    network = make_network(contender, task, settings.units)
    files = _files_of(network.layers[-2].equations)
    if files is None or sys.platform == "win32":
        return None
    work = {
        "network": network.to_json(),
        "files": files,
        "threads": settings.threads,
        "shape": [settings.batch_size, task.steps, *([] if task.symbols else [task.features])],
        "classes": task.classes,
        "every_step": task.every_step,
        "rate": settings.learning_rate,
    }
    command = [sys.executable, "-c", "from nabi.comparison import _memory; _memory.main()"]
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "OMP_NUM_THREADS": str(settings.threads), "PYTHONPATH": path}
    run = subprocess.run(
        command, input=json.dumps(work), env=environment, capture_output=True, text=True, check=False
    )
    return None if run.returncode else int(run.stdout.split()[-1])


def _files_of(cell: Any) -> dict[str, str] | None:
    """Return the files of the classes of a cell that are not nabi's, by name; None if one has no file."""
    found: dict[str, str] = {}
    while isinstance(cell, Cell):
        kind = type(cell)
        if not kind.__module__.startswith("nabi."):
            try:
                file = inspect.getfile(kind)
            except (OSError, TypeError):
                return None
            if not os.path.isfile(file):
                return None
            found[kind.__name__] = os.path.abspath(file)
        cell = getattr(cell, "cell", None)
    return found


def main() -> None:
    """Measure what the process is told on its standard input, and print the number of bytes."""
    import torch

    from nabi.explain import fill_memory, peak_memory
    from nabi.models import model_from_json

    work = json.load(sys.stdin)
    own: dict[str, Any] = {}
    for name, file in work["files"].items():
        sys.path.insert(0, os.path.dirname(file))
        own[name] = runpy.run_path(file)[name]
    torch.set_num_threads(work["threads"])
    network = model_from_json(work["network"], own)
    compile_network(network, work["classes"], work["rate"])
    batch, steps, *features = work["shape"]
    kind = np.float32 if features else np.int64
    answer_type = np.int64 if work["classes"] else np.float32

    def fit(steps: int, count: int) -> None:
        x = np.ones((batch * count, steps, *features), kind)
        y = np.zeros((batch * count, *([steps] if work["every_step"] else [] if work["classes"] else [1])))
        network.fit(x, y.astype(answer_type), batch_size=batch, shuffle=False, verbose=0)

    # With the batch size of the measurement, so that what is compiled is not counted.
    fit(2, _STEPS)
    ballast = fill_memory()
    before = peak_memory()
    fit(steps, _STEPS)
    peak = peak_memory() - before
    del ballast
    print(peak)
