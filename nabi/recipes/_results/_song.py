"""Results of the networks of the song: counted, written and shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from nabi.data import NABIYA, write_midi
from nabi.recipes._results._pictures import piano_rolls
from nabi.recipes._run._run_folder import RunFolder

__all__ = ["Performance", "Sung", "show", "write"]

GIVEN = 4
_LINES = (13, 14, 14, 13)  # notes in the lines of the song


@dataclass(frozen=True)
class Sung:
    """The song as predicted by a network with certain weights: 54 notes each, the first four given."""

    one_step: Sequence[str]
    """Each note predicted from the true four before it."""
    full_song: Sequence[str]
    """Each note predicted from the network's own four before it."""

    @property
    def one_step_right(self) -> int:
        """Of 50 predicted notes."""
        return sum(map(str.__eq__, self.one_step[GIVEN:], NABIYA[GIVEN:]))

    @property
    def full_song_right(self) -> int:
        """Of 54 notes, including the four given ones."""
        return sum(map(str.__eq__, self.full_song, NABIYA))


@dataclass(frozen=True)
class Performance:
    """The results of a network with the weights of its best and of its last epoch."""

    network: str
    best_epoch: int
    best_loss: float | None
    best: Sung
    last: Sung
    microseconds_per_step: float

    def figures(self) -> dict[str, Any]:
        """Return the figures for `result.json`, under the network's name."""
        figures = {
            "one_step": self.best.one_step_right,
            "full_song": self.best.full_song_right,
            "best_epoch": self.best_epoch,
            "best_loss": None if self.best_loss is None else float(f"{self.best_loss:.3g}"),
            "last_epoch.one_step": self.last.one_step_right,
            "last_epoch.full_song": self.last.full_song_right,
            "microseconds_per_step": round(self.microseconds_per_step, 1),
        }
        return {f"{self.network.lower()}.{name}": figure for name, figure in figures.items()}


def write(folder: RunFolder, performances: Sequence[Performance]) -> None:
    """Write the original and each prediction as text and MIDI, and all of them in one picture."""
    predictions: dict[str, Sequence[str]] = {}
    _write_notes(folder, "original", NABIYA)
    for performance in performances:
        network, best = performance.network, performance.best
        _write_notes(folder, f"{network.lower()}_one_step", best.one_step)
        _write_notes(folder, f"{network.lower()}_full_song", best.full_song)
        title = f"{network}, each note from the true four before it: {best.one_step_right} of 50 right"
        predictions[title] = best.one_step
        title = f"{network}, the whole song from its first four notes: {best.full_song_right} of 54 right"
        predictions[title] = best.full_song
    folder.write_picture("song.png", piano_rolls(NABIYA, predictions, GIVEN))


def _write_notes(folder: RunFolder, name: str, notes: Sequence[str]) -> None:
    lines, start = [], 0
    for length in _LINES:
        lines.append(" ".join(notes[start : start + length]))
        start += length
    folder.write_text(f"{name}.txt", "\n".join(lines) + "\n")
    write_midi(folder / f"{name}.mid", notes, title=name.replace("_", " "))


def show(console: Console, performances: Sequence[Performance]) -> None:
    """Print a short table of the correct notes and the training speed."""
    table = Table("network", "weights of", "next notes", "whole song", "per training step", title="나비야")
    for performance in performances:
        best_epoch = f"epoch {performance.best_epoch}, the best"
        epochs = ((best_epoch, performance.best), ("the last epoch", performance.last))
        for row, (epoch, sung) in enumerate(epochs):
            table.add_row(
                "" if row else performance.network,
                epoch,
                _of(sung.one_step_right, len(NABIYA) - GIVEN),
                _of(sung.full_song_right, len(NABIYA)),
                "" if row else f"{performance.microseconds_per_step:.0f} µs",
                end_section=bool(row),
            )
    console.print(table)


def _of(right: int, notes: int) -> str:
    colour = "green" if right == notes else "red"
    return f"[{colour}]{right} of {notes}[/{colour}]"
