"""`nabi train` on DNA: FASTA, FASTQ, or a table with a column of sequences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nabi.cli._texts import Reading
from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import draw_confusion, say_what_is_left_out
from nabi.cli._train._system import Figures, SystemForm
from nabi.errors import ArgumentError
from nabi.models import DNASettings

__all__ = ["DNAForm", "is_of_dna", "read_with"]

_PANEL = "DNA"


def is_of_dna(said: Said) -> bool:
    """Whether there are labels of bases or a column of sequences, or the file is FASTA or FASTQ."""
    from nabi.data import is_dna_file

    if said["base_labels"] is not None or said["sequence"] is not None:
        return True
    file: Path = said["file"]
    if file.is_dir():
        return any(is_dna_file(one) for one in file.rglob("*"))
    return is_dna_file(file)


def read_with(said: Said, **places: str | None) -> dict[str, str]:
    """Return how a file is read, for the model to remember: where labels or numbers are, and sequences."""
    told = {**places, "label_pattern": said["label_pattern"], "sequence": said["sequence"]}
    return {name: value for name, value in told.items() if value is not None}


class DNAForm(SystemForm):
    """Sequences of DNA with a class each, or with a label for every base."""

    name, short = "sequences of DNA", "DNA"
    usage = "nabi train FILE.fasta --label-from header|name|folder, or --base-labels FILE"
    what = (
        "FILE: .fasta, .fa, .fastq, .fq and the like, also .gz, a folder of them, or a table whose column of "
        "sequences is named by --sequence"
    )
    settings, model, learnt = DNASettings, "DNAClassifier", "sequences are"
    beside = ((".png", "the confusion matrix"),)
    shared = frozenset({"balanced", "task", "validation", "encoding", "separator", "quotes", "header"})
    data: ClassVar = {
        "label_from": given(
            str,
            help="Where the class of a sequence is: header (label=... or the last word), name (of the file), "
            "folder, or a column of the table.",
            metavar="header|name|folder|COLUMN",
            panel=_PANEL,
        ),
        "label_pattern": given(
            str,
            help="With --label-from header: a regular expression whose group is the label.",
            metavar="PATTERN",
            panel=_PANEL,
        ),
        "base_labels": given(
            str,
            help="Labels of every base: a file like FASTA with a character per base, a .bed file, or a "
            "column of the table.",
            metavar="FILE|COLUMN",
            panel=_PANEL,
        ),
        "outside": given(
            str, default="none", help="Label of bases that no interval of the .bed file covers.", panel=_PANEL
        ),
        "sequence": given(
            str, help="Column of sequences, of a table of DNA.", metavar="COLUMN", panel=_PANEL
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether it is DNA."""
        return is_of_dna(said)

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the files; labels of bases may also be a column of the table."""
        labels = said["base_labels"]
        return {
            "the sequences": said["file"],
            "--validation": said["validation"],
            "--base-labels": Path(labels) if labels is not None and Path(labels).exists() else None,
        }

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the sequences, and say what was left out."""
        if (said["label_from"] is None) == (said["base_labels"] is None):
            raise ArgumentError(
                "--label-from, --base-labels: expected one of them, to say where the labels are, got "
                + ("neither" if said["label_from"] is None else "both")
            )
        parts = [self._of_file(said, said["file"])]
        if said["validation"] is not None:
            if said["base_labels"] is not None and Path(said["base_labels"]).exists():
                raise ArgumentError(
                    "--validation: expected none with a file of --base-labels, which is of one file"
                )
            parts.append(self._of_file(said, said["validation"]))
        weight = {"class_weight": "balanced"} if said["balanced"] else {}
        return self.make(said, per_base=said["base_labels"] is not None, **weight), parts

    @staticmethod
    def _of_file(said: Said, file: Path) -> Any:
        from nabi.data import read_dna

        found = read_dna(
            file,
            label_from=said["label_from"],
            label_pattern=said["label_pattern"],
            base_labels=said["base_labels"],
            outside=said["outside"],
            sequence=said["sequence"],
            **Reading.of(said).options(),
        )
        say_what_is_left_out(found.skipped, len(found.names), "sequences")
        return found

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the sequences."""
        train, *others = ((one.sequences, one.labels or one.base_labels) for one in data)
        validation = {"validation": others[0]} if others else {}
        report = model.fit(*train, **validation, names=data[0].places, **how)
        labels = said["base_labels"]
        # A file with the labels of bases is of this file of sequences alone.
        column = None if labels is None or Path(labels).exists() else labels
        model.reading = read_with(said, label_from=said["label_from"], base_labels=column)
        return report

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the files, and what was left out."""
        told = ("validation", "label_from", "label_pattern", "base_labels", "sequence")
        return {
            "file": str(said["file"]),
            **{name: None if said[name] is None else str(said[name]) for name in told},
            "skipped": [problem for one in data for problem in one.skipped],
        }

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw the confusion matrix."""
        draw_confusion(model, beside[0])
        return "", {}
