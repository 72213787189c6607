"""`nabi translate`: translations of any number of texts."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._terminal import make_console
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Translation, Translator

__all__ = ["translate"]

_LINES_AT_ONCE = 200
_STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class _Search:
    """How to search for translations, and how to show them."""

    beam: int
    length_penalty: float
    best: int
    maxlen: int | None
    as_json: bool


@with_files(reads={"MODEL": "model", "--file": "file"}, writes={"--attention": "attention"})
def translate(
    model: Annotated[
        Path,
        typer.Argument(
            help="A model from `nabi train FILE --source COLUMN --target COLUMN` or `nabi run translate`.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts.", metavar="[TEXT]...", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A file with a text per line; - reads standard input, also the default without TEXT."
        ),
    ] = None,
    beam: Annotated[int, typer.Option(help="Beam width; 1 always takes the most probable piece.")] = 5,
    length_penalty: Annotated[
        float,
        typer.Option(
            help="0 ranks by probability, which favours short translations; 1 by the mean per piece."
        ),
    ] = 1.0,
    best: Annotated[int, typer.Option(help="Translations per text, with their scores; at most --beam.")] = 1,
    maxlen: Annotated[
        int | None,
        typer.Option(help="Maximum pieces per translation.", show_default="by the length of the text"),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture of the attention, .png or .svg; for one TEXT.",
            metavar="PICTURE",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each text, with all scores.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Translate texts, or answer them, depending on what the model was trained for.

    Each input line gives one output line; an empty line stays empty. With --best N, each text gives N lines,
    best first, each preceded by its score: for a length penalty of 1, the mean log probability per piece.

    nabi translate MODEL "A dog runs." --attention dog.png

    nabi translate MODEL --file sentences.txt > translations.txt
    """
    from nabi.decoding import BeamSearch
    from nabi.drawing import check_suffix
    from nabi.training import on_threads

    # Reject wrong values before reading anything.
    BeamSearch(beam, best, length_penalty)
    if texts and file is not None:
        raise ArgumentError("TEXT: expected either texts or --file, got both")
    if attention is not None:
        check_suffix(attention)
        if len(texts or ()) != 1:
            raise ArgumentError(f"--attention: expected one TEXT, got {len(texts or ())}")
    search = _Search(beam, length_penalty, best, maxlen, as_json)
    lines, count = _lines(texts, file, encoding)
    translator = load_with_cells("Translator", model, cell or ())
    if attention is not None and translator.settings.attention is None:
        raise ArgumentError(f"--attention: expected a model with attention, got {model}")
    with on_threads(threads):
        _translate_all(translator, lines, search, count)
        if attention is not None and texts:
            _show_attention(translator, texts[0], attention, search)


def _lines(texts: Sequence[str] | None, file: Path | None, encoding: str) -> tuple[Iterator[str], int | None]:
    """Return the texts to translate, and their number if known."""
    if texts:
        return iter(texts), len(texts)
    if file is None or file == _STANDARD_INPUT:
        return iter(sys.stdin), None
    from nabi.data import TextFile, check_file

    check_file(file)
    opened = TextFile(file, encoding)
    return opened.lines("\n"), sum(1 for _ in opened.lines("\n"))


def _translate_all(
    translator: "Translator", lines: Iterator[str], search: _Search, count: int | None
) -> None:
    # Answer each line when used interactively; use large batches for a file.
    at_once = 1 if count is None and sys.stdin.isatty() else _LINES_AT_ONCE
    with _bar(count) as advance:
        while part := [line.rstrip("\r\n") for line in islice(lines, at_once)]:
            for text, found in zip(part, _translated(translator, part, search), strict=True):
                for line in _shown(text, found, search):
                    typer.echo(line)
            sys.stdout.flush()
            advance(len(part))


def _translated(translator: "Translator", texts: list[str], search: _Search) -> list[list["Translation"]]:
    """Return the translations of each text, best first; none for an empty text."""
    places = [place for place, text in enumerate(texts) if text.strip()]
    found: list[list[Translation]] = [[] for _ in texts]
    if places:
        made = translator.translate(
            [texts[place] for place in places],
            beam=search.beam,
            length_penalty=search.length_penalty,
            maxlen=search.maxlen,
            best=search.best,
        )
        for place, one in zip(places, made, strict=True):
            found[place] = [one, *one.others]
    return found


def _shown(text: str, found: list["Translation"], search: _Search) -> Iterator[str]:
    if search.as_json:
        translations: list[dict[str, Any]] = [
            {"text": one.text, "log_probability": one.log_probability, "score": one.score} for one in found
        ]
        yield json.dumps({"source": text, "translations": translations}, ensure_ascii=False)
    elif search.best == 1:
        yield found[0].text if found else ""
    else:
        yield from (f"{one.score:.4f}\t{one.text}" for one in found)
        if not found:
            yield ""


@contextmanager
def _bar(count: int | None) -> Iterator[Any]:
    """Show a progress bar on stderr for long inputs, if it is a terminal."""
    if count is None or count <= _LINES_AT_ONCE or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=make_console(stderr=True)
    ) as progress:
        task = progress.add_task("", total=count)
        yield lambda done: progress.advance(task, done)


def _show_attention(translator: "Translator", text: str, path: Path, search: _Search) -> None:
    from nabi.explain import attention_picture, attention_text

    found = _translated(translator, [text], search)[0]
    seen = translator.attention(text, found[0].text if found else None)
    attention_picture(seen, path, title=text)
    make_console(stderr=True).print(attention_text(seen))
    typer.echo(f"The picture is in {path}", err=True)
