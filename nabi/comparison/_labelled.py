"""Sequences of a file that have a label each: texts of a table, or series of a `.ts` file."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.comparison._task import PARTS, Batch, Task, accuracy
from nabi.data import Tokenizer, folder_files, pad_sequences, read_table, read_ts, stratified_split
from nabi.errors import ArgumentError, TableWarning

__all__ = ["labelled_series", "labelled_texts"]

_WORDS = 10_000
_LENGTH_OF_TEXTS = 100
_HELD_OUT = 0.15


def labelled_texts(
    file: str | os.PathLike[str],
    text: str,
    label: str,
    length: int | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> Task:
    """Return the task of naming the label of a text, which is read word by word.

    The 10,000 most frequent words are told apart. Of a text longer than `length` words, by default 100, the
    last ones are read. 15 % of the rows are held out to validate and 15 % to test, the same for every seed.

    Args:
        file: a table as `nabi.data.read_table` reads it.
        text: the column of the texts.
        label: the column of the labels.
        length: words of a text, at most.
        encoding: of the file; likewise `separator`, `quoted` and `header` as `read_table` takes them.

    Raises:
        NabiError: as `read_table`.
        ArgumentError: there are not two labels with enough rows.
    """
    path = _checks.path("file", file)
    length = _LENGTH_OF_TEXTS if length is None else _checks.whole("length", length)
    table = read_table(
        path,
        [text, label],
        encoding=encoding,
        separator=separator,
        quoted=quoted,
        header=header,
        # A folder may have files that are no texts.
        wrong_rows="raise" if folder_files(path) is None else "keep",
    )
    rows = [row for row, one in enumerate(table[label]) if one not in (None, "") and row not in table.wrong]
    for what in table.wrong.values():
        warnings.warn(f"{path}: {what}", TableWarning, stacklevel=2)
    texts = [str(table[text][row] or "") for row in rows]
    labels = [str(table[label][row]) for row in rows]
    parts = _split(labels, f"{path.name}: {label}")
    tokenizer = Tokenizer(num_words=_WORDS)
    tokenizer.fit_on_texts([texts[row] for row in parts["training"]])
    x = pad_sequences(tokenizer.texts_to_sequences(texts), length, padding="post").astype(np.int64)
    words = min(_WORDS, len(tokenizer.word_index) + 1)
    return _task(path, x, labels, parts, features=words, symbols=True, masked=True)


def labelled_series(file: str | os.PathLike[str], length: int | None = None, encoding: str = "utf-8") -> Task:
    """Return the task of naming the label of a series of a `.ts` file.

    Each channel is brought to mean 0 and variance 1; a missing value is 0. Of a series longer than `length`
    steps, by default the longest, the last ones are read. Parts as in `labelled_texts`.

    Raises:
        NabiError: as `nabi.data.read_ts`.
        ArgumentError: the file has no labels, or not two with enough series.
    """
    path = _checks.path("file", file)
    read = read_ts(path, encoding=encoding)
    if read.labels is None or read.header.has_targets:
        raise ArgumentError(f"task: expected a file with class labels, got {path}")
    rows = [row for row, one in enumerate(read.labels) if one is not None]
    labels = [str(read.labels[row]) for row in rows]
    series = [read.series[row] for row in rows]
    longest = max(len(one) for one in series)
    length = longest if length is None else min(longest, _checks.whole("length", length))
    parts = _split(labels, path.name)
    known = np.ma.masked_invalid(np.concatenate([series[row] for row in parts["training"]]))
    mean, deviation = known.mean(0).filled(0), known.std(0).filled(0)
    x = np.zeros((len(series), length, known.shape[1]), np.float32)
    for row, one in enumerate(series):
        scaled = (one[-length:] - mean) / np.where(deviation > 0, deviation, 1)
        x[row, : len(scaled)] = np.nan_to_num(scaled)
    differ = any(len(one) < length for one in series)
    return _task(path, x, labels, parts, features=known.shape[1], symbols=False, masked=differ)


def _split(labels: Sequence[str], what: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rows of each part."""
    counts = Counter(labels)
    if len(counts) < 2 or min(counts.values()) < 3:
        raise ArgumentError(
            f"task: expected at least two labels with three rows each in {what}, got "
            + (", ".join(f"{label} ({count})" for label, count in counts.most_common()[:10]) or "none")
        )
    kept, test = stratified_split(labels, _HELD_OUT)
    train, validation = stratified_split([labels[row] for row in kept], _HELD_OUT / (1 - _HELD_OUT))
    return dict(zip(PARTS, (kept[train], kept[validation], test), strict=True))


def _task(
    path: Path,
    x: npt.NDArray[Any],
    labels: Sequence[str],
    parts: dict[str, npt.NDArray[np.int64]],
    **shape: Any,
) -> Task:
    classes = sorted(set(labels))
    numbers = {label: number for number, label in enumerate(classes)}
    y = np.array([numbers[label] for label in labels], np.int64)

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        rows = parts[part]
        chosen = generator.choice(rows, count) if part == "training" else rows[:count]
        return x[chosen], y[chosen]

    frequent = int(np.bincount(y[parts["training"]]).argmax())
    return Task(
        path.name, f"{len(y):,} sequences of {len(classes)} classes", x.shape[1], x.shape[1], draw,
        outputs=len(classes), measure=accuracy, baseline=float((y[parts["test"]] == frequent).mean()),
        baseline_of=f"always answering {classes[frequent]}",
        held_out=(len(parts["validation"]), len(parts["test"])), **shape,
    )  # fmt: skip
