"""Writing the figures of docs/writing.md between its markers, and the picture of the curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.layers.machine import describe
from benchmarks.writing.curves import NETWORKS
from nabi.files import write_atomically
from nabi.targets.picture import write_figure

__all__ = ["BEGIN", "END", "PAGE", "generated", "write"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "writing.md"
PICTURE = "writing-curves.svg"
BEGIN = "<!-- writing: written by python -m benchmarks.writing -->"
END = "<!-- writing: end -->"
COLOURS = dict(zip(NETWORKS, ("#3b6ea5", "#3a8f5c", "#e08214"), strict=True))
MARKS = 60, 180, 300, 600  # seconds of training at which the table has the losses

Results = Mapping[str, Any]


def write(results: Results) -> list[Path]:
    """Write the page and the picture from existing results, and return their paths.

    Raises:
        SystemExit: if there are no results, or the page lacks the markers.
    """
    if not results:
        raise SystemExit("nothing was written, because there are no results yet")
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the figures")
    written = [PAGE]
    if any(name in results for name in NETWORKS):
        written.append(PAGE.parent / "pictures" / PICTURE)
        draw(results, written[-1])
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(results)}\n\n{END}{after}")
    return written


def generated(results: Results) -> str:
    """Return the text between the markers."""
    found = describe()
    parts = [f"{found['processor']}, torch {found['torch']}; one thread unless stated otherwise."]
    if "shakespeare" in results:
        parts += shakespeare(results["shakespeare"])
    if any(name in results for name in NETWORKS):
        parts += curves(results)
    if "speed" in results:
        parts += speed(results["speed"])
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table with a text column followed by number columns."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def shakespeare(result: Mapping[str, Any]) -> list[str]:
    figures = result["figures"]
    losses = figures["history"]["val_loss"]
    best = losses.index(min(losses)) + 1
    head = ("`nabi run shakespeare`", "nats per character", "perplexity")
    rows = [
        (f"{part}, 5 %", f"{figures[part]:.4f}", f"{2.718281828 ** figures[part]:.3f}")
        for part in ("validation", "test")
    ]
    return [
        "### Shakespeare",
        "The text is split in order: 90 % for training, 5 % for validation after every epoch, 5 % for "
        "testing, evaluated once at the end.",
        table(head, rows),
        f"An LSTM with 512 units, {figures['parameters']:,} weights, seed {result['seed']}. Training took "
        f"{figures['training_seconds'] / 60:.1f} minutes for {len(losses)} epochs; the weights of epoch "
        f"{best} are the best on validation.",
        f"The beginning of its text after `{figures['sample'].splitlines()[0]}`:",
        f"```text\n{figures['sample'].rstrip()}\n```",
    ]


def curves(results: Results) -> list[str]:
    there = [name for name in NETWORKS if name in results]
    head = [
        "nats per character on validation after",
        *(f"{mark // 60} min" for mark in MARKS),
        "weights",
        "epochs",
    ]
    rows = []
    for name in there:
        points = results[name]["points"]
        row: list[object] = [name]
        for mark in MARKS:
            reached = [point["validation"] for point in points if point["processor_seconds"] <= mark * 1.02]
            row.append(f"{min(reached):.3f}" if reached else "-")
        rows.append([*row, f"{results[name]['parameters']:,}", len(points)])
    return [
        "### The first ten minutes",
        "Three networks of similar size, trained with the recipe's settings and the same training loop. Time "
        "is CPU time in training, without validation. The PyTorch LSTM has no dropout of recurrent weights, "
        "because `nn.LSTM` does not support it.",
        table(head, rows),
        f"![Validation loss over training time](pictures/{PICTURE})",
    ]


def speed(result: Mapping[str, Any]) -> list[str]:
    head = ("characters per second", "nabi", "PyTorch loop", "ratio", "memory growth")
    rows = [
        (
            f"LSTM({row['units']}) × {row['layers']}",
            f"{row['nabi']:,.0f}",
            f"{row['torch']:,.0f}",
            f"{row['ratio']:.1f}",
            f"{row['grown_kib']:,} KiB",
        )
        for row in result["rows"]
    ]
    return [
        "### Generation speed",
        f"{result['characters']:,} characters each, one at a time, compared with a loop over "
        "`torch.nn.LSTM`; the two take turns of 500 characters. Values are medians. Memory is how much the "
        "peak memory of the process grew after the first 500 characters.",
        table(head, rows),
    ]


def draw(results: Results, path: Path) -> None:
    """Draw the validation losses over training time."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, colour in COLOURS.items():
        if name in results:
            points = results[name]["points"]
            minutes = [point["processor_seconds"] / 60 for point in points]
            axes.plot(
                minutes,
                [point["validation"] for point in points],
                "o-",
                color=colour,
                markersize=4,
                label=name,
            )
    axes.set(xlabel="minutes of training on one processor", ylabel="nats per character on validation")
    axes.axhline(1.5, color="#888888", linewidth=1, linestyle=":")
    axes.set_xlim(0, 10.5)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    write_figure(figure, path, title="Validation loss over training time")
