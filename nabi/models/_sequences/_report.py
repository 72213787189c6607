"""How good a network on sequences is, and what simple models reach on the same sequences."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nabi.errors import ArgumentError
from nabi.models._classifier._report import Report
from nabi.models._task._described import Described

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["SequenceReport"]


@dataclass(frozen=True)
class SequenceReport(Described):
    """Figures of a network on sequences that it has not learnt from, with simple models beside it.

    `scores` are of the answers "class" and "step", `error_rate` and `exact` of the answer "string"; None
    where there is nothing to measure on.
    """

    _called: ClassVar[str] = "report"

    train: int
    """Sequences that were learnt from."""
    held_out: int
    """Sequences that were measured on."""
    scores: Report | None
    """Of the classes: accuracy, F1, the figures of each, and the confusion matrix."""
    error_rate: float | None
    """Labels that are wrong, missing or too many, as a share of all labels of the strings."""
    exact: float | None
    """Share of the strings that are right from beginning to end."""
    measure: str
    """What the baselines are compared by: "accuracy", "macro F1" or "label error rate"."""
    baselines: dict[str, float]
    """That figure of each simple model on the same sequences."""
    verdict: str
    """Whether the network is better than the best of them."""
    seconds: float
    """How long training took."""
    skipped: tuple[str, ...] = ()
    """What is wrong with each sequence that was left out."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "skipped", tuple(self.skipped))
        baselines = {str(name): float(figure) for name, figure in self.baselines.items()}
        object.__setattr__(self, "baselines", baselines)

    @property
    def accuracy(self) -> float | None:
        """Share of the sequences, or of the labelled steps, whose class is right."""
        return None if self.scores is None else self.scores.accuracy

    @property
    def macro_f1(self) -> float | None:
        """Mean of the F1 of all classes."""
        return None if self.scores is None else self.scores.macro_f1

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them and gives them back."""
        scores = None if self.scores is None else self.scores.to_dict()
        return {**super().to_dict(), "scores": scores}

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the report that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        if isinstance(described, dict) and described.get("scores") is not None:
            described = {**described, "scores": Report.from_dict(described["scores"])}
        return super().from_dict(described)

    def picture(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Draw the confusion matrix.

        Args:
            path: the file to write, .png or .svg.
            title: above it; the accuracy by default.

        Raises:
            ArgumentError: for another suffix, and where there is no such matrix.
            OutputError: if the file cannot be written.
        """
        if self.scores is None:
            raise ArgumentError("picture: this report has no confusion matrix")
        return self.scores.picture(path, title)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield what rich shows: the figures, the simple models, and the verdict."""
        from rich.table import Table
        from rich.text import Text

        if self.scores is not None:
            yield self.scores
        elif self.error_rate is not None and self.exact is not None:
            yield Text(
                f"{self.held_out:,} held-out sequences: label error rate {self.error_rate:.2%}, "
                f"{self.exact:.1%} right from beginning to end"
            )
        else:
            yield Text("nothing was held out")
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("simple models", overflow="fold")
        table.add_column(self.measure, justify="right", no_wrap=True)
        for name, figure in self.baselines.items():
            table.add_row(name, f"{figure:.4f}")
        yield from (Text(), table, Text(), Text(self.verdict))

    def __str__(self) -> str:
        """Return the same as plain text."""
        from rich.console import Console

        console = Console(width=100, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()
