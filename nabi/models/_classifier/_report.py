"""How well a classifier does on rows that it has not been trained on."""

import os
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError, ShapeError
from nabi.models._classifier._report_picture import report_picture
from nabi.models._classifier._report_table import comparison_table, report_tables
from nabi.models._task._described import check_fields, reading_report

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["SECONDS_TO_MEASURE", "Beside", "LabelFigures", "Report"]

SECONDS_TO_MEASURE = 2.0
"""About what a common machine takes to load the measures, for what tells how long an evaluation takes."""


@dataclass(frozen=True)
class LabelFigures:
    """One label: how many of its rows are found, and how many of those given it have it."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int
    """How many have the label."""


@dataclass(frozen=True)
class Beside:
    """Figures of a simpler model on the same rows, as those of the `Report`."""

    name: str
    accuracy: float
    macro_f1: float
    micro_f1: float


@dataclass(frozen=True)
class Report:
    """Figures of a classifier on held-out rows; all from 0 to 1, computed by torchmetrics.

    Labels without a single row here, given or predicted, don't count in the macro F1.
    """

    rows: int
    accuracy: float
    """Share of rows that are right; with several labels at once, of rows that are right in all of them."""
    macro_f1: float
    """Mean of the F1 of all labels, rare ones as much as frequent ones."""
    weighted_f1: float
    """Mean of the F1 of all labels by their rows."""
    micro_f1: float
    """F1 of all decisions together; the accuracy where a row has one label."""
    by_label: tuple[LabelFigures, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    """`confusion[true][predicted]` counts rows, in the order of `by_label`; None with several labels."""
    several: bool = False
    """Whether a row has several labels at once."""
    part: str = "held-out rows"
    """Which rows these are."""
    interrupted: bool = False
    """Whether the training was ended by Ctrl-C."""
    baselines: tuple[Beside, ...] = ()
    """Simpler models on the same rows: words and pairs of words, and the network without these."""
    verdict: str = ""
    """Whether the classifier is better than words and pairs of words alone, in a sentence."""

    @classmethod
    def measure(
        cls,
        names: tuple[str, ...],
        targets: npt.NDArray[Any],
        probabilities: npt.NDArray[Any],
        *,
        several: bool = False,
        threshold: float = 0.5,
        part: str = "held-out rows",
        interrupted: bool = False,
    ) -> Self:
        """Compare what is right with what a classifier says.

        Args:
            names: of the labels, in the order of the columns.
            targets: the right labels' numbers `[N]`; with several at once 0 or 1 for each `[N, labels]`.
            probabilities: what the classifier says `[N, labels]`.
            several: whether a row has several labels at once.
            threshold: with several at once, a label is given where its probability is at least this.
            part: which rows these are.
            interrupted: whether the training was ended early by the user.

        Raises:
            ArgumentError: for no rows at all.
            ShapeError: for arrays that don't fit each other.

        >>> said = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
        >>> report = Report.measure(("ham", "spam"), np.array([0, 0, 1]), said)
        >>> report.confusion, round(report.accuracy, 3)
        (((1, 1), (0, 1)), 0.667)
        """
        wanted = (len(targets), len(names))
        of_targets = wanted if several else wanted[:1]
        if not len(targets):
            raise ArgumentError("targets: there are no rows to measure on")
        if probabilities.shape != wanted or targets.shape != of_targets:
            raise ShapeError(
                f"probabilities: expected the shape {wanted}, and targets {of_targets}, "
                f"got {probabilities.shape} and {targets.shape}"
            )
        figures = _several(targets, probabilities, threshold) if several else _single(targets, probabilities)
        by_label = tuple(
            LabelFigures(name, float(precision), float(recall), float(f1), int(rows))
            for name, (precision, recall, f1, rows) in zip(names, figures.pop("by_label"), strict=True)
        )
        return cls(
            rows=len(targets),
            by_label=by_label,
            several=several,
            part=part,
            interrupted=interrupted,
            **figures,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> Self:
        """Make the report that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        with reading_report():
            parts = dict(described)
            for figures in parts["by_label"]:
                check_fields(LabelFigures, figures, "by_label")
            parts["by_label"] = tuple(LabelFigures(**figures) for figures in parts["by_label"])
            for figures in parts.get("baselines", ()):
                check_fields(Beside, figures, "baselines")
            parts["baselines"] = tuple(Beside(**figures) for figures in parts.get("baselines", ()))
            check_fields(cls, parts, "report")
            if parts["confusion"] is not None:
                parts["confusion"] = tuple(map(tuple, parts["confusion"]))
                if {len(parts["by_label"])} != {len(parts["confusion"]), *map(len, parts["confusion"])}:
                    raise ValueError("its confusion matrix is not one of its labels")
            return cls(**parts)

    @property
    def never_given(self) -> tuple[LabelFigures, ...]:
        """Labels that some rows have and the classifier gave to none; empty with several labels at once."""
        if self.confusion is None:
            return ()
        given = [sum(column) for column in zip(*self.confusion, strict=True)]
        return tuple(one for one, count in zip(self.by_label, given, strict=True) if one.rows and not count)

    def picture(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Draw the confusion matrix, or with several labels at once each one's figures.

        Args:
            path: the file to write, .png or .svg.
            title: above it; the accuracy by default.

        Raises:
            ArgumentError: for another suffix.
            OutputError: if the file cannot be written.
        """
        if title is None:
            title = self._heading + ", ".join(f"{name} {figure:.3f}" for name, figure in self._overall()[:2])
            for one in self.baselines:
                title += f"\n{one.name}: {one.accuracy:.3f}, {one.macro_f1:.3f}"
        return report_picture(path, title, self._label_rows(), self.confusion)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield what rich shows: the figures, each label's, and the confusion matrix if it is small."""
        yield from report_tables(
            self._heading, self._overall(), self._label_rows(), self.confusion, options.max_width
        )
        if self.baselines:
            yield from comparison_table(
                [("this classifier", self._compared(self))]
                + [(one.name, self._compared(one)) for one in self.baselines],
                [name for name, _ in self._overall() if name != "weighted F1"],
                self.verdict,
            )

    def _compared(self, one: "Report | Beside") -> list[float]:
        return [one.accuracy, one.macro_f1, *([one.micro_f1] if self.several else [])]

    @property
    def _heading(self) -> str:
        return f"{self.rows:,} {self.part}: "

    def _overall(self) -> list[tuple[str, float]]:
        """Return the figures of all labels together, each after the name that is shown."""
        figures = [
            ("all labels right" if self.several else "accuracy", self.accuracy),
            ("macro F1", self.macro_f1),
            ("weighted F1", self.weighted_f1),
        ]
        return [*figures, ("micro F1", self.micro_f1)] if self.several else figures

    def _label_rows(self) -> list[tuple[str, float, float, float, int]]:
        """Return label, precision, recall, F1 and rows of each label."""
        return [astuple(one) for one in self.by_label]

    def __str__(self) -> str:
        """Return the same as plain text."""
        from rich.console import Console

        console = Console(width=100, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()


def _single(targets: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> dict[str, Any]:
    import torch
    from torchmetrics.functional import classification as measures

    truth = torch.from_numpy(np.ascontiguousarray(targets)).long()
    given = torch.from_numpy(probabilities.argmax(-1)).long()
    count = probabilities.shape[1]
    options = {"num_classes": count, "validate_args": False}
    figures = [
        measure(given, truth, average="none", **options)
        for measure in (
            measures.multiclass_precision,
            measures.multiclass_recall,
            measures.multiclass_f1_score,
        )
    ]
    means = {
        name: float(measures.multiclass_f1_score(given, truth, average=name, **options))
        for name in ("macro", "weighted", "micro")
    }
    confusion = measures.multiclass_confusion_matrix(given, truth, **options)
    return {
        "accuracy": float((given == truth).double().mean()),
        **{f"{name}_f1": mean for name, mean in means.items()},
        "by_label": torch.stack([*figures, confusion.sum(1)], 1).tolist(),
        "confusion": tuple(map(tuple, confusion.tolist())),
    }


def _several(targets: npt.NDArray[Any], probabilities: npt.NDArray[Any], threshold: float) -> dict[str, Any]:
    import torch
    from torchmetrics.functional import classification as measures

    truth = torch.from_numpy(np.ascontiguousarray(targets)).long()
    given = torch.from_numpy(probabilities >= threshold).long()
    options = {"num_labels": probabilities.shape[1], "validate_args": False}
    figures = [
        measure(given, truth, average="none", **options)
        for measure in (
            measures.multilabel_precision,
            measures.multilabel_recall,
            measures.multilabel_f1_score,
        )
    ]
    means = {
        name: float(measures.multilabel_f1_score(given, truth, average=name, **options))
        for name in ("macro", "weighted", "micro")
    }
    return {
        "accuracy": float((given == truth).all(1).double().mean()),
        **{f"{name}_f1": mean for name, mean in means.items()},
        "by_label": torch.stack([*figures, truth.sum(0)], 1).tolist(),
        "confusion": None,
    }
