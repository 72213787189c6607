"""Samples divided into those to train on, to stop by, and to test on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nabi.data import stratified_split
from nabi.errors import ArgumentError
from nabi.models._classifier._columns import Columns, TableFormat
from nabi.models._classifier._held_out import HeldOut, check_same_columns, collect_part, note_repeated
from nabi.models._classifier._samples import Label, Samples, check_labels, collect_samples

__all__ = ["FEWEST_TEXTS", "Parts", "divide", "read_text_parts", "rows_of_texts"]


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
    others: Any = None,
    *,
    columns: Columns | None,
    held_out: HeldOut,
    table: TableFormat,
    label_separator: str | None = None,
) -> Parts:
    """Read texts with their labels and hold some out.

    Args:
        source, labels, aspects: as those of `TextClassifier.fit`.
        others: the cells of other columns by name, where `source` is texts.
        columns: of the table, where `source` is one.
        held_out: what is held out.
        table: how the files are to be read.
        label_separator: that of the classifier's settings.

    Raises:
        ArgumentError, MissingFileError, FileFormatError: as `TextClassifier.fit`.
    """
    collect = partial(collect_samples, label_separator=label_separator)
    samples = collect(source, labels, aspects, others, columns=columns, table=table)
    if labels is None and (columns is None or columns.label is None):
        raise ArgumentError("label: expected the column of a table, or labels with the texts, got neither")
    given = [
        collect_part(name, one, columns, "labels", partial(collect, table=table))
        for name, one in held_out.given.items()
    ]
    return replace(divide(samples, held_out, *given), columns=columns)


def divide(
    samples: Samples, held_out: HeldOut, validation: Samples | None = None, test: Samples | None = None
) -> Parts:
    """Hold out rows to stop by and rows to test on, so that each label has its share in both.

    Where texts occur in several rows (with other aspects, or twice), all rows of a text go to one part, if
    there are 50 different texts or more.

    Args:
        samples: all there are.
        held_out: how many of them are held out, where no others are given.
        validation: others to stop by.
        test: others to test on.

    Raises:
        ArgumentError: for shares that leave nothing to train on, and as `check_labels`.
    """
    of_validation, of_test = held_out.shares
    seed = held_out.seed
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
    for name, part in (("validation", validation), ("test", test)):
        notes += note_repeated(name, train.texts, None if part is None else part.texts)
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
