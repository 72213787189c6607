"""A report in the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nabi.models._classifier._report import Report

__all__ = ["report_tables"]

LARGEST_MATRIX = 15
"""Labels up to which a confusion matrix fits on a terminal."""
_WIDTH_OF_HEADS = 50
_NARROWEST_LABELS, _WIDEST_LABELS = 12, 28
_SHADES = ("", "on grey19", "on dark_blue", "on blue3")
_WRONG_SHADES = ("", "on grey19", "on dark_red", "on red3")


def report_tables(report: "Report", width: int) -> Iterator[Text | Table]:
    """Yield the figures, each label's, and the confusion matrix if it has up to 15 labels and fits."""
    yield _summary(report)
    yield Text()
    yield _by_label(report)
    if report.confusion is not None and len(report.by_label) <= LARGEST_MATRIX:
        digits = len(str(max(map(max, report.confusion))))
        room = width - len(report.by_label) * (digits + 1)
        if room >= _NARROWEST_LABELS:
            yield Text()
            yield _confusion(report, digits, min(room, _WIDEST_LABELS))


def _summary(report: "Report") -> Text:
    accuracy = "all labels right" if report.several else "accuracy"
    figures = [
        (accuracy, report.accuracy),
        ("macro F1", report.macro_f1),
        ("weighted F1", report.weighted_f1),
    ]
    if report.several:
        figures.append(("micro F1", report.micro_f1))
    text = Text(f"{report.rows:,} {report.part}: ")
    for number, (name, figure) in enumerate(figures):
        text.append(", " if number else "").append(f"{name} ").append(f"{figure:.4f}", style="bold")
    return text


def _by_label(report: "Report") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for head in ("precision", "recall", "F1", "rows"):
        table.add_column(head, justify="right")
    for row in report.by_label:
        shown = [f"{figure:.3f}" for figure in (row.precision, row.recall, row.f1)]
        table.add_row(escape(row.label), *shown, f"{row.rows:,}")
    return table


def _confusion(report: "Report", digits: int, room: int) -> Table:
    """A row for each right label, a column for what was said; the darker, the larger the share of its row."""
    assert report.confusion is not None
    labels = [escape(figures.label) for figures in report.by_label]
    heads = labels
    if sum(max(len(label), digits) + 1 for label in labels) > _WIDTH_OF_HEADS:
        # Columns have numbers, and rows say whose they are.
        heads = [str(number) for number in range(1, len(labels) + 1)]
        labels = [f"{number:>2}  {label}" for number, label in enumerate(labels, 1)]
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("right / said", no_wrap=True, overflow="ellipsis", max_width=room)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True, min_width=digits)
    for true, (label, counts) in enumerate(zip(labels, report.confusion, strict=True)):
        cells: list[Text | str] = [label]
        for said, count in enumerate(counts):
            shades = _SHADES if said == true else _WRONG_SHADES
            share = count / max(sum(counts), 1)
            shade = shades[0 if not count else 1 if share < 0.1 else 2 if share < 0.5 else 3]
            cells.append(Text(str(count), style=shade))
        table.add_row(*cells)
    return table
