"""`nabi train` on DNA with a number for each sequence: FASTA, FASTQ, or a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._messages import in_words_of_options
from nabi.cli._texts import Reading
from nabi.cli._train._column import Task, why_numbers
from nabi.cli._train._dna import DNAForm, is_of_dna, read_with
from nabi.cli._train._form import Said
from nabi.cli._train._outputs import say_what_is_left_out
from nabi.cli._train._system import Figures, SystemForm
from nabi.errors import ArgumentError
from nabi.models import DNANumberSettings

__all__ = ["DNANumbersForm"]

_FILES = ("file", "validation", "test")


class DNANumbersForm(SystemForm):
    """Sequences of DNA with a number each."""

    name, short = "sequences of DNA with numbers", "numbers of DNA"
    usage = "nabi train TABLE --sequence COLUMN --target COLUMN, or nabi train FILE.fasta --target header"
    what = "FILE: as for sequences of DNA, with a number for each, such as the strength of a promoter"
    settings, model, learnt = DNANumberSettings, "DNARegressor", "numbers of DNA are"
    beside = ((".png", "a picture of estimated against right numbers"),)
    shared = frozenset({"target", "task", "validation", "test", "encoding", "separator", "quotes", "header"})
    data: ClassVar = {name: DNAForm.data[name] for name in ("label_from", "label_pattern", "sequence")}

    def is_meant(self, said: Said) -> bool:
        """Whether it is DNA with a place of numbers, or with a column of labels that holds numbers."""
        if said["task"] == Task.CLASSIFICATION or said["base_labels"] is not None or not is_of_dna(said):
            return False
        if said["task"] == Task.REGRESSION or said["target"] is not None:
            return True
        # What only labels have says that they are meant.
        return said["balanced"] is None and bool(why_numbers(said, "label_from"))

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the files."""
        return {"the sequences": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the sequences, and say what was left out."""
        if said["target"] is not None and said["label_from"] is not None:
            raise ArgumentError(
                "--target: expected the place of the numbers by one option, got --label-from too"
            )
        if said["target"] is None and said["label_from"] is None:
            raise ArgumentError(
                "--target: expected where the numbers are: header, name, folder or a column, got none"
            )
        asked = said["task"] is not None or said["target"] is not None
        if why := "" if asked else why_numbers(said, "label_from"):
            names = {name: f"--{name.replace('_', '-')}" for name in said}
            typer.echo(in_words_of_options(why, names, ()))
        return model, {name: None if said[name] is None else _of_file(said, said[name]) for name in _FILES}

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the sequences."""
        train, *others = (data[name] for name in _FILES)
        held_out = {
            name: None if one is None else (one.sequences, one.numbers)
            for name, one in zip(_FILES[1:], others, strict=True)
        }
        report = model.fit(train.sequences, train.numbers, **held_out, names=train.places, **how)
        model.reading = read_with(said, number_from=said["target"] or said["label_from"])
        return report

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the files, what was left out, and how much the linear model counts."""
        told = ("validation", "test", "target", "label_from", "label_pattern", "sequence")
        return {
            "file": str(said["file"]),
            **{name: None if said[name] is None else str(said[name]) for name in told},
            "skipped": [problem for one in data.values() if one is not None for problem in one.skipped],
            "notes": list(model.notes),
            "share_of_linear": model.share,
        }

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw estimated against right numbers."""
        model.report.picture(beside[0])
        return "", {}


def _of_file(said: Said, file: Path) -> Any:
    from nabi.data import read_dna

    found = read_dna(
        file,
        number_from=said["target"] or said["label_from"],
        label_pattern=said["label_pattern"],
        sequence=said["sequence"],
        **Reading.of(said).options(),
    )
    say_what_is_left_out(found.skipped, len(found.names), "sequences")
    return found
