"""Texts with their labels, from a table or from lists, checked before anything is trained."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nabi.data import folder_files
from nabi.errors import ArgumentError, UnknownNameError, unknown_name
from nabi.models._classifier._columns import UTF8, Columns, TableFormat
from nabi.models._classifier._other_columns import OtherColumns, taken
from nabi.models._classifier._rows import NAMED, Places, counted, is_missing
from nabi.models._classifier._table_rows import KeptRows, keep_rows, read_rows

__all__ = ["Label", "Samples", "check_known", "check_labels", "collect_samples"]

Label = str | tuple[str, ...]
"""One label, or with several at once those that a text has."""
# What can stand between several labels in a cell, and which share of the labels must look like it.
_SEPARATORS, _SHARE_JOINED = ";|,", 0.3
_SHARE_NOT_TEXTS = 0.9
_NUMBER_OR_DATE = re.compile(
    r"[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?\s*%?|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?"
)


@dataclass(frozen=True)
class Samples:
    """Texts with their labels."""

    texts: list[str]
    labels: list[Label]
    aspects: list[str] | None = None
    several: bool = False
    """Whether a text can have several labels at once."""
    declared: tuple[str, ...] = ()
    """Labels that have a column each, whether or not any text has them."""
    notes: tuple[str, ...] = ()
    """What a user should know about them, such as rows left out."""
    wrong: str = ""
    """Which rows could not be read, and why; "" if all could."""
    places: Places = field(default_factory=Places, compare=False)
    """How messages name what they are from."""
    positions: tuple[int, ...] = field(default=(), compare=False)
    """Of the rows in it; empty for a part of the samples that were read."""
    others: dict[str, list[Any]] | None = None
    """The cells of the other columns that are read beside the text, by name."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Any) -> "Samples":
        """Return some of them."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            positions=(),
            aspects=None if self.aspects is None else [self.aspects[row] for row in rows],
            others=taken(self.others, rows),
        )


def collect_samples(
    source: Any,
    labels: Sequence[Any] | None = None,
    aspects: Sequence[str] | None = None,
    others: Any = None,
    *,
    columns: Columns | None = None,
    label_separator: str | None = None,
    table: TableFormat = UTF8,
    known: OtherColumns | None = None,
) -> Samples:
    """Read samples from a table, or take them from lists.

    Rows without text or without label are left out, which a note says. A label is text; numbers become text.
    Several at once are lists, columns of 0 and 1, or text with a separator.

    Args:
        source: a path, or the texts.
        labels: one for each text, where `source` is texts.
        aspects: what each text is asked about, where `source` is texts.
        others: the cells of other columns by name, where `source` is texts.
        columns: of the table, where `source` is a path.
        label_separator: what stands between several labels in a text.
        table: how the file is to be read.
        known: what is known of the other columns of a table from the training, to check their cells by.

    Raises:
        MissingFileError, FileFormatError: as `nabi.data.read_table`.
        ArgumentError: for a missing column, a table or list without rows, and rows that are not text.
    """
    # One file of thousands that is no text is no reason to refuse the others.
    keeps_wrong = table.wrong_rows == "keep" or (
        isinstance(source, str | os.PathLike) and folder_files(source) is not None
    )
    rows = read_rows(
        source,
        labels,
        aspects,
        others,
        called="label",
        columns=columns,
        table=replace(table, wrong_rows="keep" if keeps_wrong else "raise"),
        known=known,
    )
    several = rows.values is not None and (
        label_separator is not None
        or any(isinstance(one, list | tuple | set | frozenset) for one in rows.values)
    )

    def as_label(value: Any, position: int) -> Label | None:
        return _as_label(value, several, label_separator, rows.places, position)

    kept: KeptRows[Label] = keep_rows(rows, as_label, "label", nothing="")
    samples = Samples(
        kept.texts,
        kept.values,
        kept.aspects,
        several,
        notes=kept.notes,
        wrong=rows.places.told,
        places=rows.places,
        positions=kept.positions,
        others=kept.others,
    )
    if samples.wrong and table.wrong_rows == "raise":
        samples = replace(samples, notes=(samples.wrong, *samples.notes), wrong="")
    if columns is not None and isinstance(columns.label, tuple):
        samples = replace(samples, declared=columns.label)
    return samples


def _as_label(
    value: Any, several: bool, separator: str | None, places: Places, position: int
) -> Label | None:
    """Return a label or several, None where there is none."""
    if several and isinstance(value, str) and separator is not None:
        parts: Any = value.split(separator)
    elif several and isinstance(value, list | tuple | set | frozenset):
        parts = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    elif is_missing(value):
        return None
    elif several:
        parts = [value]
    else:
        return _name(value, places, position) or None
    names = [_name(part, places, position) for part in parts if not is_missing(part)]
    return tuple(dict.fromkeys(name for name in names if name))


def _name(value: Any, places: Places, position: int) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value).strip()
    kind = type(value).__name__
    raise ArgumentError(
        f"label: expected text, a number or a list of them in {places.row(position)}, got {kind}"
    )


def check_labels(samples: Samples) -> list[str]:
    """Reject labels from which nothing can be learnt; return notes about rare ones.

    Raises:
        ArgumentError: for a single label, for a column that does not look like labels, and where fewer
            than two labels occur twice.
    """
    counts: Counter[str] = Counter()
    for label in samples.labels:
        counts.update([label] if isinstance(label, str) else label)
    nowhere = next((name for name in samples.declared if name not in counts), None)
    if nowhere is not None:
        raise ArgumentError(f"label: the column {nowhere} has 1 in no row, so nothing can be learnt from it")
    if len(counts) < 2 and not (samples.several and counts):
        given = f"only {next(iter(counts))!r}" if counts else "none"
        raise ArgumentError(f"label: expected at least two different labels, got {given}")
    if not samples.several and len(counts) > len(samples) / 2:
        raise ArgumentError(
            f"label: {len(counts):,} different labels in {len(samples):,} rows, such as "
            f"{_listed(list(counts))}: this does not look like a column of labels, which repeat"
        )
    notes = [note for note in (_several_in_one(samples, counts), _not_texts(samples)) if note]
    once = sorted(name for name, count in counts.items() if count == 1)
    if len(counts) - len(once) < (1 if samples.several else 2):
        raise ArgumentError(
            f"label: expected at least two labels that occur twice or more, to learn and to test; "
            f"seen once: {_listed(once)}"
        )
    if not once:
        return notes
    many = len(once) > 1
    return [
        *notes,
        f"{len(once)} label{'s are' if many else ' is'} seen once and cannot be tested, the row"
        f"{'s stay' if many else ' stays'} in training: {_listed(once)}",
    ]


def check_known(samples: Samples, labels: Sequence[str]) -> None:
    """Refuse labels that a classifier does not know.

    Raises:
        UnknownNameError: for such a label, with the number of rows that have it.
    """
    known = set(labels)
    own = [(one,) if isinstance(one, str) else one for one in samples.labels]
    unknown = {name: None for names in own for name in names if name not in known}
    if unknown:
        rows = sum(not known.issuperset(names) for names in own)
        first = next(iter(unknown))
        several = f" and {len(unknown) - 1:,} other labels" if len(unknown) > 1 else ""
        raise UnknownNameError(
            f"{unknown_name('label', first, known)}. {rows:,} of {len(own):,} rows have it{several}"
        )


def _several_in_one(samples: Samples, counts: Counter[str]) -> str:
    """Say that labels look like several in one cell, if they do.

    Their parts are labels of other rows, or come up in many other labels.
    """
    if samples.several:
        return ""
    for separator in _SEPARATORS:
        joined = [name for name in counts if separator in name.strip(separator)]
        parts = Counter(part.strip() for name in counts for part in name.split(separator))
        again = [name for name in joined if any(parts[part.strip()] > 1 for part in name.split(separator))]
        if not (len(again) > 1 and len(again) >= _SHARE_JOINED * len(counts)):
            again = [name for name in joined if all(part.strip() in counts for part in name.split(separator))]
        if again:
            rows = sum(counts[name] for name in again)
            seems = "seems" if rows == 1 else "seem"
            return (
                f"label: {counted(rows)} {seems} to have several labels in one cell"
                f"{samples.places.column('label')}, such as {again[0]!r}{_first_row(samples, again[0])}, and "
                "each combination is learnt as a label of its own; "
                f"label_separator={separator!r} takes them apart"
            )
    return ""


def _first_row(samples: Samples, label: str) -> str:
    """Return in which row a label stands first."""
    if not samples.positions:
        return ""
    return f" in {samples.places.row(samples.positions[samples.labels.index(label)])}"


def _not_texts(samples: Samples) -> str:
    """Say that the texts are numbers or dates, if nearly all are."""
    found = [text for text in samples.texts if _NUMBER_OR_DATE.fullmatch(text)]
    if len(found) < _SHARE_NOT_TEXTS * len(samples):
        return ""
    return (
        f"text: {len(found):,} of {counted(len(samples))} hold a number or a date"
        f"{samples.places.column('text')}, such as {found[0]!r}, which is read like a word; name the column "
        "of the texts, or for measurements in time see target= and time=, for series with labels id="
    )


def _listed(names: list[str]) -> str:
    shown = [name if len(name) <= 40 else name[:39] + "…" for name in names[:NAMED]]
    return ", ".join(shown) + (", …" if len(names) > NAMED else "")
