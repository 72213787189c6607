"""`nabi predict` and `nabi evaluate` for models of DNA."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._predictors._predictor import Said
from nabi.cli._predictors._sequences import SequencePredictor
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import SequencePrediction, SequenceReport

__all__ = ["DNAPredictor"]

_TABLE = frozenset({"encoding", "separator"})


class DNAPredictor(SequencePredictor):
    """A model whose files are FASTA, FASTQ, or tables with a column of sequences."""

    def __init__(self) -> None:
        super().__init__("DNA classifier", "DNAClassifier", "DNA")
        self.predict_options |= _TABLE
        self.evaluate_options |= _TABLE

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return what the model says of the sequences in files."""
        from nabi.data import read_dna

        found = []
        for file in files:
            read = read_dna(file, encoding=said["encoding"], separator=said["separator"])
            found += model.predict(read.sequences, names=read.names)
        return found

    def report(self, model: Any, file: Path, said: Said) -> "SequenceReport":
        """Return how good the model is on a file; `--label` says where the labels are."""
        from nabi.data import read_dna

        labels = said["label"] or ["header"]
        if len(labels) > 1:
            raise ArgumentError(
                f"--label: expected header, name, folder, a column, or a file of labels of bases, got "
                f"{len(labels)} values"
            )
        asked = {"base_labels" if model.settings.per_base else "label_from": labels[0]}
        if model.settings.per_base and not said["label"]:
            raise ArgumentError("--label: expected a file or a column with the labels of the bases, got none")
        read = read_dna(file, **asked, encoding=said["encoding"], separator=said["separator"])
        found: SequenceReport = model.evaluate(
            read.sequences, read.base_labels if model.settings.per_base else read.labels, names=read.places
        )
        return found
