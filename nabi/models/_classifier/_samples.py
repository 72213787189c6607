"""Texts with their labels, from a table or from lists, checked before anything is trained."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from nabi import _checks
from nabi.data import Table, folder_files, read_table
from nabi.errors import ArgumentError, UnknownNameError, unknown_name
from nabi.models._classifier._other_columns import OtherColumns, as_cells, taken
from nabi.models._classifier._rows import NAMED, Places, as_list, as_text, counted, is_missing
from nabi.models._task._described import check_fields

__all__ = [
    "Columns",
    "Label",
    "Samples",
    "TableFormat",
    "check_known",
    "check_labels",
    "collect_samples",
    "name_columns",
]

Label = str | tuple[str, ...]
"""One label, or with several at once those that a text has."""
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}
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
    others: tuple[str, ...] = ()
    """Columns that are read beside the text."""

    def __post_init__(self) -> None:
        names = [name for name in self.names if name is not None]
        if len(set(names)) < len(names):
            given = "text, label, aspect" + (", columns" if self.others else "")
            raise ArgumentError(f"{given}: expected different columns, got {', '.join(names)}")

    @property
    def names(self) -> list[str]:
        """All columns."""
        labels = [self.label] if isinstance(self.label, str) else list(self.label or ())
        return [self.text, *labels, *([] if self.aspect is None else [self.aspect]), *self.others]

    def to_list(self) -> list[Any]:
        """Return what a file holds."""
        return [self.text, self.label, self.aspect, *([self.others] if self.others else [])]

    @classmethod
    def from_list(cls, described: Any) -> Self:
        """Make the columns that `to_list` described.

        Raises:
            ArgumentError, TypeError, ValueError: for something else.
        """
        text, label, aspect, *others = described
        label = tuple(label) if isinstance(label, list) else label
        found = {"text": text, "label": label, "aspect": aspect, "others": tuple(others[0]) if others else ()}
        check_fields(cls, found, "columns")
        return cls(**found)


def name_columns(
    source: Any,
    text: str | None,
    label: str | Sequence[str] | None,
    aspect: str | None,
    others: Any = None,
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
    if others is not None and (
        isinstance(others, str | Mapping) or not all(isinstance(one, str) for one in others)
    ):
        raise ArgumentError(
            f"columns: expected a list of names of columns for a table, got {_checks.short(others)}"
        )
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
    return Columns(text, label, aspect, tuple(others or ()))


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
        named = {"text": columns.text} | ({"label": columns.label} if isinstance(columns.label, str) else {})
        texts, places = found[columns.text], Places(found, keeps_wrong, named)
        own = _labels_of(found, columns, places)
        joined = found.note
        about = None if columns.aspect is None else found[columns.aspect]
        cells = {name: found[name] for name in columns.others} or None
        if cells is not None and known is not None:
            known.check(cells, places)
    else:
        texts, places, joined = as_list("texts", source), Places(), ""
        own = None if labels is None else as_list("labels", labels)
        about = None if aspects is None else as_list("aspects", aspects)
        for name, values in (("labels", own), ("aspects", about)):
            if values is not None and len(values) != len(texts):
                raise ArgumentError(f"{name}: expected {len(texts)}, one for each text, got {len(values)}")
        cells = as_cells(others, len(texts))
    if not texts:
        raise ArgumentError(f"{places.what}: it has no rows")
    samples = _cleaned(texts, own, about, label_separator, places)
    samples = replace(samples, others=taken(cells, samples.positions))
    if joined:
        samples = replace(samples, notes=(joined, *samples.notes))
    if samples.wrong and table.wrong_rows == "raise":
        samples = replace(samples, notes=(samples.wrong, *samples.notes), wrong="")
    if columns is not None and isinstance(columns.label, tuple):
        samples = replace(samples, declared=columns.label)
    return samples


def _labels_of(table: Table, columns: Columns, places: Places) -> list[Any] | None:
    if columns.label is None:
        return None
    if isinstance(columns.label, str):
        return table[columns.label]
    found: list[Any] = [()] * len(table)
    for name in columns.label:
        for position, value in enumerate(table[name]):
            if found[position] is None or is_missing(value):
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
    places: Places,
) -> Samples:
    several = labels is not None and (
        label_separator is not None or any(isinstance(one, list | tuple | set | frozenset) for one in labels)
    )
    kept_texts: list[str] = []
    kept_labels: list[Label] = []
    kept_aspects: list[str] = []
    positions: list[int] = []
    without: Counter[str] = Counter()
    for position, value in enumerate(texts):
        if position in places.wrong:
            continue
        label: Label | None = ""
        try:
            text = as_text(value, "text", places, position)
            if labels is not None:
                label = _as_label(labels[position], several, label_separator, places, position)
            about = "" if aspects is None else as_text(aspects[position], "aspect", places, position)
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
        positions.append(position)
    if not kept_texts:
        missing = " and ".join(without)
        if not without:
            raise ArgumentError(places.told)
        raise ArgumentError(f"{places.what}: all {len(texts):,} rows are without {missing}")
    notes = [
        f"{counted(count)} without {missing} {'is' if count == 1 else 'are'} left out"
        for missing, count in sorted(without.items())
    ]
    return Samples(
        kept_texts,
        kept_labels,
        None if aspects is None else kept_aspects,
        several,
        notes=tuple(notes),
        wrong=places.told,
        places=places,
        positions=tuple(positions),
    )


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
