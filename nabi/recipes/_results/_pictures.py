"""The pictures of the recipes, drawn with matplotlib (figures are only written to files, never shown)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

__all__ = ["letters_picture", "numbers_picture", "piano_rolls"]

_RIGHT, _WRONG, _GIVEN, _EXPECTED = "#3b6ea5", "#d62728", "#9aa5b1", "#444444"
_PITCHES = "cdefgab"
_WIDTHS = {"4": 0.92, "8": 0.5}  # a crotchet fills its slot, a quaver about half of it


def piano_rolls(original: Sequence[str], predictions: Mapping[str, Sequence[str]], given: int) -> Figure:
    """Draw the original above each prediction, with notes of the same position aligned.

    Wrong notes are red and labelled, with the outline of the right note above or below. The first `given`
    notes of a prediction are grey: they were not predicted. `predictions` maps panel titles to notes.
    """
    figure = Figure(figsize=(16, 2.0 * (len(predictions) + 1) + 0.9), layout="constrained")
    axes = figure.subplots(len(predictions) + 1, sharex=True)
    for panel, (title, notes) in zip(axes, {"Original": original, **predictions}.items(), strict=True):
        faultless = True
        for place, (note, expected) in enumerate(zip(notes, original, strict=True)):
            if note != expected:
                faultless = False
                _draw_note(panel, place, expected, edgecolor=_EXPECTED, facecolor="none", linestyle=":")
                _draw_note(panel, place, note, facecolor=_WRONG)
                above = _PITCHES.index(note[0]) + 0.5
                centre = place + 0.04 + _WIDTHS[note[1]] / 2
                label = panel.text(centre, above, note, color=_WRONG, fontsize=9)
                label.set(horizontalalignment="center", verticalalignment="bottom")
                label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4})
            else:
                predicted = panel is axes[0] or place >= given
                _draw_note(panel, place, note, facecolor=_RIGHT if predicted else _GIVEN)
        panel.set_title(title, loc="left", fontsize=11, color="black" if faultless else _WRONG)
        _name_pitches(panel)
    axes[-1].set_xlim(0, len(original))
    axes[-1].set_xticks([place + 0.5 for place in range(len(original))], original, fontsize=8, rotation=90)
    axes[-1].set_xlabel("the notes of the original")
    figure.legend(
        handles=[
            Patch(facecolor=_RIGHT, label="right"),
            Patch(facecolor=_WRONG, label="wrong"),
            Patch(facecolor="none", edgecolor=_EXPECTED, linestyle=":", label="what would be right"),
            Patch(facecolor=_GIVEN, label=f"given (the first {given})"),
            Line2D([], [], color="#888888", linewidth=7, label="wide: crotchet (4)"),
            Line2D([], [], color="#888888", linewidth=3, label="narrow: quaver (8)"),
        ],
        loc="outside upper right",
        ncols=6,
        frameon=False,
    )
    return figure


def _draw_note(panel: Axes, place: int, note: str, **look: str) -> None:
    corner = (place + 0.04, _PITCHES.index(note[0]) - 0.4)
    panel.add_patch(Rectangle(corner, _WIDTHS[note[1]], 0.8, **look))  # type: ignore[arg-type]


def _name_pitches(panel: Axes) -> None:
    panel.set_yticks(range(len(_PITCHES)), list(_PITCHES))
    panel.set_ylim(-0.7, len(_PITCHES) + 0.2)
    panel.set_axisbelow(True)
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def numbers_picture(
    targets: npt.NDArray[np.float32], predictions: Mapping[int, npt.NDArray[np.float32]], seen: int
) -> Figure:
    """Draw targets against predictions after each number of epochs; the first `seen` are training data."""
    figure = Figure(figsize=(6.2, 5.6), layout="constrained")
    panel = figure.subplots()
    low, high = float(targets.min()) - 0.1, float(targets.max()) + 0.1
    panel.plot([low, high], [low, high], color="#bbbbbb", linewidth=1, zorder=0, label="perfect")
    for (epochs, predicted), colour, size in zip(
        predictions.items(), ("#e08214", _RIGHT)[-len(predictions) :], (70, 30), strict=False
    ):
        for marker, part, kind in (("o", slice(seen), "the six windows"), ("^", slice(seen, None), "unseen")):
            panel.scatter(
                targets[part],
                predicted[part],
                s=size,
                marker=marker,
                color=colour,
                label=f"{kind}, {epochs} epochs",
            )
    panel.set(xlabel="target: the next number", ylabel="prediction", xlim=(low, high), ylim=(low, high))
    panel.set_title("The next number after four, predicted by a SimpleRNN", loc="left", fontsize=11)
    panel.set_aspect("equal")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def letters_picture(
    inputs: str, targets: str, alphabet: str, probabilities: npt.NDArray[np.float32]
) -> Figure:
    """Draw the probability of each letter `[T, letters]` after each input; the correct letter is framed."""
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(probabilities.T, cmap="Blues", vmin=0, vmax=1)
    for step, row in enumerate(probabilities):
        for letter, probability in enumerate(row):
            colour = "white" if probability > 0.5 else "black"
            panel.text(step, letter, f"{probability:.2f}", ha="center", va="center", color=colour)
        frame = (step - 0.5, alphabet.index(targets[step]) - 0.5)
        panel.add_patch(Rectangle(frame, 1, 1, fill=False, edgecolor="#e08214", linewidth=3, clip_on=False))
    steps = [f"{given}\n→ {target}" for given, target in zip(inputs, targets, strict=True)]
    panel.set_xticks(range(len(inputs)), steps)
    panel.set_yticks(range(len(alphabet)), list(alphabet))
    panel.set(xlabel="letter in, and the letter that follows (framed)", ylabel="letter out")
    panel.set_title(f"What follows in '{inputs[0]}{targets}'", loc="left", fontsize=11)
    figure.colorbar(image, label="probability", shrink=0.8)
    return figure
