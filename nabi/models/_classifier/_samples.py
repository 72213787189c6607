"""Texts with their labels, from a table or from lists, checked before anything is trained."""

import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi.data import Table, folder_files, read_table
from nabi.errors import ArgumentError

__all__ = ["Columns", "Label", "Samples", "TableFormat", "check_labels", "collect_samples", "name_columns"]

Label = str | tuple[str, ...]
"""One label, or with several at once those that a text has."""
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}
_NAMED = 5  # labels in a message
# What can stand between several labels in a cell, and which share of the labels must look like it.
_SEPARATORS, _SHARE_JOINED = ";|,", 0.3
_SHARE_NOT_TEXTS = 0.9
_NUMBER_OR_DATE = re.compile(
    r"[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?\s*%?|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?"
)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what; `label` is one, or several of 0 and 1."""

    text: str
    label: str | tuple[str, ...] | None = None
    aspect: str | None = None

    def __post_init__(self) -> None:
        names = [name for name in self.names if name is not None]
        if len(set(names)) < len(names):
            raise ArgumentError(f"text, label, aspect: expected different columns, got {', '.join(names)}")

    @property
    def names(self) -> list[str]:
        """All columns."""
        labels = [self.label] if isinstance(self.label, str) else list(self.label or ())
        return [self.text, *labels, *([] if self.aspect is None else [self.aspect])]


def name_columns(
    source: Any, text: str | None, label: str | Sequence[str] | None, aspect: str | None
) -> Columns | None:
    """Return the columns of a table that are named; None for lists, and for a table without a name.

    A folder of texts needs no names: its labels are those of the subfolders.

    Raises:
        ArgumentError: for names beside lists, which have no columns.
    """
    if not isinstance(source, str | os.PathLike):
        for name, given in (("text", text), ("label", label), ("aspect", aspect)):
            if given is not None:
                raise ArgumentError(
                    f"{name}: expected a table to go with a column, got texts and {name}={given!r}"
                )
        return None
    files = folder_files(source)
    if files is not None:
        text = "text" if text is None else text
        label = "label" if label is None and files.has_labels else label
    if text is None:
        return None
    if label is not None and not isinstance(label, str):
        columns = tuple(label)
        if not all(isinstance(column, str) for column in columns):
            raise ArgumentError(
                f"label: expected the name of a column or several, got {_checks.short(label)}"
            )
        label = columns if len(columns) != 1 else columns[0]
    return Columns(text, label, aspect)


@dataclass(frozen=True)
class TableFormat:
    """How a table is to be read; arguments of `nabi.data.read_table`."""

    encoding: str = "utf-8"
    separator: str | None = None
    quoted: bool = True
    header: bool = True
    wrong_rows: str = "raise"


UTF8 = TableFormat()


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

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Any) -> "Samples":
        """Return some of them."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            aspects=None if self.aspects is None else [self.aspects[row] for row in rows],
        )


