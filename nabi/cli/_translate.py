"""`nabi translate`: translations of any number of texts."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Self

import typer

from nabi.cli._bad_rows import BadRows
from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import JSON_LINES, RowWriter
from nabi.cli._terminal import make_console
from nabi.cli._texts import (
    HEADER_HELP,
    STANDARD_INPUT,
    Reading,
    TextPart,
    holds_lines,
    line_parts,
    table_parts,
)
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Translation, Translator

__all__ = ["translate"]

_LINES_AT_ONCE = 200
_LINES = (".txt", ".text")


@dataclass(frozen=True)
class _Search:
    """How to search for translations."""

    beam: int
    length_penalty: float
    best: int
    maxlen: int | None


@with_files(reads={"MODEL": "model", "--file": "file"}, writes={"--out": "out", "--attention": "attention"})
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
            help="A table, or a .txt file with a text per line; - is standard input, as without TEXT: "
            "lines, or with --text a table."
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Column of the texts of a table.", metavar="COLUMN", show_default="the only one"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write: .csv or .jsonl, with the columns of the table, or .txt, a line per text.",
            metavar="FILE",
            show_default="standard output",
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
        bool, typer.Option("--json", help="Write a JSON object for each text, with all scores.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    header: Annotated[bool, typer.Option(help=HEADER_HELP)] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Translate texts, or answer them, depending on what the model was trained for.

    Each input line gives one output line; an empty line stays empty. With --best N, each text gives N lines,
    best first, each preceded by its score: for a length penalty of 1, the mean log probability per piece.
    A table gives a table, with its columns before the translation; a row that cannot be read is named and has
    none.

    nabi translate MODEL "A dog runs." --attention dog.png

    nabi translate MODEL --file sentences.txt > translations.txt

    nabi translate MODEL --file reviews.csv --text review --out translated.csv
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
    if text is not None and texts:
        raise ArgumentError("--text: expected a table from --file with it, got texts")
    search, bad = _Search(beam, length_penalty, best, maxlen), BadRows("rows", "translation")
    reading = Reading(encoding, separator, quotes, header)
    is_table = not texts and not holds_lines(STANDARD_INPUT if file is None else file, reading, text)
    as_lines = out.suffix.lower() in _LINES if out is not None else not (is_table or as_json)
    if as_json and as_lines:
        raise ArgumentError(f"--out: expected a name that ends in .jsonl with --json, got {out}")
    if out is not None and not as_lines and out.suffix.lower() not in (".csv", *JSON_LINES):
        raise ArgumentError(f"--out: expected a name that ends in .csv, .jsonl or .txt, got {out}")
    writer = _Lines(out, best) if as_lines else _Rows(out, as_json, best)
    parts, count = _parts(texts, file, text, reading, bad)
    translator = load_with_cells("Translator", model, cell or ())
    if attention is not None and translator.settings.attention is None:
        raise ArgumentError(f"--attention: expected a model with attention, got {model}")
    with on_threads(threads):
        with writer:
            _translate_all(translator, parts, count, search, writer, bad)
        if attention is not None and texts:
            _show_attention(translator, texts[0], attention, search)


def _parts(
    texts: Sequence[str] | None, file: Path | None, text: str | None, reading: Reading, bad: BadRows
) -> tuple[Iterator[TextPart], int | None]:
    """Return the texts to translate, and their number if it is known."""
    if texts:
        return iter([TextPart(list(texts))]), len(texts)
    file = STANDARD_INPUT if file is None else file
    if holds_lines(file, reading, text):
        # Answer each line when used interactively; use large batches for a file.
        at_once = 1 if file == STANDARD_INPUT and sys.stdin.isatty() else _LINES_AT_ONCE
        count = (
            None
            if file == STANDARD_INPUT
            else sum(len(one.texts) for one in line_parts(file, reading.encoding, _LINES_AT_ONCE))
        )
        return line_parts(file, reading.encoding, at_once), count
    from nabi.data import table_columns

    columns = table_columns(file, **reading.options())
    if text is None and len(columns) > 1:
        raise ArgumentError(
            f"--text: expected the column of the texts, got none; {file} has {', '.join(columns)}"
        )
    return table_parts(file, text or columns[0], None, reading, bad, _LINES_AT_ONCE), None


def _translate_all(
    translator: "Translator",
    parts: Iterator[TextPart],
    count: int | None,
    search: _Search,
    writer: "_Lines | _Rows",
    bad: BadRows,
) -> None:
    total = 0
    with _bar(count) as advance:
        for part in parts:
            # An empty text has no translation, nor has a row that cannot be read.
            texts = ["" if place in part.wrong else text for place, text in enumerate(part.texts)]
            for place, (row, found) in enumerate(
                zip(part.rows(), _translated(translator, texts, search), strict=True)
            ):
                writer.write(row, found, part.wrong.get(place, ""), part.columns is not None)
            writer.flush()
            total += len(texts)
            advance(len(texts))
    bad.end(total)


class _Lines:
    """Writes a line for each translation, to a file or to standard output."""

    def __init__(self, out: Path | None, best: int) -> None:
        self._out, self._best = out, best

    def __enter__(self) -> Self:
        from nabi.files import write_atomically

        self._opened = nullcontext(sys.stdout) if self._out is None else write_atomically(self._out, "w")
        self._file: IO[str] = self._opened.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._opened.__exit__(*problem)

    def write(self, row: dict[str, Any], found: list["Translation"], wrong: str, is_row: bool) -> None:
        """Write the translations of a text, best first; an empty line where there are none."""
        if self._best == 1 or not found:
            lines = [found[0].text if found else ""]
        else:
            lines = [f"{one.score:.4f}\t{one.text}" for one in found]
        self._file.writelines(f"{line}\n" for line in lines)

    def flush(self) -> None:
        """Hand on what has been written."""
        self._file.flush()


class _Rows:
    """Writes a row for each text: its columns, then the translations."""

    def __init__(self, out: Path | None, as_json: bool, best: int) -> None:
        self._rows, self._best = RowWriter(out, as_json), best

    def __enter__(self) -> Self:
        self._rows.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._rows.__exit__(*problem)

    def flush(self) -> None:
        """Hand on what has been written."""
        self._rows.flush()

    def write(self, row: dict[str, Any], found: list["Translation"], wrong: str, is_row: bool) -> None:
        """Write the translations of a text, best first."""
        given = row if is_row else {"source": row["text"]}
        if self._rows.as_json:
            translations = [
                {"text": one.text, "log_probability": one.log_probability, "score": one.score}
                for one in found
            ]
            self._rows.write(given, {"translations": translations}, wrong)
            return
        added: dict[str, Any] = {}
        for rank in range(1, self._best + 1):
            number = "" if rank == 1 else f"_{rank}"
            one = found[rank - 1] if rank <= len(found) else None
            added[f"translation{number}"] = "" if one is None else one.text
            added[f"score{number}"] = "" if one is None else f"{one.score:.6f}"
        self._rows.write(given, added)


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
