"""`nabi explain`: what determined a model's answer, and a report of the whole model that can be sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, file_of, load_any, load_classifier
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.cli._terminal import make_console
from nabi.cli._texts import HEADER_HELP, Reading
from nabi.cli._uses import check_kind, named_kind
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["explain"]

_PAGE = ".html"


def _is_report(said: Said) -> bool:
    """Return whether a report is written: wherever it is not a text that is explained at once."""
    out: Path | None = said["out"]
    return said["text"] is None or said["file"] is not None or (out is not None and _has_page(out))


def _has_page(out: Path) -> bool:
    return out.suffix.lower() == _PAGE


def _written(said: Said) -> Path | None:
    out: Path | None = said["out"]
    if out is None and _is_report(said):
        return Path(said["model"]).with_suffix(_PAGE)
    return out


@with_files(
    reads={"MODEL": "model", "TEXT": lambda said: file_of(said["text"]), "--file": "file"},
    writes={"--out": _written},
)
def explain(
    model: Annotated[
        Path,
        typer.Argument(help="A model from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    text: Annotated[
        str | None,
        typer.Argument(
            help="What to explain: a text, bases, or a file as in training.",
            metavar="[TEXT|FILE]",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Data with the right answers, as for `nabi evaluate`: figures and examples."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The label to explain.", show_default="the most probable")
    ] = None,
    aspect: Annotated[str | None, typer.Option(help="The aspect to judge, for a model with aspects.")] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            help="For --file: where the labels are, as --label of `nabi evaluate`.", metavar="COLUMN"
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    header: Annotated[bool, typer.Option(help=HEADER_HELP)] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The report, .html; for a TEXT alone also a picture, .png or .svg.",
            metavar="FILE",
            show_default="the name of MODEL with .html, for a report",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Of a report: en or ko.", metavar="en|ko", show_default="NABI_LANG, locale"),
    ] = None,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Show how a model reads a text, or write a report of a model of any kind as one page to send.

    For a TEXT alone: the probability after each word, and each word's contribution. Words that count for the
    label are blue, or [+ marked] without colours; those against it are orange, or [- marked].

    The report has what there is for the model: how good it is on --file, or was after training; confusion;
    answers of which it is sure, right and wrong; what it read, for the TEXT or FILE that is given; how far it
    remembers; its training and settings.
    """
    said = {"model": model, "text": text, "file": file, "out": out}
    if _is_report(said):
        if label is not None or aspect is not None:
            option = "--label" if label is not None else "--aspect"
            raise ArgumentError(f"{option}: expected it with a TEXT alone, got it for a report")
        target = _written(said)
        assert target is not None
        reading = Reading(encoding, separator, quotes, header)
        _write_report(model, text, file, reading, label_column, target, language, cell or (), threads)
        return
    for option, given in (("--label-column", label_column), ("--language", language)):
        if given is not None:
            raise ArgumentError(f"{option}: expected it for a report, got it with a TEXT alone")
    assert text is not None
    _explain_text(model, text, aspect, label, out, cell or ())


def _explain_text(
    model: Path, text: str, aspect: str | None, label: str | None, out: Path | None, cells: Any
) -> None:
    from nabi.drawing import check_suffix
    from nabi.explain import read_text, reading_picture
    from nabi.files import READERS

    if out is not None:
        check_suffix(out)
    kind = check_kind(model, tuple(READERS), "a text classifier").kind
    if kind != "text classifier":
        raise ArgumentError(
            f"MODEL: expected a text classifier, got {named_kind(kind)}; with --out FILE.html a report is "
            "written of it"
        )
    reading = read_text(load_classifier(model, cells), text, aspect, label=label)
    make_console().print(reading)
    if out is not None:
        reading_picture(reading, out)
        typer.echo(f"\nThe picture is in {out}")


