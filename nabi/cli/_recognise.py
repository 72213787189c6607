"""`nabi recognise`: what is said in recordings, or in a stream of sound."""

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._bad_rows import BadRows
from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import RowWriter
from nabi.cli._uses import check_kind
from nabi.errors import ArgumentError, FileFormatError, ShapeError

if TYPE_CHECKING:
    from nabi.data import WavFormat

__all__ = ["recognise"]

_KINDS = {"sound classifier": "SoundClassifier", "speech recognizer": "SpeechRecognizer"}
_CHUNK = 0.010  # seconds that are read at once from a stream


@with_files(reads={"MODEL": "model", "RECORDING": "recordings"}, writes={"--out": "out"})
def recognise(
    model: Annotated[
        Path, typer.Argument(help="A model from `nabi train FOLDER --label-from ...`.", metavar="MODEL")
    ],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Sound files.", metavar="[RECORDING]...", show_default=False)
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Read sound from standard input and print what is heard at once, with its time."
        ),
    ] = False,
    raw: Annotated[
        int | None,
        typer.Option(
            help="Rate of a stream without a WAV header: samples of 16 bits, one channel.",
            metavar="HZ",
            min=1,
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of most probable labels to print.", min=1)] = 1,
    beam: Annotated[
        int | None,
        typer.Option(
            help="Width of the search for texts; 1 is greedy.", min=1, show_default="as in training"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .jsonl.", metavar="FILE", show_default="standard output"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each row.")] = False,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Recognise what is said in recordings, one line per file, or in a stream from standard input.

    A stream is read in chunks of 10 ms. It is a WAV file that does not end, or with --raw plain samples:
    arecord -f S16_LE -r 16000 -t wav | nabi recognise MODEL --stream

    A recording that cannot be read is named; the others go on.
    """
    if stream == bool(recordings):
        raise ArgumentError("RECORDING: expected either sound files or --stream, got both or neither")
    if raw is not None and not stream:
        raise ArgumentError("--raw: it means nothing without --stream")
    writer = RowWriter(out, as_json) if as_json or out is not None else None
    kind = check_kind(model, tuple(_KINDS)).kind
    loaded = load_with_cells(_KINDS[kind], model, cell or ())
    of_texts = kind == "speech recognizer"
    if beam is not None and (stream or not of_texts):
        raise ArgumentError("--beam: it means nothing for streams, and for models that give one label")
    if top > 1 and (stream or of_texts):
        raise ArgumentError("--top: it means nothing for streams, and for models that write texts")
    with writer or nullcontext():
        if stream:
            _listen(loaded, sys.stdin.buffer, raw, writer)
            return
        assert recordings is not None
        bad = BadRows("recordings", "text" if of_texts else "label", len(recordings))
        for path in recordings:
            before = f"{path}: " if len(recordings) > 1 else ""
            columns, shown, wrong = _nothing(of_texts, top), "", ""
            try:
                columns, shown = _heard(loaded, path, of_texts, beam, top)
            except (FileFormatError, ShapeError) as problem:
                wrong = bad.add(problem)
            if writer is not None:
                writer.write({"recording": str(path)}, columns, wrong)
            elif not wrong:
                typer.echo(f"{before}{shown}")
        bad.end(len(recordings))


def _heard(model: Any, path: Path, of_texts: bool, beam: int | None, top: int) -> tuple[dict[str, Any], str]:
    """Return what is heard in a recording, as columns of a row and as a text to show."""
    if of_texts:
        found = model.transcribe([path], beam=beam)[0]
        return {"text": found.text, "probability": round(found.probability, 6)}, found.text
    told = model.predict([path])[0].probabilities
    best = sorted(told.items(), key=lambda one: -one[1])[:top]
    columns = _nothing(of_texts, top)
    for rank, (label, probability) in enumerate(best, 1):
        number = "" if rank == 1 else f"_{rank}"
        columns |= {f"label{number}": label, f"probability{number}": round(probability, 6)}
    return columns, ", ".join(f"{label} ({probability:.3f})" for label, probability in best)


def _nothing(of_texts: bool, top: int) -> dict[str, Any]:
    """Return the columns of a row, empty."""
    if of_texts:
        return {"text": "", "probability": ""}
    numbers = ["" if rank == 1 else f"_{rank}" for rank in range(1, top + 1)]
    return {f"{name}{number}": "" for number in numbers for name in ("label", "probability")}


def _listen(model: Any, file: IO[bytes], raw: int | None, writer: RowWriter | None) -> None:
    """Print what is heard in a stream, or write a row for it, and say how long a frame took."""
    import numpy as np

    from nabi.data import WavFormat, read_header

    if raw is not None:
        form = WavFormat(raw, 1, 16, False, 0)
    else:
        form = read_header(file, "standard input")
    # Code for a step is made before the first sound comes.
    model.stream().push(np.zeros(model.rate // 4, np.float32))
    listener = model.stream(form.rate)
    spent, frames = 0.0, 0
    for samples in _chunks(file, form):
        began = time.perf_counter()
        heard = listener.push(samples)
        spent += time.perf_counter() - began
        frames += 1
        _give(heard, writer)
    _give(listener.finish(), writer)
    if not frames:
        raise ArgumentError("standard input: expected sound, got a stream of length 0")
    typer.echo(
        f"{frames * _CHUNK:.1f} s of sound ({form.described}); {spent / frames * 1000:.3f} ms per 10 ms",
        err=True,
    )


def _give(heard: Any, writer: RowWriter | None) -> None:
    for one in heard:
        if writer is not None:
            known = None if one.probability is None else round(one.probability, 6)
            writer.write({"seconds": round(one.seconds, 3)}, {"label": one.label, "probability": known})
            writer.flush()
            continue
        probability = "" if one.probability is None else f" ({one.probability:.3f})"
        typer.echo(f"{one.seconds:8.2f}  {one.label}{probability}")
        sys.stdout.flush()


def _chunks(file: IO[bytes], form: "WavFormat") -> Iterator[Any]:
    """Yield the samples of a stream; a frame that is cut off at its end is left out."""
    size = max(round(form.rate * _CHUNK), 1) * form.frame_bytes
    while data := file.read(size):
        whole = len(data) - len(data) % form.frame_bytes
        if whole:
            yield form.mono(data[:whole])
