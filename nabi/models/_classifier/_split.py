"""Samples divided into those to train on, to stop by, and to test on."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nabi import _checks
from nabi.data import stratified_split
from nabi.errors import ArgumentError
from nabi.models._classifier._other_columns import Cells
from nabi.models._classifier._samples import (
    Columns,
    Label,
    Samples,
    TableFormat,
    check_labels,
    collect_samples,
    name_columns,
)

__all__ = [
    "FEWEST_TEXTS",
    "Parts",
    "check_same_columns",
    "check_shares",
    "divide",
    "note_repeated",
    "read_text_parts",
    "rows_of_texts",
]


FEWEST_TEXTS = 50
"""Different ones, from which on all rows of a text are held out together."""


@dataclass(frozen=True)
class Parts:
    """What a classifier is trained on, what says when to stop, and what it is tested on."""

    train: Samples
    validation: Samples | None
    test: Samples | None
    notes: tuple[str, ...] = ()
    columns: Columns | None = None
    """Of the table that they are from; None for lists."""


def read_text_parts(
    source: Any,
    labels: Sequence[Any] | None = None,
    aspects: Sequence[str] | None = None,
    *,
    text: str | None = None,
    label: str | Sequence[str] | None = None,
    aspect: str | None = None,
    columns: Any = None,
    validation: Any = None,
    test: Any = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    label_separator: str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
    seed: int = 0,
) -> Parts:
    """Read texts with their labels and hold some out; arguments and errors as those of `TextClassifier.fit`.

    `label_separator` and `seed` are those of the classifier's settings.
    """
    named = name_columns(source, text, label, aspect, columns)
    table = TableFormat(encoding, separator, quoted, header)
    samples = collect_samples(
        source, labels, aspects, columns, columns=named, label_separator=label_separator, table=table
    )
    if labels is None and (named is None or named.label is None):
        raise ArgumentError("label: expected the column of a table, or labels with the texts, got neither")
    given = [
        None if one is None else _collect_part(name, one, named, label_separator, table)
        for name, one in (("validation", validation), ("test", test))
    ]
    parts = divide(samples, *given, validation_share=validation_share, test_share=test_share, seed=seed)
    return replace(parts, columns=named)


def _collect_part(
    name: str, given: Any, columns: Columns | None, label_separator: str | None, table: TableFormat
) -> Samples:
    """Samples of `validation` or `test`: a table, `(texts, labels)`, with aspects and columns if any."""
    if isinstance(given, str | os.PathLike):
        if columns is None:
            raise ArgumentError(f"{name}: expected (texts, labels) as for the training rows, got a table")
        return collect_samples(given, columns=columns, label_separator=label_separator, table=table)
    if not isinstance(given, tuple) or not 2 <= len(given) <= 4:
        raise ArgumentError(
            f"{name}: expected the path of a table, or (texts, labels), got {_checks.short(given)}"
        )
    return collect_samples(*given, label_separator=label_separator)


def divide(
    samples: Samples,
    validation: Samples | None = None,
    test: Samples | None = None,
    *,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
) -> Parts:
    """Hold out rows to stop by and rows to test on, so that each label has its share in both.

    Where texts occur in several rows (with other aspects, or twice), all rows of a text go to one part, if
    there are 50 different texts or more.

    Args:
        samples: all there are.
        validation: rows to stop by; a share of `samples` where they are not given.
        test: rows to test on; likewise.
        validation_share: of all rows; 0 for none.
        test_share: of all rows; 0 for none.
        seed: of the choice.

    Raises:
        ArgumentError: for shares that leave nothing to train on, and as `check_labels`.
    """
    of_validation, of_test = check_shares(
        validation_share, test_share, validation is not None, test is not None
    )
    notes = [*samples.notes, *check_labels(samples)]
    _check_enough(samples, (of_validation > 0) + (of_test > 0))
    for name, given in (("validation", validation), ("test", test)):
        if given is not None:
            notes += [f"{name}: {note}" for note in given.notes]
            _check_like(samples, given, name)
    together = len(set(samples.texts)) >= FEWEST_TEXTS
    rest, test = _hold_out(samples, test, of_test, seed, together)
    share_of_rest = of_validation / (1 - of_test)
    train, validation = _hold_out(rest, validation, share_of_rest, seed, together)
    for name, held_out in (("validation", validation), ("test", test)):
        notes += note_repeated(name, train.texts, None if held_out is None else held_out.texts)
    return Parts(train, validation, test, tuple(notes))


def _check_enough(samples: Samples, parts: int) -> None:
    """Refuse so few rows that not every part can have two labels."""
    counts = Counter(name for label in samples.labels for name in _names(label))
    enough = sum(count > parts for count in counts.values())
    if parts and enough < (1 if samples.several else 2):
        also = "to stop by and to test on" if parts == 2 else "to measure on"
        raise ArgumentError(
            f"label: {len(samples):,} rows with {len(counts)} labels are too few to learn from and to hold "
            f"some out {also}: at least two labels need {parts + 1} rows or more; add rows, or give others "
            "with validation= and test="
        )


def check_shares(
    validation_share: float, test_share: float, has_validation: bool, has_test: bool
) -> tuple[float, float]:
    """Return which shares of the rows are held out to stop by and to test on; 0 for a part that is given.

    Raises:
        ArgumentError: for shares that leave nothing to train on, or nothing to measure on.
    """
    wanted = {
        "validation_share": 0.0 if has_validation else validation_share,
        "test_share": 0.0 if has_test else test_share,
    }
    for name, share in wanted.items():
        _checks.rate(name, share)
    if sum(wanted.values()) >= 1:
        raise ArgumentError(
            f"validation_share, test_share: {validation_share} and {test_share} leave no rows to train on"
        )
    if not (sum(wanted.values()) or has_validation or has_test):
        raise ArgumentError(
            "validation_share, test_share: one of them must be above 0, to know what was learnt"
        )
    return wanted["validation_share"], wanted["test_share"]


def note_repeated(name: str, trained: Sequence[str], held_out: Sequence[str] | None) -> list[str]:
    """Say how many of the texts held out are trained on too, if there are such."""
    known = set(trained)
    again = sum(text in known for text in held_out or ())
    if not again:
        return []
    return [
        f"{again:,} of the {len(held_out or ()):,} {name} rows have a text that is trained on too, "
        "which flatters the figures"
    ]


def _hold_out(
    samples: Samples, given: Samples | None, share: float, seed: int, together: bool
) -> tuple[Samples, Samples | None]:
    if given is not None or not share:
        return samples, given
    groups = rows_of_texts(samples.texts)
    if together and len(groups) < len(samples):
        kept, held_out = _split_groups(samples, groups, share, seed)
    else:
        kept, held_out = stratified_split(_as_classes(samples, samples.labels), share, seed=seed)
    return replace(samples.take(kept), notes=()), replace(samples.take(held_out), notes=())


def rows_of_texts(texts: Sequence[str]) -> list[list[int]]:
    """Return the rows of each text.

    A text that is trained on says nothing of new texts, so all its rows go to one side. Of few texts there
    would be too little left to learn from.
    """
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        rows.setdefault(text, []).append(row)
    return list(rows.values())


def _split_groups(samples: Samples, groups: list[list[int]], share: float, seed: int) -> tuple[Any, Any]:
    """Return the rows that are kept and those held out; each label has its share of the texts in both."""
    of_groups = [
        tuple(dict.fromkeys(name for row in rows for name in _names(samples.labels[row]))) for rows in groups
    ]
    alone = all(len(names) == 1 for names in of_groups)
    classes: Any = [names[0] for names in of_groups] if alone else _as_table(of_groups)
    kept, held_out = stratified_split(classes, share, seed=seed)
    parts = ([row for group in part.tolist() for row in groups[group]] for part in (kept, held_out))
    return next(parts), next(parts)


def _names(label: Label) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label


def _as_classes(samples: Samples, labels: Sequence[Label]) -> Any:
    """Return labels as `stratified_split` takes them."""
    return _as_table([_names(label) for label in labels]) if samples.several else labels


def _as_table(labels: Sequence[tuple[str, ...]]) -> Any:
    """Return 0 and 1 for each label `[N, labels]`."""
    names = sorted({name for label in labels for name in label})
    return np.array([[name in label for name in names] for label in labels], dtype=np.int64)


def check_same_columns(own: Cells | None, given: Cells | None, name: str) -> None:
    """Refuse rows that have not the same other columns as those to learn from.

    Raises:
        ArgumentError: for such rows.
    """
    if set(own or ()) != set(given or ()):
        wanted = ", ".join(own or ()) or "no other columns"
        raise ArgumentError(
            f"{name}: expected {wanted} beside the texts as in the training rows, got "
            f"{', '.join(given or ()) or 'none'}"
        )


def _check_like(samples: Samples, given: Samples, name: str) -> None:
    if given.several != samples.several or (given.aspects is None) != (samples.aspects is None):
        raise ArgumentError(
            f"{name}: expected rows with the same kind of labels and aspects as the training rows"
        )
    check_same_columns(samples.others, given.others, name)
    known = {one for label in samples.labels for one in ([label] if isinstance(label, str) else label)}
    for label in given.labels:
        for one in [label] if isinstance(label, str) else label:
            if one not in known:
                raise ArgumentError(f"{name}: it has the label {one!r}, which the training rows don't have")