def collect_samples(
    source: Any,
    labels: Sequence[Any] | None = None,
    aspects: Sequence[str] | None = None,
    *,
    columns: Columns | None = None,
    label_separator: str | None = None,
    table: TableFormat = UTF8,
) -> Samples:
    """Read samples from a table, or take them from lists.

    Rows without text or without label are left out, which a note says. A label is text; numbers become text.
    Several at once are lists, columns of 0 and 1, or text with a separator.

    Args:
        source: a path, or the texts.
        labels: one for each text, where `source` is texts.
        aspects: what each text is asked about, where `source` is texts.
        columns: of the table, where `source` is a path.
        label_separator: what stands between several labels in a text.
        table: how the file is to be read.

    Raises:
        MissingFileError, FileFormatError: as `nabi.data.read_table`.
        ArgumentError: for a missing column, a table or list without rows, and rows that are not text.
    """
    if isinstance(source, str | os.PathLike):
        if columns is None:
            raise ArgumentError(
                f"text: {os.fspath(source)!r} is taken as the path of a table; give text= (and label=), the "
                "names of its columns, or a list of texts"
            )
        if labels is not None or aspects is not None:
            raise ArgumentError(
                "labels: expected None for a table, which has its own labels; name their column with label="
            )
        # One file of thousands that is no text is no reason to refuse the others.
        keeps_wrong = table.wrong_rows == "keep" or folder_files(source) is not None
        reading = replace(table, wrong_rows="keep" if keeps_wrong else "raise")
        found = read_table(source, columns.names, **asdict(reading))
        texts, places = found[columns.text], _Places(found, keeps_wrong)
        own = _labels_of(found, columns, places)
        joined = found.note
        about = None if columns.aspect is None else found[columns.aspect]
    else:
        texts, places, joined = _as_list("texts", source), _Places(), ""
        own = None if labels is None else _as_list("labels", labels)
        about = None if aspects is None else _as_list("aspects", aspects)
        for name, values in (("labels", own), ("aspects", about)):
            if values is not None and len(values) != len(texts):
                raise ArgumentError(f"{name}: expected {len(texts)}, one for each text, got {len(values)}")
    if not texts:
        raise ArgumentError(f"{places.what}: it has no rows")
    samples = _cleaned(texts, own, about, label_separator, places)
    if joined:
        samples = replace(samples, notes=(joined, *samples.notes))
    if samples.wrong and table.wrong_rows == "raise":
        samples = replace(samples, notes=(samples.wrong, *samples.notes), wrong="")
    if columns is not None and isinstance(columns.label, tuple):
        samples = replace(samples, declared=columns.label)
    return samples


class _Places:
    """How error messages name a row."""

    def __init__(self, table: Table | None = None, keeps_wrong: bool = False) -> None:
        self._table, self.keeps_wrong = table, keeps_wrong
        self.wrong = dict(table.wrong) if table is not None else {}
        """What is wrong with rows that are passed over."""
        self.what = "texts" if table is None else str(Path(table.path).name)

    @property
    def told(self) -> str:
        """What is wrong with rows that are passed over, in a sentence; "" where there are none."""
        if not self.wrong:
            return ""
        first = [what for _, what in sorted(self.wrong.items())[:_NAMED]]
        more = f"; and {len(self.wrong) - len(first):,} more" if len(self.wrong) > len(first) else ""
        are = "row cannot be read and is" if len(self.wrong) == 1 else "rows cannot be read and are"
        return f"{self.what}: {len(self.wrong):,} {are} left out: {'; '.join(first)}{more}"

    def row(self, position: int) -> str:
        if self._table is None:
            return f"texts[{position}]"
        return f"row {position + self._table.first_row} of {self.what}"


def _as_list(name: str, values: Any) -> list[Any]:
    single = isinstance(values, str | bytes) or not hasattr(values, "__iter__")
    if single or getattr(values, "ndim", 1) == 0:
        raise ArgumentError(f"{name}: expected a list, got {_checks.short(values)}")
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _labels_of(table: Table, columns: Columns, places: _Places) -> list[Any] | None:
    if columns.label is None:
        return None
    if isinstance(columns.label, str):
        return table[columns.label]
    found: list[Any] = [()] * len(table)
    for name in columns.label:
        for position, value in enumerate(table[name]):
            if found[position] is None or _is_missing(value):
                found[position] = None
            elif _truth(value, name, places.row(position)):
                found[position] = (*found[position], name)
    return found


def _truth(value: Any, column: str, row: str) -> bool:
    written = str(value).strip().lower().removesuffix(".0")
    if written not in _TRUE | _FALSE:
        raise ArgumentError(
            f"label: expected 0 or 1 in each of several columns, got {value!r} in {column}, {row}"
        )
    return written in _TRUE


