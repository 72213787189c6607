"""`nabi compose`: composing music, as a MIDI file and a picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import NoteModel

__all__ = ["compose"]

_SUFFIXES = (".mid", ".midi")
_TEMPO = 90.0
_WORTH_SAYING = 0.25  # share of silence


def _music(said: Said) -> Path:
    """Return the MIDI file to write."""
    out: Path | None = said["out"]
    model: Path = said["model"]
    return Path(model.stem + ".mid") if out is None else out


def _written(said: Said) -> list[Path]:
    """Return the MIDI file, and the picture beside it."""
    path = _music(said)
    return [path, path.with_suffix(".png")]


@with_files(reads={"MODEL": "model", "the primer": "primer"}, writes={"--out": _written})
def compose(
    model: Annotated[
        Path,
        typer.Argument(
            help="A note model, from `nabi train FOLDER_OF_MIDI` or `nabi run chorales`.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    bars: Annotated[int, typer.Option("--bars", "-n", help="Number of bars to compose.", min=1)] = 16,
    primer: Annotated[
        Path | None,
        typer.Option(help="A MIDI file to continue.", show_default="from nothing", metavar="FILE.mid"),
    ] = None,
    chord: Annotated[
        str | None,
        typer.Option(
            help="A first note or chord instead of a primer, as MIDI pitches (60 is middle C).",
            show_default="from nothing",
            metavar="60,64,67",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The kind of music, for a model trained with labels.")
    ] = None,
    beats_per_bar: Annotated[int, typer.Option(help="Beats per bar.", min=1, max=64)] = 4,
    temperature: Annotated[
        float,
        typer.Option(help="Below 1 more predictable, above 1 more varied; 0 is always the most probable."),
    ] = 1.0,
    voices: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of notes at once.", min=1, max=88, show_default="as in the training pieces"
        ),
    ] = None,
    fewest: Annotated[
        int | None,
        typer.Option(
            help="Minimum number of notes at once.", min=0, show_default="as in the training pieces"
        ),
    ] = None,
    full_length: Annotated[
        bool, typer.Option("--full-length", help="Compose all bars; otherwise the piece may end sooner.")
    ] = False,
    tempo: Annotated[
        float | None,
        typer.Option(help="Beats per minute.", min=4, max=1000, show_default="the primer's, or 90"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed composes the same music.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The MIDI file to write; a picture (.png) is written next to it.",
            show_default="the name of MODEL with .mid",
            metavar="FILE.mid",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written, and its figures, as JSON.")
    ] = False,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Compose music with a note model: from nothing, from a first chord, or continuing a MIDI file.

    Writes a MIDI file that begins with the primer, and a piano roll picture with the primer in orange.
    """
    from nabi.data import write_midi_frames
    from nabi.explain import piano_roll_picture

    path = _music({"model": model, "out": out})
    if path.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(f"--out: expected a name that ends in .mid, got {path}")
    loaded = load_with_cells("NoteModel", model, cell or ())
    steps = loaded.settings.steps_per_beat or 1
    beginning, beats = _beginning(primer, chord, steps)
    composed = list(
        loaded.write(
            beginning,
            bars * beats_per_bar * steps,
            label=_label(label, loaded),
            temperature=temperature,
            voices=voices,
            fewest=fewest,
            ends=not full_length,
            seed=seed,
        )
    )
    frames = [*beginning, *composed]
    silent = _silence(composed)
    beat = {"steps_per_beat": steps, "beats_per_bar": beats_per_bar}
    write_midi_frames(path, frames, tempo=tempo or beats or _TEMPO, title=path.stem, **beat)
    picture = piano_roll_picture(
        frames, path.with_suffix(".png"), primer=len(beginning), title=path.stem, **beat
    )
    composed_bars = (len(frames) - len(beginning)) / (beats_per_bar * steps)
    if as_json:
        found = {
            "midi": str(path),
            "picture": str(picture),
            "bars": composed_bars,
            "silence": round(silent, 6),
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    typer.echo(f"{composed_bars:g} bars are in {path}, a picture in {picture}")
    if silent >= _WORTH_SAYING:
        typer.echo(f"{silent:.0%} of what was composed is silence; --fewest 1 leaves none")


def _silence(composed: Sequence[Sequence[int]]) -> float:
    """Return the share of frames in which nothing sounds.

    Raises:
        ArgumentError: where nothing sounds at all, so that there is nothing to write.
    """
    silent = sum(not frame for frame in composed)
    if silent == len(composed):
        what = "only silence" if composed else "nothing: the piece ends at once"
        raise ArgumentError(
            f"--temperature, --fewest: with these values the model composes {what}, and no file is written; "
            "--fewest 1 leaves no silence, --full-length no early end, and a higher temperature varies more"
        )
    return silent / len(composed)


def _beginning(
    primer: Path | None, chord: str | None, steps: int
) -> tuple[tuple[tuple[int, ...], ...], float | None]:
    """Return the initial frames and their tempo."""
    from nabi.data import KEYS, LOWEST, read_midi_frames

    keys = f"{LOWEST} to {LOWEST + KEYS - 1}"
    if primer is not None and chord is not None:
        raise ArgumentError("--primer and --chord: expected at most one of them, got both")
    if primer is not None:
        music = read_midi_frames(primer, steps)
        if music.outside:
            raise ArgumentError(
                f"--primer: expected the pitches {keys} that the model knows, got {music.outside:,} others "
                f"in {primer}"
            )
        return music.frames, music.tempo
    if chord is None:
        return (), None
    try:
        pitches = sorted({int(part) for part in chord.replace(",", " ").split()})
    except ValueError as problem:
        raise ArgumentError(f"--chord: expected MIDI pitches such as 60,64,67, got {chord!r}") from problem
    if not pitches or not LOWEST <= pitches[0] <= pitches[-1] < LOWEST + KEYS:
        raise ArgumentError(f"--chord: expected pitches from {keys}, got {chord!r}")
    return (tuple(pitches),), None


def _label(said: str | None, model: "NoteModel") -> str | int | None:
    """Return the model's label for an argument: a number on the command line is text."""
    return next((label for label in model.labels if str(label) == said), said)
