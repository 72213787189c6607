"""`nabi bench`: the speed of a cell on this machine, compared with torch."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._figures import give_figures
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._terminal import make_console
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from torch import Tensor

    from nabi.ir import Cell, Program

__all__ = ["bench"]

Run = Callable[[], "tuple[Tensor, ...]"]


class Precision(StrEnum):
    """Data type of all numbers."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


@dataclass(frozen=True)
class _Pair:
    """nabi and torch with the same weights and input: functions that compute the output."""

    nabi: "Callable[[Tensor], Tensor]"
    torch: "Callable[[Tensor], Tensor]"
    peer: str
    """Name of torch's side."""
    weights: "tuple[Sequence[Tensor], Sequence[Tensor]]"
    """Weights of nabi and of torch."""


@with_files(reads={}, writes={"--out": "out"})
def bench(
    cell: Annotated[
        str,
        typer.Argument(help="A name from `nabi list`, or FILE.py:Class for a custom cell.", metavar="CELL"),
    ] = "lstm",
    shape: Annotated[
        str, typer.Option(help="Sequences, steps, inputs, units.", metavar="B,T,D,H")
    ] = "32,50,128,256",
    dtype: Annotated[Precision, typer.Option(help="Data type of all numbers.")] = Precision.FLOAT32,
    threads: Annotated[
        int | None, typer.Option(help="Threads of both; torch's default if omitted.", min=1)
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of measurement.", min=1)] = 9,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Another argument of the cell: full=true, activation=relu.", metavar="NAME=VALUE"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the figures.", metavar="FILE.json")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure a cell on this machine: nabi and torch alternate on the same work.

    nabi is compared with torch.nn's module if torch has the cell, otherwise with a loop of torch operations
    over the steps. Random masks (dropout, zoneout) are replaced by their mean in both.
    """
    import torch

    from nabi.cli._cell import find_cell, trace

    batch, steps, inputs, units = _sizes(shape)
    found = find_cell(cell, units, settings or (), inputs)
    program = trace(found, inputs)
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        number_type = getattr(torch, dtype.value)
        pair = _torch_pair(found, inputs, number_type) or _loop_pair(found, program, inputs, number_type)
        x = torch.randn(batch, steps, inputs, dtype=number_type)
        rows = [_measure(kind, pair, x, rounds) for kind in ("inference", "training")]
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    operations = (
        2 * batch * steps * sum(prod(each.shape) for each in program.families if len(each.shape) == 2)
    )
    title = f"{cell}, [{batch}, {steps}, {inputs}] to {units} units, {dtype.value}, "
    title += f"{used} thread{'s' if used > 1 else ''}"
    figures = _as_figures(pair.peer, rows, operations)
    content = {
        "cell": cell,
        "shape": [batch, steps, inputs, units],
        "dtype": dtype.value,
        "threads": used,
        "measured": figures,
    }
    give_figures("bench", content, out, as_json, lambda: _show(title, figures))


def _sizes(shape: str) -> list[int]:
    parts = shape.replace(" ", "").split(",")
    if len(parts) != 4 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentError(
            f"--shape: expected four positive numbers B,T,D,H such as 32,50,128,256, got {shape!r}"
        )
    return [int(part) for part in parts]


def _torch_pair(cell: "Cell", inputs: int, dtype: Any) -> _Pair | None:
    """Return the drop-in and torch.nn's module; None if torch does not have the cell."""
    import torch

    from nabi import cells, nn

    kinds: dict[Any, tuple[Any, Any]] = {
        cells.SimpleRNN: (nn.ElmanRNN, torch.nn.RNN),
        cells.LSTM: (nn.LSTM, torch.nn.LSTM),
        cells.GRU: (nn.GRU, torch.nn.GRU),
    }
    kind = type(cell)
    if kind not in kinds or cell != kind(cell.units):
        return None
    own, peer = (made(inputs, cell.units, batch_first=True, dtype=dtype) for made in kinds[kind])
    peer.load_state_dict(own.state_dict())
    return _Pair(
        lambda x: own(x)[0],
        lambda x: peer(x)[0],
        f"torch.nn.{type(peer).__name__}",
        (list(own.parameters()), list(peer.parameters())),
    )


def _loop_pair(cell: "Cell", program: "Program", inputs: int, dtype: Any) -> _Pair:
    import torch

    from nabi import nn, scan

    module = nn.RNN(cell, inputs, dtype=dtype).eval()
    [(_, weights)] = nn.runs_of(module)  # with those that are not trained

    def loop(x: "Tensor") -> "Tensor":
        steps = list(x.unbind(1))
        return torch.stack(scan.static_scan(program, steps, None, weights, extra=_further(program, x))[0], 1)

    learned = [weight for weight in weights if weight.requires_grad]
    return _Pair(lambda x: module(x, **_further(program, x))[0], loop, "a loop in torch", (learned, learned))


def _further(program: "Program", x: "Tensor") -> "dict[str, Tensor]":
    """Return ones for what the cell needs beside `x`."""
    found = {}
    for given in program.inputs[1:]:
        if given.default is None and given.name != "position":
            lead = x.shape[:1] if given.per_sequence else x.shape[:2]
            found[given.name] = x.new_ones((*lead, given.width or 1))
    return found


@dataclass(frozen=True)
class _Row:
    kind: str
    own: list[float]
    peer: list[float]  # seconds of each round

    @property
    def ratios(self) -> list[float]:
        return sorted(theirs / ours for ours, theirs in zip(self.own, self.peer, strict=True))


def _measure(kind: str, pair: _Pair, x: "Tensor", rounds: int) -> _Row:
    import torch

    from nabi.errors import NabiError

    cotangent = torch.randn_like(pair.nabi(x))
    own = _runner(pair.nabi, x, pair.weights[0], cotangent, kind)
    peer = _runner(pair.torch, x, pair.weights[1], cotangent, kind)
    for ours, theirs in zip(own(), peer(), strict=True):
        error = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30))
        if not error < 1e-3:
            raise NabiError(f"nabi and {pair.peer} differ by {error:.1g} in {kind}; please report it")
    row = _Row(kind, [], [])
    for _ in range(rounds):
        row.own.append(_turn(own))
        row.peer.append(_turn(peer))
    return row


