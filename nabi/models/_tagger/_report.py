"""How good a tagger is: every token, and the spans that tags mark."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from nabi.data import spans_of
from nabi.errors import ArgumentError
from nabi.models._classifier._report import LabelFigures, Report
from nabi.models._task._described import Described, check_fields

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["SpanScores", "TaggerReport", "score_spans"]

Tags = Sequence[Sequence[str]]


class SpanScores(NamedTuple):
    """Precision, recall and F1 of spans: all together (micro), and of each type."""

    precision: float
    recall: float
    f1: float
    by_type: tuple[LabelFigures, ...]


def score_spans(said: Tags, right: Tags) -> SpanScores:
    """Compare the spans that tags mark, as the CoNLL shared tasks do.

    A span is right if its first and its last token and its type are. Precision is the share of the spans
    said that are right, recall the share of the right spans that were said, F1 their harmonic mean; each is 0
    where there is nothing to divide by.

    >>> score_spans([["B-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "B-LOC"]])[:3]
    (0.5, 0.5, 0.5)
    """
    found: Counter[str] = Counter()
    told: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for one, other in zip(said, right, strict=True):
        spans, others = spans_of(one), set(spans_of(other))
        told.update(span.type for span in spans)
        wanted.update(span.type for span in others)
        found.update(span.type for span in spans if span in others)
    types = sorted(told.keys() | wanted.keys())
    by_type = tuple(
        LabelFigures(kind, *_rates(found[kind], told[kind], wanted[kind]), wanted[kind]) for kind in types
    )
    return SpanScores(*_rates(found.total(), told.total(), wanted.total()), by_type)


def _rates(found: int, told: int, wanted: int) -> tuple[float, float, float]:
    return (
        found / told if told else 0.0,
        found / wanted if wanted else 0.0,
        2 * found / (told + wanted) if told + wanted else 0.0,
    )


@dataclass(frozen=True)
class TaggerReport(Described):
    """Figures of a tagger on sentences that it has not learnt from, with the usual baseline beside it."""

    _called: ClassVar[str] = "report"

    train: int
    """Sentences that were learnt from."""
    held_out: int
    """Sentences that were measured on."""
    part: str
    """Which they are: "test", "validation" or "other"."""
    scores: Report | None
    """Of the tags of tokens, spans written as BIO; None where there is nothing to measure on."""
    scheme: str | None
    """How spans are written as tags; None for plain tags, such as parts of speech."""
    precision: float | None
    """Of spans: the share of those said that are right, in place and type; None for plain tags."""
    recall: float | None
    """The share of the right spans that were said."""
    f1: float | None
    """The harmonic mean of both."""
    by_type: tuple[LabelFigures, ...]
    """The same of each type of span."""
    unseen: int
    """Tokens that are words which the tagger doesn't know."""
    unseen_accuracy: float | None
    """Share of these whose tag is right."""
    measure: str
    """What the baseline is compared by: "span F1" or "accuracy"."""
    baselines: dict[str, float]
    """That figure of the most frequent tag of each token."""
    verdict: str
    """Whether the network is better than that."""
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_type", tuple(self.by_type))
        baselines = {str(name): float(figure) for name, figure in self.baselines.items()}
        object.__setattr__(self, "baselines", baselines)

    @property
    def accuracy(self) -> float | None:
        """Share of the tokens whose tag is right."""
        return None if self.scores is None else self.scores.accuracy

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them and gives them back."""
        scores = None if self.scores is None else self.scores.to_dict()
        return {**super().to_dict(), "scores": scores, "by_type": [asdict(one) for one in self.by_type]}

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the report that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        if isinstance(described, dict):
            described = dict(described)
            if described.get("scores") is not None:
                described["scores"] = Report.from_dict(described["scores"])
            try:
                for one in described["by_type"]:
                    check_fields(LabelFigures, one, "by_type")
                described["by_type"] = tuple(LabelFigures(**one) for one in described["by_type"])
            except (AttributeError, KeyError, TypeError) as problem:
                raise ArgumentError(f"report: expected figures by type ({problem})") from problem
        return super().from_dict(described)

    def picture(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Draw the confusion matrix of the tags.

        Args:
            path: the file to write, .png or .svg.
            title: above it; the figures by default.

        Raises:
            ArgumentError: for another suffix, and where nothing was measured.
            OutputError: if the file cannot be written.
        """
        if self.scores is None:
            raise ArgumentError("picture: this report has no confusion matrix")
        return self.scores.picture(path, self._heading if title is None else title)

    @property
    def _heading(self) -> str:
        assert self.scores is not None
        found = f"{self.held_out:,} {self.part} sentences, {self.scores.rows:,} tokens: accuracy "
        found += f"{self.scores.accuracy:.4f}"
        if self.unseen_accuracy is not None:
            found += f" ({self.unseen_accuracy:.4f} of {self.unseen:,} unknown words)"
        if self.f1 is not None:
            found += f"\nspans: precision {self.precision:.4f}, recall {self.recall:.4f}, F1 {self.f1:.4f}"
        return found

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield what rich shows: the figures, those of each type or tag, the baseline, and the verdict."""
        from rich.text import Text

        from nabi.models._classifier._report_table import report_tables

        if self.scores is None:
            yield Text("nothing was held out")
            return
        figures = self.scores.by_label if self.f1 is None else self.by_type
        matrix = self.scores.confusion if self.f1 is None else None
        yield from report_tables(
            self._heading, (), [astuple(one) for one in figures], matrix, options.max_width
        )
        yield Text()
        for name, figure in self.baselines.items():
            yield Text(f"{name}: {self.measure} {figure:.4f}")
        yield Text(self.verdict)

    def __str__(self) -> str:
        """Return the same as plain text."""
        from rich.console import Console

        console = Console(width=100, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()
