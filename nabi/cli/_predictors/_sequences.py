"""`nabi predict` and `nabi evaluate` for models of sequences: series, sound, frames, DNA."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._bad_rows import BadRows
from nabi.cli._figures import give_figures
from nabi.cli._load import load_with_cells
from nabi.cli._predictors._predictor import Said
from nabi.cli._rows import RowWriter, check_rows_file
from nabi.cli._terminal import make_console
from nabi.cli._texts import Reading
from nabi.errors import ArgumentError, FileFormatError, ShapeError

if TYPE_CHECKING:
    from nabi.models import SequencePrediction, SequenceReport

__all__ = ["SequencePredictor", "WrongFile", "one_label"]

_ALWAYS = frozenset({"model", "file", "out", "as_json", "overwrite", "cell", "threads"})
_TABLE = frozenset({"encoding", "separator", "quotes", "header"})


@dataclass(frozen=True)
class WrongFile:
    """A file that cannot be read, and why."""

    name: str
    problem: str


class SequencePredictor:
    """A model whose `predict` and `evaluate` take files.

    A system whose methods take something else overrides `predictions` or `report`, one that gives something
    else than labels `write` and `added` too.

    Args:
        kind: of its model files.
        model: the name of its class in `nabi.models`.
        what: it is of, in messages: "series".
        tables: whether its files may be tables, which encoding, separator, quotes and header say how
            to read.
    """

    def __init__(self, kind: str, model: str, what: str, *, tables: bool = False) -> None:
        self.kind, self.model, self.what, self._tables = kind, model, what, tables
        of_tables = _TABLE if tables else frozenset()
        self.predict_options = _ALWAYS | {"texts", "top"} | of_tables
        self.evaluate_options = _ALWAYS | {"label", "picture"} | of_tables

    added = "label"
    """The column that is empty for a file that cannot be read."""

    # What a system may do otherwise -------------------------------------------------------------------------

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return what the model says of the sequences in files."""
        return [one for file in files for one in model.predict(file, **self.reading(said))]

    def report(self, model: Any, file: Path, said: Said) -> "SequenceReport":
        """Return how good the model is on a file with labels."""
        label = one_label(said)
        found: SequenceReport = model.evaluate(
            file, **({} if label is None else {"label": label}), **self.reading(said)
        )
        return found

    def write(self, found: list[Any], said: Said) -> None:
        """Write what the model says, and nothing for a `WrongFile`."""
        _write(found, said["out"], said["top"], said["as_json"])

    def reading(self, said: Said) -> dict[str, Any]:
        """Return how tables are read."""
        if not self._tables:
            return {}
        return Reading.of(said).options()

    # The commands -------------------------------------------------------------------------------------------

    def predict(self, said: Said) -> None:
        """Write what the model says of each sequence of the files."""
        from nabi.training import on_threads

        files = [*map(Path, said["texts"] or ()), *([said["file"]] if said["file"] is not None else [])]
        if not files:
            raise ArgumentError("FILE: expected one or more files to predict for, got none")
        check_rows_file(said["out"], said["as_json"])
        cells = said["cell"] or ()
        model = load_with_cells(self.model, said["model"], cells)
        with on_threads(said["threads"]):
            found = self._of_all(model, files, said)
        self.write(found, said)

    def _of_all(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction | WrongFile]":
        """Return what the model says of all files; one that cannot be read is named."""
        if len(files) == 1:
            return list(self.predictions(model, files, said))
        try:
            return list(self.predictions(model, files, said))
        except (FileFormatError, ShapeError):
            bad = BadRows("files", self.added, len(files))
        found: list[SequencePrediction | WrongFile] = []
        for file in files:
            try:
                found += self.predictions(model, [file], said)
            except (FileFormatError, ShapeError) as problem:
                found.append(WrongFile(str(file), bad.add(problem)))
        bad.end(len(files))
        return found

    def evaluate(self, said: Said) -> None:
        """Show the figures of the model and those of the simple models beside it."""
        from nabi.drawing import check_suffix
        from nabi.training import on_threads

        out, picture, cells = said["out"], said["picture"], said["cell"] or ()
        if picture is not None:
            check_suffix(picture)
        model = load_with_cells(self.model, said["model"], cells)
        with on_threads(said["threads"]):
            report = self.report(model, said["file"], said)
        give_figures("evaluate", report.to_dict(), out, said["as_json"], lambda: make_console().print(report))
        if picture is not None:
            report.picture(picture)


def one_label(said: Said) -> str | None:
    """Return the column that --label names, None for none.

    Raises:
        ArgumentError: for several.
    """
    labels = said["label"] or []
    if len(labels) > 1:
        raise ArgumentError(f"--label: expected one column, got {len(labels)}")
    return labels[0] if labels else None


def _write(found: "list[SequencePrediction | WrongFile]", out: Path | None, top: int, as_json: bool) -> None:
    """Write predictions as CSV or JSON lines, to a file or to standard output."""
    told = [one for one in found if not isinstance(one, WrongFile)]
    by_step = any(isinstance(one.probabilities, tuple) and one.probabilities for one in told)
    by_class = all(isinstance(one.probabilities, dict) for one in told)
    with RowWriter(out, as_json) as writer:
        for one in found:
            given = {"sequence": one.name}
            if writer.as_json:
                wrong = one.problem if isinstance(one, WrongFile) else ""
                writer.write(
                    given, {"label": None} if isinstance(one, WrongFile) else _object(one, top), wrong
                )
            elif isinstance(one, WrongFile):
                empty = dict.fromkeys(_heads(top if by_step or by_class else 1), "")
                writer.write({**given, **({"step": ""} if by_step else {})}, empty)
            elif by_step:
                for step, values in enumerate(one.probabilities):
                    assert isinstance(values, Mapping)
                    writer.write({**given, "step": step}, _fields(values, top))
            elif by_class:
                assert isinstance(one.probabilities, dict)
                writer.write(given, _fields(one.probabilities, top))
            else:
                label, probability = " ".join(one.label), f"{one.probability:.6f}"
                writer.write(given, {"label": label, "probability": probability})


def _heads(top: int) -> list[str]:
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("label", "probability")]
    return ["label", "probability", *more]


def _fields(values: Mapping[str, float], top: int) -> dict[str, str]:
    fields = [field for name, value in _ranked(values, top) for field in (name, f"{value:.6f}")]
    return dict(zip(_heads(top), fields, strict=False))  # there may be fewer labels


def _ranked(values: Mapping[str, float], top: int) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])[:top]


def _object(one: "SequencePrediction", top: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": one.label if isinstance(one.label, str) else list(one.label),
        "probability": round(one.probability, 6),
    }
    if isinstance(one.probabilities, dict):
        found["probabilities"] = {name: round(v, 6) for name, v in _ranked(one.probabilities, top)}
    elif one.probabilities:
        found["probabilities"] = [
            {name: round(v, 6) for name, v in _ranked(values, top)} for values in one.probabilities
        ]
    return found
