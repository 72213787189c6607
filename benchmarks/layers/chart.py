"""The chart: the time of every peer relative to nabi's, at every point."""

from pathlib import Path
from typing import Any

from benchmarks.layers.points import CELLS, KINDS, PEERS, SHAPES, Point

__all__ = ["draw"]

MARKERS = {
    "torch": ("o", "#c1440e"),
    "torch-tuned": ("D", "#e39a3b"),
    "jax": ("s", "#1f5fa8"),
    "keras-jax": ("^", "#4a9d6f"),
    "keras-tensorflow": ("v", "#8a5fa8"),
    "onnx": ("X", "#555555"),
    "jax-ynnpack": ("P", "#7fa8d6"),
}
TITLES = {"simple-rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


def draw(entries: dict[str, Any], path: Path) -> None:
    """Draw a panel for inference and one for training; each row is a point, nabi is the line at 1."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    from nabi.targets.picture import write_figure

    figure = Figure(figsize=(10.5, 8.0), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    rows = [(cell, shape) for cell in CELLS for shape in SHAPES]
    for axes, kind in zip(panels, KINDS, strict=True):
        for row, (cell, shape) in enumerate(rows):
            for peer, figures in entries[Point(cell, shape, kind).name]["peers"].items():
                marker, colour = MARKERS[peer]
                label = PEERS[peer] if row == 0 else None
                axes.plot(figures["ratio"], row, marker, color=colour, label=label, markersize=5.5, alpha=0.9)
        axes.axvline(1, color="black", linewidth=1.2)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{tick:g}" for tick in ticks])
        axes.set_title(kind, loc="left", fontsize=11)
        axes.set_xlabel("time, nabi = 1")
        axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)))
    panels[0].set_yticklabels(
        [f"{TITLES[cell]} {', '.join(map(str, shape))}" for cell, shape in rows], fontsize=8
    )
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    title = "Time of recurrent layers to nabi's: right of the line nabi is faster"
    write_figure(figure, path, title=title)
