"""How fast ONNX Runtime is on nabi's files, beside nabi itself and beside torch's own export.

Each network is one recurrent layer. torch's file is written by its exporter of traces (`dynamo=False`) from
the same weights, for the cells that torch has. All run on one thread, one after the other in every round;
the figures are medians. `--update` writes the table into `docs/interchange.md`.

    python benchmarks/onnx_speed.py --update
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from nabi import cells, nn
from nabi.interchange import write_onnx
from nabi.ir import Cell
from nabi.ir.functions import sigmoid, tanh

PAGE = Path(__file__).resolve().parents[1] / "docs" / "interchange.md"
BEGIN, END = "<!-- onnx speed begin -->", "<!-- onnx speed end -->"
TIME = 100
SIZES = ((1, 32), (1, 128), (32, 128))


class MinimalGatedUnit(Cell):
    """A cell that is no operator of ONNX: two gates' worth of weights (Zhou et al. 2016)."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))


class FirstOutput(torch.nn.Module):
    """torch's exporter takes a module with one output and no options."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x)[0]
        return found


def networks(units: int) -> dict[str, tuple[Any, torch.nn.Module | None]]:
    """Return for each name a module of nabi and the same of torch, if it has it."""
    found: dict[str, tuple[Any, torch.nn.Module | None]] = {}
    for name, own, other in (("LSTM", nn.LSTM, torch.nn.LSTM), ("GRU", nn.GRU, torch.nn.GRU)):
        theirs = other(units, units, batch_first=True)
        ours = own(units, units, batch_first=True)
        ours.load_state_dict(theirs.state_dict())
        found[name] = (ours, theirs)
    for cell in (
        cells.PeepholeLSTM(units),
        cells.CoupledLSTM(units),
        cells.LayerNormLSTM(units),
        MinimalGatedUnit(units),
    ):
        found[type(cell).__name__] = (nn.RNN(cell, units), None)
    return found


def opened(path: Path) -> onnxruntime.InferenceSession:
    """Open a file for one thread."""
    setting = onnxruntime.SessionOptions()
    setting.intra_op_num_threads = setting.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), setting)


def runners(ours: Any, theirs: Any, x: torch.Tensor, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what is measured; the results of all are the same."""
    write_onnx(ours, folder / "nabi.onnx")
    session = opened(folder / "nabi.onnx")
    feeds = {"input": x.numpy()}

    def nabi_itself() -> Any:
        with torch.inference_mode():
            return ours(x)[0].numpy()

    found: dict[str, Callable[[], Any]] = {
        "nabi": nabi_itself,
        "nabi's file": lambda: session.run(["output"], feeds)[0],
    }
    if theirs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                FirstOutput(theirs).eval(), (x,), str(folder / "torch.onnx"), dynamo=False, opset_version=17,
                input_names=["input"], dynamic_axes={"input": {0: "batch", 1: "time"}},
            )  # fmt: skip
        other = opened(folder / "torch.onnx")
        found["torch's file"] = lambda: other.run(None, feeds)[0]
    wanted = nabi_itself()
    for name, run in found.items():
        difference = np.abs(run() - wanted).max()
        # Layer normalization enlarges roundings of the first, small sums, for nabi as for ONNX Runtime.
        assert difference < 1e-2, (name, difference)
    return found


def measure(found: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median time of each in milliseconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, run in found.items():
            begin = time.process_time()
            for _ in range(5):
                run()
            times[name].append((time.process_time() - begin) / 5)
    return {name: statistics.median(one) * 1e3 for name, one in times.items()}


def main() -> None:
    """Measure, print the table, and write it into the page if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--update", action="store_true", help="write the table into docs/interchange.md")
    said = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lines = [
        "| layer | rows | units | nabi, ms | ONNX Runtime on nabi's file | ONNX Runtime on torch's file |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for batch, units in SIZES:
            x = torch.randn(batch, TIME, units)
            for name, (ours, theirs) in networks(units).items():
                figures = measure(runners(ours.eval(), theirs, x, Path(folder)), said.rounds)
                shown = [
                    f"{figures[one]:.2f}" if one in figures else ""
                    for one in ("nabi", "nabi's file", "torch's file")
                ]
                lines.append(f"| {name} | {batch} | {units} | {' | '.join(shown)} |")
                print(lines[-1], flush=True)
    if said.update:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
