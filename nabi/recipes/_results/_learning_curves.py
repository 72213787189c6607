"""Learning curves, drawn with matplotlib."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

__all__ = ["learning_curves"]

_TRAINING, _VALIDATION, _BEST = "#9aa5b1", "#3b6ea5", "#e08214"


def learning_curves(history: Mapping[str, Sequence[float]], best: int | None, title: str) -> Figure:
    """Draw each metric of `fit(...).history` over the epochs, training and validation in one panel.

    `best`, counted from 0, is the epoch whose weights are used; None to mark none.
    """
    names = [name for name in history if not name.startswith("val_")]
    figure = Figure(figsize=(max(5.0 * len(names), 6.0), 4.2), layout="constrained")
    for panel, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        for key, colour, label in (
            (name, _TRAINING, "training"),
            (f"val_{name}", _VALIDATION, "validation"),
        ):
            if key in history:
                values = history[key]
                epochs = range(1, len(values) + 1)
                panel.plot(epochs, values, marker="o", markersize=4, color=colour, linewidth=2, label=label)
        if best is not None:
            panel.axvline(best + 1, color=_BEST, linewidth=1.2, linestyle="--", label="weights used")
        panel.set(xlabel="epoch", ylabel=name)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(color="#e4e4e4", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_title(title if panel is figure.axes[0] else "", loc="left", fontsize=11)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
    return figure
