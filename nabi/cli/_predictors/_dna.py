"""`nabi predict` and `nabi evaluate` for models of DNA."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._predictors._numbers import named_target
from nabi.cli._predictors._predictor import Said
from nabi.cli._predictors._sequences import SequencePredictor
from nabi.cli._predictors._series_numbers import write_numbers
from nabi.cli._texts import Reading
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.data import DNASequences
    from nabi.models import RegressionReport, SequencePrediction, SequenceReport

__all__ = ["DNANumberPredictor", "DNAPredictor"]

# --text names the column of the sequences.
_TABLE = frozenset({"text", "encoding", "separator", "quotes", "header"})
_PLACES = ("header", "name", "folder")


class DNAPredictor(SequencePredictor):
    """A model whose files are FASTA, FASTQ, or tables with a column of sequences."""

    def __init__(self, kind: str = "DNA classifier", model: str = "DNAClassifier", what: str = "DNA") -> None:
        super().__init__(kind, model, what)
        self.predict_options |= _TABLE
        self.evaluate_options |= _TABLE

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return what the model says of the sequences in files."""
        found = []
        for file in files:
            read = _read(model, file, said)
            found += model.predict(read.sequences, names=read.names)
        return found

    def report(self, model: Any, file: Path, said: Said) -> "SequenceReport":
        """Return how good the model is on a file; `--label` or the training says where labels are."""
        labels = said["label"] or []
        if len(labels) > 1:
            raise ArgumentError(
                f"--label: expected header, name, folder, a column, or a file of labels of bases, got "
                f"{len(labels)} values"
            )
        place = "base_labels" if model.settings.per_base else "label_from"
        asked = labels[0] if labels else _remembered(model, place, file)
        if model.settings.per_base and asked is None:
            raise ArgumentError("--label: expected a file or a column with the labels of the bases, got none")
        read = _read(model, file, said, **{place: asked or "header"})
        found: SequenceReport = model.evaluate(
            read.sequences, read.base_labels if model.settings.per_base else read.labels, names=read.places
        )
        return found


class DNANumberPredictor(DNAPredictor):
    """A `DNARegressor`: a number for each sequence, in the column "number"."""

    added = "number"

    def __init__(self) -> None:
        super().__init__("DNA regressor", "DNARegressor", "DNA with numbers")
        self.predict_options -= {"top"}
        self.evaluate_options |= {"target"}

    def predictions(self, model: Any, files: list[Path], said: Said) -> list[Any]:
        """Return the name of each sequence in the files, and its number."""
        found: list[Any] = []
        for file in files:
            read = _read(model, file, said)
            numbers = model.predict(read.sequences, names=read.places).tolist()
            found += zip(read.names, numbers, strict=True)
        return found

    def report(self, model: Any, file: Path, said: Said) -> Any:
        """Return how far the estimates are from the numbers of a file; `--target` says where they are."""
        place = named_target(said) or _remembered(model, "number_from", file) or "header"
        read = _read(model, file, said, number_from=place)
        found: RegressionReport = model.evaluate(read.sequences, read.numbers, names=read.places)
        return found

    def write(self, found: list[Any], said: Said) -> None:
        """Write a row for each sequence."""
        write_numbers(found, said)


def _remembered(model: Any, name: str, file: Path) -> str | None:
    """Return where the labels or numbers of the training were, if there is such a place in a file too."""
    from nabi.data import is_dna_file

    place: str | None = model.reading.get(name)
    return place if (place in _PLACES) == (file.is_dir() or is_dna_file(file)) else None


def _read(model: Any, file: Path, said: Said, **places: Any) -> "DNASequences":
    from nabi.data import is_dna_file, read_dna

    is_table = not file.is_dir() and not is_dna_file(file)
    if said["text"] is not None and is_dna_file(file):
        raise ArgumentError(f"--text: expected it with a table that has such a column, got {file}")
    sequence = said["text"] or (model.reading.get("sequence") if is_table else None)
    if "header" in places.values() and "label_pattern" in model.reading:
        places["label_pattern"] = model.reading["label_pattern"]
    return read_dna(file, sequence=sequence, **places, **Reading.of(said).options())