def _write_report(
    path: Path,
    data: str | None,
    file: Path | None,
    reading: Reading,
    label_column: str | None,
    out: Path,
    language: str | None,
    cells: Any,
    threads: int | None,
) -> None:
    from nabi.explain import check_report, report
    from nabi.training import on_threads

    check_report(out)
    if label_column is not None and file is None:
        raise ArgumentError("--label-column: expected it with --file, got it alone")
    loaded = load_any(path, cells)
    measure = None if file is None else _measuring(loaded, path, file, reading, label_column)
    with on_threads(threads):
        report(loaded, out, data=data, held_out=measure, name=path.name, language=language)
    typer.echo(f"The report is in {out}")


def _measuring(
    loaded: Any, path: Path, file: Path, reading: Reading, label: str | None
) -> "Callable[[], Any]":
    """Return what measures a model on a file, read as `nabi evaluate` does."""
    from nabi import models
    from nabi.cli._load import series_as_trained
    from nabi.cli._predictors._registry import other_predictor
    from nabi.cli._predictors._sequences import SequencePredictor

    of_sequences = (
        models.SeriesClassifier,
        models.SeriesRegressor,
        models.ClipClassifier,
        models.SoundClassifier,
        models.DNAClassifier,
        models.DNARegressor,
    )
    predictor = other_predictor(path) if isinstance(loaded, of_sequences) else None
    if isinstance(predictor, SequencePredictor):
        said = {
            "label": [label] if label else None,
            "text": None,
            "encoding": reading.encoding,
            "separator": reading.separator,
            "quotes": reading.quoted,
            "header": reading.header,
        }
        return lambda: predictor.report(loaded, file, said)
    if isinstance(loaded, models.TextClassifier):
        return lambda: loaded.evaluate(file, label=label, **reading.options(), wrong_rows="keep")
    if isinstance(loaded, models.Tagger):
        return lambda: loaded.evaluate(
            file, tag=label, encoding=reading.encoding, separator=reading.separator
        )
    if isinstance(loaded, models.TextRegressor):
        return lambda: loaded.evaluate(file, target=label, **reading.options(), wrong_rows="keep")
    if isinstance(loaded, models.Forecaster):
        return lambda: loaded.evaluate(series_as_trained(loaded, file, **reading.options()))
    if isinstance(loaded, models.LanguageModel):
        return lambda: loaded.evaluate(file, encoding=reading.encoding)
    if isinstance(loaded, models.NoteModel):
        return lambda: _nats_of_music(loaded, file)
    if isinstance(loaded, models.Captioner):
        from nabi.data import read_captioned_images

        read = read_captioned_images(
            file.parent,
            file,
            size=loaded.settings.image_size,
            **reading.options(),
        )
        return lambda: loaded.evaluate(read.images, read.captions)
    if isinstance(loaded, models.SpeechRecognizer):
        from nabi.data import read_recordings

        return lambda: loaded.evaluate(read_recordings(file.parent, file, rate=loaded.rate))
    if isinstance(loaded, models.Translator):
        from nabi.data import read_pairs, table_columns

        options = reading.options()
        names = table_columns(file, **options)
        # As `nabi evaluate` takes them: two columns have names, of more the first two are read by number.
        by_name = reading.header and len(names) == 2
        columns: tuple[Any, Any] = (names[0], names[1]) if by_name else (0, 1)
        pairs = read_pairs(file, *columns, **options)
        return lambda: loaded.evaluate(pairs.sources, pairs.targets)
    kind = type(loaded).__name__
    raise ArgumentError(f"--file: expected a model that a file can measure, got a {kind}; leave it out")


def _nats_of_music(model: Any, file: Path) -> float:
    """Measure a model of music on a folder of MIDI files, or on one; its folder's name is its label."""
    from nabi.data import read_midi_frames

    if file.is_dir():
        return float(model.evaluate(file))
    frames = read_midi_frames(file, model.settings.steps_per_beat or 1).frames
    return float(model.evaluate([frames], [file.resolve().parent.name] if model.labels else None))
