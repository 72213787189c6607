"""A report in the terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["comparison_table", "report_tables"]

_LARGEST_MATRIX = 15  # labels up to which a confusion matrix fits on a terminal
_WIDTH_OF_HEADS = 50
_MOST_LABELS, _LONGEST_LABEL = 60, 44
_NARROWEST_LABELS, _WIDEST_LABELS = 12, 28
_SHADES = ("", "on grey19", "on dark_blue", "on blue3")
_WRONG_SHADES = ("", "on grey19", "on dark_red", "on red3")


def report_tables(
    heading: str,
    overall: Sequence[tuple[str, float]],
    by_label: Sequence[tuple[str, float, float, float, int]],
    confusion: Sequence[Sequence[int]] | None,
    width: int,
) -> "Iterator[Text | Table]":
    """Yield the figures, each label's, and the confusion matrix if it has up to 15 labels and fits.

    Args:
        heading: what is written before the figures.
        overall: figures of all labels together, each after its name.
        by_label: label, precision, recall, F1 and rows of each.
        confusion: `confusion[true][said]` counts rows; None where there is no such matrix.
        width: of the terminal.
    """
    from rich.text import Text

    summary = Text(heading)
    for number, (name, figure) in enumerate(overall):
        summary.append(", " if number else "").append(f"{name} ").append(f"{figure:.4f}", style="bold")
    yield summary
    yield Text()
    # Of many labels those of most rows.
    shown = (
        sorted(by_label, key=lambda one: -one[-1])[:_MOST_LABELS]
        if len(by_label) > _MOST_LABELS
        else by_label
    )
    yield _labels(shown)
    if len(shown) < len(by_label):
        rest = len(by_label) - len(shown)
        yield Text(f"and {rest:,} more labels, with no more rows; the figures as JSON have all")
    if confusion is not None and len(by_label) <= _LARGEST_MATRIX:
        digits = len(str(max(map(max, confusion))))
        room = width - len(by_label) * (digits + 1)
        if room >= _NARROWEST_LABELS:
            yield Text()
            yield _matrix([label for label, *_ in by_label], confusion, digits, min(room, _WIDEST_LABELS))


def comparison_table(
    rows: Sequence[tuple[str, Sequence[float]]], heads: Sequence[str], verdict: str
) -> "Iterator[Text | Table]":
    """Yield the figures of a classifier and of simpler models, and what follows from them.

    Args:
        rows: the name of each model with its figures, the classifier first.
        heads: names of the figures.
        verdict: a sentence.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("on the same rows", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for number, (name, figures) in enumerate(rows):
        shown = [f"{figure:.4f}" for figure in figures]
        table.add_row(Text(name), *shown, style="" if number else "bold")
    yield Text()
    yield table
    yield Text(verdict)


def _labels(by_label: Sequence[tuple[str, float, float, float, int]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for head in ("precision", "recall", "F1", "rows"):
        table.add_column(head, justify="right", no_wrap=True)
    for label, *shares, rows in by_label:
        table.add_row(escape(_short(label)), *(f"{share:.3f}" for share in shares), f"{rows:,}")
    return table


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def _matrix(names: Sequence[str], confusion: Sequence[Sequence[int]], digits: int, room: int) -> "Table":
    """A row for each right label, a column for what was said; the darker, the larger the share of its row."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    labels = [escape(name) for name in names]
    heads = labels
    if sum(max(len(label), digits) + 1 for label in labels) > _WIDTH_OF_HEADS:
        # Columns have numbers, and rows say whose they are.
        heads = [str(number) for number in range(1, len(labels) + 1)]
        labels = [f"{number:>2}  {label}" for number, label in enumerate(labels, 1)]
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("right / said", no_wrap=True, overflow="ellipsis", max_width=room)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True, min_width=digits)
    for true, (label, counts) in enumerate(zip(labels, confusion, strict=True)):
        cells: list[Text | str] = [label]
        for said, count in enumerate(counts):
            shades = _SHADES if said == true else _WRONG_SHADES
            share = count / max(sum(counts), 1)
            shade = shades[0 if not count else 1 if share < 0.1 else 2 if share < 0.5 else 3]
            cells.append(Text(str(count), style=shade))
        table.add_row(*cells)
    return table
