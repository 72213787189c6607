"""`nabi predict` and `nabi evaluate` for taggers."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._figures import give_figures
from nabi.cli._load import file_of, load_with_cells
from nabi.cli._predictors._predictor import Said
from nabi.cli._rows import JSON_LINES, RowWriter
from nabi.cli._terminal import make_console
from nabi.cli._texts import Reading, holds_lines, line_parts
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import TaggedSentence

__all__ = ["TagPredictor"]

_ALWAYS = frozenset({"model", "file", "out", "as_json", "overwrite", "cell", "threads"})
_READING = frozenset({"text", "encoding", "separator"})
_LINES_AT_ONCE = 1000  # in memory


class TagPredictor:
    """A tagger: for texts, files with a text per line, CoNLL files, and tables with lists of tokens."""

    kind, what = "tagger", "tags"
    predict_options = _ALWAYS | _READING | {"texts"}
    evaluate_options = _ALWAYS | _READING | {"label", "picture"}

    def predict(self, said: Said) -> None:
        """Write a line for each token; of a CoNLL file its own columns with one more."""
        from nabi.training import on_threads

        texts: list[str] | None = said["texts"]
        file: Path | None = said["file"]
        if bool(texts) == (file is not None):
            raise ArgumentError("TEXT: expected either texts or --file FILE, got both or neither")
        if texts and len(texts) == 1 and file_of(texts[0]) is not None:
            # As of models of other data, a file may stand in the place of a text.
            file, texts = Path(texts[0]), None
        kind = _kind_of(said["out"], said["as_json"])
        model = load_with_cells("Tagger", said["model"], said["cell"] or ())
        with on_threads(said["threads"]):
            if kind == "columns" and file is not None and not _has_lines(file, said) and not _is_table(file):
                lines = _with_column(model, file, said)
            else:
                lines = None
            if lines is None:
                found = _said_of(model, texts, file, said)
                if kind == "csv":
                    _write_rows(found, said["out"])
                    return
                lines = _json_lines(found) if kind == "json" else _columns(found)
            _write_lines(lines, said["out"])

    def evaluate(self, said: Said) -> None:
        """Show how good the tagger is on a file, with the most frequent tag of each token beside it."""
        from nabi.drawing import check_suffix
        from nabi.training import on_threads

        out, picture = said["out"], said["picture"]
        if picture is not None:
            check_suffix(picture)
        model = load_with_cells("Tagger", said["model"], said["cell"] or ())
        with on_threads(said["threads"]):
            report = self.report(model, said["file"], said)
        give_figures("evaluate", report.to_dict(), out, said["as_json"], lambda: make_console().print(report))
        if picture is not None:
            report.picture(picture)

    def report(self, model: Any, file: Path, said: Said) -> Any:
        """Return how good a tagger is on a file; `--label` is the column of the tags."""
        labels = said["label"] or [None]
        if len(labels) > 1:
            raise ArgumentError(f"--label: expected one column, got {len(labels)}")
        return model.evaluate(
            file,
            token=said.get("text"),
            tag=labels[0],
            encoding=said["encoding"],
            separator=said["separator"],
        )


def _kind_of(out: Path | None, as_json: bool) -> str:
    """Return what is written: "json", "csv", or "columns".

    Raises:
        ArgumentError: for a name that does not say.
    """
    suffix = "" if out is None else out.suffix.lower()
    if as_json and suffix not in ("", *JSON_LINES):
        raise ArgumentError(f"--out: expected a name that ends in .jsonl with --json, got {out}")
    if as_json or suffix in JSON_LINES:
        return "json"
    if suffix == ".csv":
        return "csv"
    if suffix not in ("", ".conll", ".tsv", ".txt"):
        raise ArgumentError(
            f"--out: expected a name that ends in .conll, .tsv, .txt, .csv or .jsonl, got {out}"
        )
    return "columns"


def _has_lines(file: Path, said: Said) -> bool:
    return holds_lines(file, Reading(said["encoding"], said["separator"]), said["text"])


def _is_table(file: Path) -> bool:
    return any(one.lower() in (*JSON_LINES, ".json", ".parquet") for one in file.suffixes)


def _with_column(model: Any, file: Path, said: Said) -> Iterator[str]:
    """Yield the lines of a CoNLL file with the tags in one more column."""
    from nabi.data import read_conll

    read = read_conll(file, encoding=said["encoding"], separator=said["separator"])
    asked = model.columns[0] if said["text"] is None else said["text"]
    tokens = read.values(read.column(asked, 1 if read.is_conllu else 0, "--text"), "a token")
    return read.with_column([one.tags for one in model.predict(tokens)])


def _said_of(
    model: Any, texts: Sequence[str] | None, file: Path | None, said: Said
) -> "Iterator[TaggedSentence]":
    """Yield what the tagger says of texts, of the lines of a file, or of the sentences of another."""
    if file is None:
        yield from model.predict(texts)
    elif _has_lines(file, said):
        for part in line_parts(file, said["encoding"], _LINES_AT_ONCE):
            yield from model.predict(part.texts)
    else:
        from nabi.data import read_tagged

        asked = model.columns[0] if said["text"] is None else said["text"]
        read = read_tagged(
            file, token=asked, encoding=said["encoding"], separator=said["separator"], tagged=False
        )
        yield from model.predict(read.tokens)


def _json_lines(found: "Iterator[TaggedSentence]") -> Iterator[str]:
    return (json.dumps(one.to_dict(), ensure_ascii=False) for one in found)


def _columns(found: "Iterator[TaggedSentence]") -> Iterator[str]:
    """Yield a line for each token, with a blank one between sentences."""
    for number, one in enumerate(found):
        if number:
            yield ""
        yield from (f"{token}\t{tag}" for token, tag in zip(one.tokens, one.tags, strict=True))


def _write_lines(lines: Iterator[str], out: Path | None) -> None:
    from nabi.files import write_atomically

    with nullcontext(sys.stdout) if out is None else write_atomically(out, "w") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_rows(found: "Iterator[TaggedSentence]", out: Path | None) -> None:
    """Write a row for each token."""
    with RowWriter(out) as writer:
        writer.begin(("sentence", "token", "tag", "probability"))
        for number, one in enumerate(found):
            for token, tag, probability in zip(one.tokens, one.tags, one.probabilities, strict=True):
                writer.write(
                    {"sentence": number, "token": token, "tag": tag}, {"probability": f"{probability:.6f}"}
                )
