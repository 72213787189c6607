"""Measure the cost of static and dynamic unrolling by number of time steps.

    python benchmarks/unrolling.py

Writes docs/pictures/unrolling-memory.svg and the table in docs/unrolling.md. Takes about half a minute.
"""

import argparse
import platform
from pathlib import Path

import torch

from nabi.explain import Unrolling, unrolling_memory, unrolling_picture
from nabi.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "unrolling.md"
PICTURE = ROOT / "docs" / "pictures" / "unrolling-memory.svg"
BEGIN = "<!-- unrolling: written by benchmarks/unrolling.py -->"
END = "<!-- unrolling: end -->"
SIZES = {"units": 128, "inputs": 32, "batch": 32}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 30, 100, 300, 1000], help="lengths T")
    arguments = parser.parse_args()
    measured = unrolling_memory(arguments.steps, **SIZES)
    unrolling_picture(
        measured, PICTURE, title="A training step of an LSTM, unrolled statically and dynamically"
    )
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the table")
    with write_atomically(PAGE, "w") as file:
        file.write(before + BEGIN + "\n\n" + table(measured) + "\n\n" + END + after)
    print(table(measured))
    print(f"\nThe picture is {PICTURE.relative_to(ROOT)}, the table is in {PAGE.relative_to(ROOT)}")


def table(measured: list[Unrolling]) -> str:
    by_kind = {kind: {m.steps: m for m in measured if m.kind == kind} for kind in ("static", "dynamic")}
    head = ["T", "graph, static", "graph, dynamic", "peak, static", "peak, dynamic"]
    head += ["time, static", "time, dynamic"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for steps, static in by_kind["static"].items():
        dynamic = by_kind["dynamic"][steps]
        row = [f"{steps:,}"]
        row += [f"{each.graph_nodes:,} nodes" for each in (static, dynamic)]
        row += [f"{each.peak_bytes / 2**20:.1f} MiB" for each in (static, dynamic)]
        row += [f"{each.seconds * 1e3:.1f} ms" for each in (static, dynamic)]
        lines.append("| " + " | ".join(row) + " |")
    sizes = ", ".join(f"{number} {name}" for name, number in SIZES.items())
    version = torch.__version__.partition("+")[0]
    lines += ["", f"LSTM, {sizes.replace('batch', 'sequences')}, float32; torch {version}, "]
    lines[-1] += f"{platform.system()} on {platform.machine()}, one thread."
    return "\n".join(lines)


if __name__ == "__main__":
    main()
