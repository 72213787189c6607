"""COVID-19 fake news: posts that are real or fake, for training, validation and test."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._files import csv_rows
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.errors import FileFormatError

__all__ = ["FAKE_NEWS", "TRUTH"]

TRUTH = ("fake", "real")
_FILES = ("Constraint_Train.csv", "Constraint_Val.csv", "english_test_with_labels.csv")


def _read_tables(files: Sequence[Path]) -> tuple[Part, ...]:
    return tuple(_read_table(path) for path in files)


def _read_table(path: Path) -> Part:
    texts, labels = [], []
    for number, (text, label) in enumerate(csv_rows(path, ("tweet", "label")), 1):
        if label not in TRUTH:
            raise FileFormatError(f"path: {path}, row {number}: label {label!r}; expected is real or fake")
        texts.append(text)
        labels.append(label)
    return texts, labels


FAKE_NEWS = DataSet(
    "fake_news",
    (
        Layout(tuple(f"covid_fake_news_{name}" for name in _FILES), _read_tables),
        Layout(_FILES, _read_tables),
    ),
)
