"""The picture of docs/reading-text.md: learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.text.experiments import EXPERIMENTS
from nabi.targets.picture import write_figure

__all__ = ["draw"]

COLOURS = ("#3b6ea5", "#e08214", "#3a8f5c", "#8c5fa8")


def draw(results: Mapping[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """Draw the accuracy over the epochs: a panel for each data set, a line for each run.

    Dashed lines are for the training part, solid ones for the validation part; a dot marks the epoch used.
    """
    aimed = [
        experiment
        for experiment in EXPERIMENTS
        if experiment.aim is not None and results.get(experiment.name)
    ]
    panels = list(dict.fromkeys(experiment.data for experiment in aimed))
    columns = min(len(panels), 2)
    rows = -(-len(panels) // max(columns, 1))
    figure = Figure(figsize=(5.2 * max(columns, 1), 3.9 * max(rows, 1)), layout="constrained")
    axes = figure.subplots(max(rows, 1), max(columns, 1), squeeze=False).ravel()
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    for panel, data in zip(axes, panels, strict=False):
        networks = [experiment for experiment in aimed if experiment.data == data]
        for experiment, colour in zip(networks, COLOURS, strict=False):
            for number, result in enumerate(results[experiment.name]):
                figures = result["figures"]
                label = experiment.network if number == 0 else None
                epochs = range(1, len(figures["history"]["val_accuracy"]) + 1)
                panel.plot(
                    epochs, figures["history"]["accuracy"], "--", color=colour, linewidth=0.9, alpha=0.6
                )
                panel.plot(
                    epochs, figures["history"]["val_accuracy"], color=colour, linewidth=1.8, label=label
                )
                panel.plot(
                    figures["best_epoch"], figures["validation_accuracy"], "o", color=colour, markersize=5
                )
        panel.set_title(data, loc="left", fontsize=11)
        panel.set(xlabel="epoch", ylabel="accuracy")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(color="#e4e4e4", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="lower right")
    figure.suptitle("dashed: training; full: validation; dot: the weights used", fontsize=10)
    write_figure(figure, path, title="Accuracy on the validation part over the epochs")
