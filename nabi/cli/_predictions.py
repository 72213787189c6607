"""The output of `nabi predict`: a row for each text, as CSV or JSON lines."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from nabi.cli._rows import free_name
from nabi.cli._terminal import make_console
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Prediction, TextClassifier

__all__ = ["PredictionWriter"]

_JSON_LINES = (".jsonl", ".ndjson")


class PredictionWriter:
    """Writes predictions part by part, atomically to a file or to standard output.

    Progress and notes go to stderr if it is a terminal.

    Raises `ArgumentError` for a file that is neither .csv nor .jsonl, `OutputError` if it cannot be written.
    """

    def __init__(self, out: Path | None, classifier: "TextClassifier", top: int, threshold: float) -> None:
        suffix = ".csv" if out is None else out.suffix.lower()
        if suffix not in (".csv", *_JSON_LINES):
            raise ArgumentError(f"--out: expected a name that ends in .csv or .jsonl, got {out}")
        self._out, self._classifier, self._threshold = out, classifier, threshold
        self._top = min(top, len(classifier.labels))
        self._as_json = suffix in _JSON_LINES
        self._texts = self._empty = 0
        self._stack = ExitStack()
        self._progress: Any = None

    def __enter__(self) -> Self:
        """Open the file."""
        from nabi.files import write_atomically

        self._file: IO[str] = (
            sys.stdout if self._out is None else self._stack.enter_context(write_atomically(self._out, "w"))
        )
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._begun = self._as_json
        # No progress bar on a terminal that shows the predictions themselves.
        if sys.stderr.isatty() and not (self._out is None and sys.stdout.isatty()):
            self._progress = self._stack.enter_context(_progress())
            self._task = self._progress.add_task("texts", total=None)
        return self

    def __exit__(self, *problem: Any) -> None:
        """Close the file, or discard it after an error."""
        if problem[0] is None:
            self._begin()
        self._stack.__exit__(*problem)
        if problem[0] is None and self._empty and sys.stderr.isatty():
            some = f"{self._empty:,} of {self._texts:,} texts are empty"
            print(f"{some}; they got the label frequencies of the training data", file=sys.stderr)

    def write(
        self, texts: list[str], aspects: list[str] | None, columns: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Predict and write the next texts.

        Args:
            texts: N texts.
            aspects: of each, for a model with aspects.
            columns: of the table that they are from, which are written before what is predicted; by default
                the texts and aspects themselves.
        """
        found = self._classifier.predict(texts, aspects, threshold=self._threshold)
        if columns is None:
            columns = {"text": texts} if aspects is None else {"text": texts, "aspect": aspects}
        self._begin(columns)
        names = list(columns)
        for row, prediction in zip(zip(*columns.values(), strict=True), found, strict=True):
            if self._as_json:
                added = {free_name(name, names): value for name, value in self._object(prediction).items()}
                line = json.dumps(
                    {**dict(zip(names, row, strict=True)), **added}, ensure_ascii=False, default=str
                )
                self._file.write(line + "\n")
            else:
                self._csv.writerow([*row, *self._fields(prediction)])
        self._texts += len(texts)
        self._empty += sum(not text.strip() for text in texts)
        self._file.flush()
        if self._progress is not None:
            self._progress.update(self._task, completed=self._texts)

    def _begin(self, columns: Iterable[str] | None = None) -> None:
        """Write the header, once: after what is wrong with the data has been found, if something is."""
        if self._begun:
            return
        if columns is None:
            columns = ["text", "aspect"] if self._classifier.has_aspects else ["text"]
        first = list(columns)
        self._csv.writerow([*first, *(free_name(name, first) for name in self._header())])
        self._begun = True

    def _header(self) -> list[str]:
        """Return the names of what is added."""
        if self._classifier.labels.several:
            return ["label", *(f"probability of {name}" for name in self._classifier.labels.names)]
        more = [f"{name}_{rank}" for rank in range(2, self._top + 1) for name in ("label", "probability")]
        return ["label", "probability", *more]

    def _fields(self, prediction: "Prediction") -> list[str]:
        if not isinstance(prediction.label, str):
            between = self._classifier.settings.label_separator or "|"
            probabilities = [f"{value:.6f}" for value in prediction.probabilities.values()]
            return [between.join(prediction.label), *probabilities]
        ranked = _ranked(prediction)[: self._top]
        return [field for name, value in ranked for field in (name, f"{value:.6f}")]

    def _object(self, prediction: "Prediction") -> dict[str, Any]:
        several = not isinstance(prediction.label, str)
        shown = _ranked(prediction)[: None if several else self._top]
        return {
            "label": list(prediction.label) if several else prediction.label,
            **({} if several else {"probability": round(prediction.probability, 6)}),
            "probabilities": {name: round(value, 6) for name, value in shown},
        }


def _ranked(prediction: "Prediction") -> list[tuple[str, float]]:
    """Return the labels by descending probability; among equal ones, the predicted label first."""
    return sorted(prediction.probabilities.items(), key=lambda item: (-item[1], item[0] != prediction.label))


def _progress() -> Any:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=make_console(stderr=True),
    )
