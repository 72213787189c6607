"""`nabi predict` and `nabi evaluate` for models of sequences: series, sound, frames, DNA."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._load import load_with_cells
from nabi.cli._predictors._predictor import Said
from nabi.cli._terminal import make_console
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import SequencePrediction, SequenceReport

__all__ = ["SequencePredictor"]

_ALWAYS = frozenset({"model", "file", "out", "overwrite", "cell", "threads"})
_TABLE = frozenset({"encoding", "separator", "quotes"})
_JSON_LINES = (".jsonl", ".ndjson")


class SequencePredictor:
    """A model whose `predict` and `evaluate` take files.

    A system whose methods take something else overrides `predictions` or `report`.

    Args:
        kind: of its model files.
        model: the name of its class in `nabi.models`.
        what: it is of, in messages: "series".
        tables: whether its files may be tables, which `encoding`, `separator` and `quoted` say how to read.
    """

    def __init__(self, kind: str, model: str, what: str, *, tables: bool = False) -> None:
        self.kind, self.model, self.what, self._tables = kind, model, what, tables
        of_tables = _TABLE if tables else frozenset()
        self.predict_options = _ALWAYS | {"texts", "top"} | of_tables
        self.evaluate_options = _ALWAYS | {"label", "picture"} | of_tables

    # What a system may do otherwise -------------------------------------------------------------------------

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return what the model says of the sequences in files."""
        return [one for file in files for one in model.predict(file, **self.reading(said))]

    def report(self, model: Any, file: Path, said: Said) -> "SequenceReport":
        """Return how good the model is on a file with labels."""
        labels = said["label"]
        if labels and len(labels) > 1:
            raise ArgumentError(f"--label: expected one column, got {len(labels)}")
        found: SequenceReport = model.evaluate(
            file, **({"label": labels[0]} if labels else {}), **self.reading(said)
        )
        return found

    def reading(self, said: Said) -> dict[str, Any]:
        """Return how tables are read."""
        if not self._tables:
            return {}
        return {"encoding": said["encoding"], "separator": said["separator"], "quoted": said["quotes"]}

    # The commands -------------------------------------------------------------------------------------------

    def predict(self, said: Said) -> None:
        """Write what the model says of each sequence of the files."""
        from nabi.training import on_threads

        files = [*map(Path, said["texts"] or ()), *([said["file"]] if said["file"] is not None else [])]
        if not files:
            raise ArgumentError("FILE: expected one or more files to predict for, got none")
        out: Path | None = said["out"]
        if out is not None and out.suffix.lower() not in (".csv", *_JSON_LINES):
            raise ArgumentError(f"--out: expected a name that ends in .csv or .jsonl, got {out}")
        cells = said["cell"] or ()
        model = load_with_cells(self.model, said["model"], cells)
        with on_threads(said["threads"]):
            found = self.predictions(model, files, said)
        _write(found, out, said["top"])

    def evaluate(self, said: Said) -> None:
        """Show the figures of the model and those of the simple models beside it."""
        from nabi.drawing import check_suffix
        from nabi.files import write_atomically
        from nabi.training import on_threads

        out, picture, cells = said["out"], said["picture"], said["cell"] or ()
        if picture is not None:
            check_suffix(picture)
        model = load_with_cells(self.model, said["model"], cells)
        with on_threads(said["threads"]):
            report = self.report(model, said["file"], said)
        make_console().print(report)
        if out is not None:
            with write_atomically(out, "w") as written:
                content = {"written_by": "nabi evaluate", **report.to_dict()}
                json.dump(content, written, indent=2, ensure_ascii=False)
                written.write("\n")
        if picture is not None:
            report.picture(picture)


def _write(found: "list[SequencePrediction]", out: Path | None, top: int) -> None:
    """Write predictions as CSV or JSON lines, to a file or to standard output."""
    import csv
    import sys
    from contextlib import nullcontext

    from nabi.files import write_atomically

    with nullcontext(sys.stdout) if out is None else write_atomically(out, "w") as file:
        if out is not None and out.suffix.lower() in _JSON_LINES:
            for one in found:
                file.write(json.dumps(_object(one, top), ensure_ascii=False) + "\n")
            return
        rows = csv.writer(file, lineterminator="\n")
        if any(isinstance(one.probabilities, tuple) and one.probabilities for one in found):
            rows.writerow(["sequence", "step", *_heads(top)])
            for one in found:
                for step, values in enumerate(one.probabilities):
                    assert isinstance(values, Mapping)
                    rows.writerow([one.name, step, *_fields(values, top)])
        elif all(isinstance(one.probabilities, dict) for one in found):
            rows.writerow(["sequence", *_heads(top)])
            for one in found:
                rows.writerow([one.name, *_fields(one.probabilities, top)])  # type: ignore[arg-type]
        else:
            rows.writerow(["sequence", "label", "probability"])
            for one in found:
                rows.writerow([one.name, " ".join(one.label), f"{one.probability:.6f}"])


def _heads(top: int) -> list[str]:
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("label", "probability")]
    return ["label", "probability", *more]


def _fields(values: Mapping[str, float], top: int) -> list[str]:
    return [field for name, value in _ranked(values, top) for field in (name, f"{value:.6f}")]


def _ranked(values: Mapping[str, float], top: int) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])[:top]


def _object(one: "SequencePrediction", top: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sequence": one.name,
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
