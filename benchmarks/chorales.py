"""Measure how well networks predict Bach's chorales, and write the figures of docs/music.md.

    python -m benchmarks.chorales            everything, a few minutes for each network on one thread
    python -m benchmarks.chorales --write    only write the page from existing results

The recipe `nabi run chorales` trains an LSTM, once with independent keys, as published, and once with chords.
This benchmark also trains a GRU and a plain recurrent network, with the same settings. The chorales are read
from the folder NABI_DATA. Results are kept in runs/chorales-results and not repeated without --again;
training resumes after Ctrl-C.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.layers.machine import describe
from nabi import recipes
from nabi.data import Frame, read_frames, read_midi_frames
from nabi.explain import piano_roll_picture
from nabi.files import write_atomically
from nabi.models import NoteModel
from nabi.recipes import chorales
from nabi.recipes._run._data_file import find_data

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "chorales-results"
PAGE, PICTURE = ROOT / "docs" / "music.md", "chorale.svg"
BEGIN = "<!-- chorales: written by python -m benchmarks.chorales -->"
END = "<!-- chorales: end -->"
COMPOSED = 40
CELLS = {"gru": "GRU", "simple-rnn": "plain RNN"}
# On the test part, for networks with 300,000 weights.
PUBLISHED = {"LSTM": 8.45, "GRU": 8.43, "plain RNN": 8.91}


def main() -> None:
    arguments = parse()
    if not arguments.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        if arguments.again or not (FOLDER / "recipe" / "result.json").exists():
            recipe = recipes.get("chorales")
            recipe.run(FOLDER / "recipe", epochs=arguments.epochs, console=Console(soft_wrap=True))
        for cell in CELLS:
            if arguments.again or not (FOLDER / f"{cell}.json").exists():
                train(cell, arguments.epochs)
    results = found()
    print("\n".join(table(results)))
    write(results)
    print(f"written: {PAGE}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chorales",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=recipes.get("chorales").epochs,
        help="number of epochs; the recipe's by default",
    )
    parser.add_argument("--again", action="store_true", help="repeat existing results")
    parser.add_argument("--write", action="store_true", help="only write the page, measure nothing")
    return parser.parse_args()


def train(cell: str, epochs: int) -> None:
    """Train a network with this cell and store its figures."""
    parts = read_frames(find_data("chorales", None, chorales.FILE, "music"))
    model = chorales.make(epochs, 0, cell)
    print(CELLS[cell])
    report = model.fit(
        parts["train"],
        validation=parts["valid"],
        test=parts["test"],
        checkpoint=FOLDER / f"{cell}.training",
        verbose=2,
    )
    if report.interrupted:
        raise SystemExit("stopped; run the same command again to resume")
    figures = {
        "validation": report.validation,
        "test": report.test,
        "training_seconds": report.seconds,
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
    }
    with write_atomically(FOLDER / f"{cell}.json", "w") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")


def found() -> dict[str, Mapping[str, Any]]:
    """Return the figures of each measured network by name."""
    results = {}
    recipe = FOLDER / "recipe" / "result.json"
    if recipe.exists():
        figures = json.loads(recipe.read_text(encoding="utf-8"))["figures"]
        for output, name in (("keys", "LSTM"), ("chords", "LSTM, chords")):
            prefix = f"{output}."
            results[name] = {
                key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)
            }
    for cell, name in CELLS.items():
        if (FOLDER / f"{cell}.json").exists():
            results[name] = json.loads((FOLDER / f"{cell}.json").read_text(encoding="utf-8"))
    if not results:
        raise SystemExit("there are no results yet, so nothing was written")
    return results


def table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table of networks."""
    lines = [
        "| nats per frame | weights | training | best epoch | validation | test | published, test |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in ("LSTM", "GRU", "plain RNN", "LSTM, chords"):
        if name in results:
            figures = results[name]
            losses = figures["history"]["val_loss"]
            lines.append(
                f"| {name} | {figures['parameters']:,} | {figures['training_seconds']:,.0f} s "
                f"| {losses.index(min(losses)) + 1} of {len(losses)} | {figures['validation']:.3f} "
                f"| {figures['test']:.3f} | {PUBLISHED.get(name, '')} |"
            )
    return lines


def clashing(pieces: Iterable[Sequence[Frame]]) -> float:
    """Return the share of frames in which two keys clash: a semitone apart, ignoring octaves."""
    frames = [{pitch % 12 for pitch in frame} for piece in pieces for frame in piece]
    return sum(any((pitch + 1) % 12 in frame for pitch in frame) for frame in frames) / len(frames)


def harmony() -> list[str]:
    """Return the lines of a table of how often chords clash, in Bach's chorales and in composed ones."""
    held_out = read_frames(find_data("chorales", None, chorales.FILE, "music"))["valid"]
    shares = {"Bach, validation chorales": clashing(held_out)}
    for output, name in (("keys", "LSTM"), ("chords", "LSTM, chords")):
        model = NoteModel.load(FOLDER / "recipe" / f"{output}.nabi")
        length = chorales.BARS * chorales.BEATS_PER_BAR
        options: dict[str, Any] = {"temperature": chorales.TEMPERATURE, "fewest": chorales.FEWEST}
        composed = (list(model.write(frames=length, seed=seed, **options)) for seed in range(COMPOSED))
        shares[f"{name}, {COMPOSED} chorales composed without a primer"] = clashing(composed)
    lines = ["| frames with two notes a semitone apart, ignoring octaves | share |", "|---|---:|"]
    return lines + [f"| {name} | {share:.1%} |" for name, share in shares.items()]


def write(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the page between its markers, and the picture of the recipe's composition.

    Raises:
        SystemExit: if the page lacks the markers.
    """
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the figures")
    machine = describe()
    lines = [f"{machine['processor']}, torch {machine['torch']}, one thread, seed 0.", "", *table(results)]
    composed = FOLDER / "recipe" / "continued.mid"
    if composed.exists():
        frames = read_midi_frames(composed).frames
        lines += ["", *harmony()]
        piano_roll_picture(frames, PAGE.parent / "pictures" / PICTURE, primer=chorales.PRIMER)
        lines += ["", f"![A chorale continued by the LSTM](pictures/{PICTURE})"]
    content = "\n".join(lines)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}")


if __name__ == "__main__":
    main()
