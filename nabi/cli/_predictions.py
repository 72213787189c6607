"""The output of `nabi predict`: a row for each text, as CSV or JSON lines."""

import csv
import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from nabi.cli._rows import JSON_LINES, check_rows_file, free_name
from nabi.cli._terminal import make_console
from nabi.cli._texts import TextPart

if TYPE_CHECKING:
    from nabi.models import Prediction, TextClassifier

__all__ = ["PredictionWriter"]


class PredictionWriter:
    """Writes predictions part by part, atomically to a file or to standard output.

    Progress and notes go to stderr if it is a terminal.

    Raises `ArgumentError` for a file that is neither .csv nor .jsonl, `OutputError` if it cannot be written.
    """

    def __init__(
        self,
        out: Path | None,
        classifier: "TextClassifier",
        top: int,
        threshold: float,
        as_json: bool = False,
    ) -> None:
        suffix = check_rows_file(out, as_json)
        self._out, self._classifier, self._threshold = out, classifier, threshold
        self._top = min(top, len(classifier.labels))
        self._as_json = as_json or suffix in JSON_LINES
        self.count = 0
        """How many texts there were."""
        self._empty = 0
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
            some = f"{self._empty:,} of {self.count:,} texts are empty"
            print(f"{some}; they got the label frequencies of the training data", file=sys.stderr)

    def write(self, part: TextPart) -> None:
        """Predict and write the next texts, after the columns of the table that they are from.

        A row that cannot be read has no label; as JSON it says why.
        """
        places = part.readable
        texts, aspects, columns = part.arguments()
        said = self._classifier.predict(texts, aspects, columns=columns, threshold=self._threshold)
        found = dict(zip(places, said, strict=True))
        for place, row in enumerate(part.rows()):
            self._begin(row)
            self._write(row, found.get(place), part.wrong.get(place, ""))
        self.count += len(part.texts)
        self._empty += sum(not text.strip() for text in texts)
        self._file.flush()
        if self._progress is not None:
            self._progress.update(self._task, completed=self.count)

    def _write(self, row: dict[str, Any], prediction: "Prediction | None", wrong: str) -> None:
        if not self._as_json:
            fields = [""] * len(self._header()) if prediction is None else self._fields(prediction)
            self._csv.writerow([*row.values(), *fields])
            return
        added = {"label": None, "error": wrong} if prediction is None else self._object(prediction)
        line = {**row, **{free_name(name, row): value for name, value in added.items()}}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")

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
