"""A report in the terminal."""

from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nabi.models._report import Report

__all__ = ["report_tables"]

LARGEST_MATRIX = 15
"""Labels up to which a confusion matrix fits on a terminal."""
_SHADES = ("", "on grey19", "on dark_blue", "on blue3")
_WRONG_SHADES = ("", "on grey19", "on dark_red", "on red3")


def report_tables(report: "Report") -> Group:
    """Return the figures, each label's, and the confusion matrix if it has up to 15 labels."""
    parts: list[RenderableType] = [_summary(report), Text(), _by_label(report)]
    if report.confusion is not None and len(report.by_label) <= LARGEST_MATRIX:
        parts += [Text(), _confusion(report)]
    return Group(*parts)


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


def _confusion(report: "Report") -> Table:
    """Rows are what is right, columns what was said; the darker, the larger the share of its row."""
    assert report.confusion is not None
    table = Table(box=None, pad_edge=False)
    table.add_column("right, below; said, beside", overflow="fold")
    for figures in report.by_label:
        table.add_column(escape(figures.label), justify="right", overflow="ellipsis", max_width=14)
    for true, (figures, counts) in enumerate(zip(report.by_label, report.confusion, strict=True)):
        cells: list[Text | str] = [escape(figures.label)]
        for said, count in enumerate(counts):
            shades = _SHADES if said == true else _WRONG_SHADES
            share = count / max(sum(counts), 1)
            shade = shades[0 if not count else 1 if share < 0.1 else 2 if share < 0.5 else 3]
            cells.append(Text(f"{count:,}", style=shade))
        table.add_row(*cells)
    return table
