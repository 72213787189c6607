"""The cost of static and dynamic unrolling by number of time steps."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import _checks, cells
from nabi._public import public
from nabi.drawing import check_suffix, write_figure
from nabi.errors import ArgumentError
from nabi.explain._peak_memory import fill_memory, peak_memory
from nabi.scan import scan, static_scan

__all__ = ["Unrolling", "unrolling_memory", "unrolling_picture"]

KINDS = ("static", "dynamic")
_COLOURS = {"static": "#c1440e", "dynamic": "#1f5fa8"}


@dataclass(frozen=True)
class Unrolling:
    """One measurement: a training step (forward and backward) of a cell over `steps` time steps.

    Attributes:
        kind: `static` (one copy of the step per time step) or `dynamic` (one operator over time).
        steps: number of time steps T.
        graph_nodes: nodes of the loss's autograd graph.
        peak_bytes: growth of the process's peak memory during the training step.
        seconds: time of the training step, the best of three.
    """

    kind: str
    steps: int
    graph_nodes: int
    peak_bytes: int
    seconds: float


@public
def unrolling_memory(
    lengths: Sequence[int] = (10, 30, 100, 300, 1000),
    *,
    cell: str = "lstm",
    units: int = 128,
    inputs: int = 32,
    batch: int = 32,
) -> list[Unrolling]:
    """Measure memory, graph and time of static and dynamic unrolling against the number of time steps.

    Every measurement runs in its own process, since peak memory never falls. The process first imports
    everything and trains one short step of each kind, so that only the training step is measured. Times are
    of one step on one thread.

    Args:
        lengths: numbers of time steps, each positive.
        cell: a name from `nabi.cells.names()`.
        units, inputs, batch: sizes, float32.

    Returns:
        A measurement for each kind and length, static ones first.

    Raises:
        ArgumentError: a length is not a positive integer.
        UnknownNameError: `cell` is not the name of a cell.
    """
    cells.get(cell)
    lengths = [_checks.whole("lengths", length) for length in lengths]
    units, inputs = _checks.whole("units", units), _checks.whole("inputs", inputs)
    batch = _checks.whole("batch", batch)
    found = []
    for kind in KINDS:
        for steps in lengths:
            task = {
                "kind": kind,
                "steps": steps,
                "cell": cell,
                "units": units,
                "inputs": inputs,
                "batch": batch,
            }
            code = "from nabi.explain import _unrolling; _unrolling.main()"
            command = [sys.executable, "-c", code, json.dumps(task)]
            path = os.pathsep.join(filter(None, sys.path))
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if run.returncode:
                raise RuntimeError(f"measuring {kind} unrolling over {steps} steps failed:\n{run.stderr}")
            found.append(Unrolling(**json.loads(run.stdout.splitlines()[-1])))
    return found


def main() -> None:
    """Take one measurement, described by the first argument of the process, and print it."""
    import time

    task: dict[str, Any] = json.loads(sys.argv[1])
    torch.manual_seed(0)
    cell = cells.get(task["cell"])(task["units"])
    program = cell.program(task["inputs"])
    weights = [torch.randn(family.shape).mul_(0.05).requires_grad_() for family in program.families]

    def loss(kind: str, x: Tensor) -> Tensor:
        if kind == "dynamic":
            return scan(program, x, None, weights)[0].square().mean()
        return torch.stack(static_scan(program, list(x.unbind(1)), None, weights)[0], 1).square().mean()

    for kind in KINDS:
        # With the measured batch size, so that compilation does not count as memory of the step.
        loss(kind, torch.randn(task["batch"], 2, task["inputs"])).backward()
    x = torch.randn(task["batch"], task["steps"], task["inputs"])
    ballast = fill_memory()
    before = peak_memory()
    result = loss(task["kind"], x)
    nodes = _count_nodes(result)
    result.backward()
    peak = peak_memory() - before
    del result, ballast
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        loss(task["kind"], x).backward()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(asdict(Unrolling(task["kind"], task["steps"], nodes, peak, min(seconds)))))


def _count_nodes(result: Tensor) -> int:
    seen: set[Any] = set()
    waiting: list[Any] = [result.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return len(seen)


@public
def unrolling_picture(
    measured: Sequence[Unrolling], path: str | os.PathLike[str], *, title: str = ""
) -> Path:
    """Draw nodes of the graph and peak memory against the number of time steps.

    Args:
        measured: the result of `unrolling_memory`.
        path: the file to write, .svg or .png.
        title: above the picture.

    Returns:
        The path.

    Raises:
        ArgumentError: nothing was measured, or another suffix.
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    if not measured:
        raise ArgumentError("measured: expected at least one measurement, got none")
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    graph, memory = figure.subplots(1, 2)
    for kind in KINDS:
        own = sorted((each for each in measured if each.kind == kind), key=lambda each: each.steps)
        steps = [each.steps for each in own]
        style = {"color": _COLOURS[kind], "marker": "o", "linewidth": 2, "markersize": 5, "label": kind}
        graph.loglog(steps, [each.graph_nodes for each in own], **style)
        memory.plot(steps, [each.peak_bytes / 2**20 for each in own], **style)
    graph.set_title("nodes of the autograd graph", loc="left", fontsize=11)
    memory.set_title("peak memory of a training step, MiB", loc="left", fontsize=11)
    for axes in (graph, memory):
        axes.set_xlabel("time steps $T$")
        axes.grid(color="#e4e4e4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    if title:
        figure.suptitle(title, fontsize=13)
    return write_figure(figure, path, title=title)