def _runner(
    layer: "Callable[[Tensor], Tensor]",
    x: "Tensor",
    weights: "Sequence[Tensor]",
    cotangent: "Tensor",
    kind: str,
) -> Run:
    import torch

    if kind == "inference":

        def infer() -> "tuple[Tensor, ...]":
            with torch.inference_mode():
                return (layer(x),)

        return infer
    x = x.clone().requires_grad_()

    def train() -> "tuple[Tensor, ...]":
        output = layer(x)
        return (output.detach(), *torch.autograd.grad(output, (x, *weights), cotangent))

    return train


def _turn(run: Run, seconds: float = 0.04) -> float:
    """Run once to warm up, then at least twice and for about `seconds`; return the median in seconds."""
    times = [_call(run)]
    calls = min(max(2, round(seconds / max(times[0], 1e-6))), 1000)
    return statistics.median(_call(run) for _ in range(calls))


def _call(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _as_figures(peer: str, rows: list[_Row], operations: int) -> list[dict[str, Any]]:
    """Return what was measured: a line for each way of running, with seconds and operations in a second."""
    found = []
    for row in rows:
        # The backward pass has twice as many products: for input and state gradients, and for weights.
        work, ratios = operations * (3 if row.kind == "training" else 1), row.ratios
        own, other = statistics.median(row.own), statistics.median(row.peer)
        found.append(
            {
                "kind": row.kind,
                "seconds": own,
                "operations_per_second": work / own,
                "peer": peer,
                "peer_seconds": other,
                "peer_operations_per_second": work / other,
                "times_faster": statistics.median(ratios),
                "times_faster_range": [ratios[0], ratios[-1]],
            }
        )
    return found


def _show(title: str, figures: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=title)
    for _ in range(2):
        table.add_column(overflow="fold")
    for head in ("ms", "GFLOP/s", "times faster"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in figures:
        low, high = one["times_faster_range"]
        times = f"{one['times_faster']:.2f} ({low:.2f} to {high:.2f})"
        for who, before, note in (("nabi", "", times), (one["peer"], "peer_", "")):
            seconds, speed = one[f"{before}seconds"], one[f"{before}operations_per_second"]
            table.add_row(one["kind"], who, f"{seconds * 1e3:.3g}", f"{speed / 1e9:.3g}", note)
    make_console().print(table)