def _cleaned(
    texts: list[Any],
    labels: list[Any] | None,
    aspects: list[Any] | None,
    label_separator: str | None,
    places: _Places,
) -> Samples:
    several = labels is not None and (
        label_separator is not None or any(isinstance(one, list | tuple | set | frozenset) for one in labels)
    )
    kept_texts: list[str] = []
    kept_labels: list[Label] = []
    kept_aspects: list[str] = []
    without: Counter[str] = Counter()
    for position, value in enumerate(texts):
        if position in places.wrong:
            continue
        label: Label | None = ""
        try:
            text = _as_text(value, "text", places, position)
            if labels is not None:
                label = _as_label(labels[position], several, label_separator, places, position)
            about = "" if aspects is None else _as_text(aspects[position], "aspect", places, position)
        except ArgumentError as problem:
            if not places.keeps_wrong:
                raise
            places.wrong[position] = str(problem)
            continue
        if not text or label is None or (aspects is not None and not about):
            without["text" if not text else "label" if label is None else "aspect"] += 1
            continue
        kept_texts.append(text)
        kept_labels.append(label)
        kept_aspects.append(about)
    if not kept_texts:
        missing = " and ".join(without)
        if not without:
            raise ArgumentError(places.told)
        raise ArgumentError(f"{places.what}: all {len(texts):,} rows are without {missing}")
    notes = [
        f"{_rows(count)} without {missing} {'is' if count == 1 else 'are'} left out"
        for missing, count in sorted(without.items())
    ]
    return Samples(
        kept_texts,
        kept_labels,
        None if aspects is None else kept_aspects,
        several,
        notes=tuple(notes),
        wrong=places.told,
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""


def _as_text(value: Any, what: str, places: _Places, position: int) -> str:
    """Return the text, stripped; "" for none."""
    if isinstance(value, str):
        return value.strip()
    if _is_missing(value):
        return ""
    if isinstance(value, int | float):
        return str(value)
    raise ArgumentError(f"{what}: expected text in {places.row(position)}, got {type(value).__name__}")


def _as_label(
    value: Any, several: bool, separator: str | None, places: _Places, position: int
) -> Label | None:
    """Return a label or several, None where there is none."""
    if several and isinstance(value, str) and separator is not None:
        parts: Any = value.split(separator)
    elif several and isinstance(value, list | tuple | set | frozenset):
        parts = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    elif _is_missing(value):
        return None
    elif several:
        parts = [value]
    else:
        return _name(value, places, position) or None
    names = [_name(part, places, position) for part in parts if not _is_missing(part)]
    return tuple(dict.fromkeys(name for name in names if name))


def _name(value: Any, places: _Places, position: int) -> str:
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


def _several_in_one(samples: Samples, counts: Counter[str]) -> str:
    """Say that labels look like several in one cell, if they do: parts of them come up in other labels."""
    if samples.several:
        return ""
    for separator in _SEPARATORS:
        joined = [name for name in counts if separator in name.strip(separator)]
        parts = Counter(part.strip() for name in counts for part in name.split(separator))
        again = [name for name in joined if any(parts[part.strip()] > 1 for part in name.split(separator))]
        if len(again) > 1 and len(again) >= _SHARE_JOINED * len(counts):
            rows = sum(counts[name] for name in again)
            return (
                f"label: {_rows(rows)} seem to have several labels in one cell, such as {again[0]!r}, and "
                "each combination is learnt as a label of its own; "
                f"label_separator={separator!r} takes them apart"
            )
    return ""


def _not_texts(samples: Samples) -> str:
    """Say that the texts are numbers or dates, if nearly all are."""
    found = [text for text in samples.texts if _NUMBER_OR_DATE.fullmatch(text)]
    if len(found) < _SHARE_NOT_TEXTS * len(samples):
        return ""
    return (
        f"text: {len(found):,} of {_rows(len(samples))} hold a number or a date, such as {found[0]!r}, which "
        "is read like a word; for measurements in time see target= and time=, for series with labels id="
    )


def _listed(names: list[str]) -> str:
    shown = [name if len(name) <= 40 else name[:39] + "…" for name in names[:_NAMED]]
    return ", ".join(shown) + (", …" if len(names) > _NAMED else "")
