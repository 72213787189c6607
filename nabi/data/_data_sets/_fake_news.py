"""COVID-19 fake news: real and fake posts, for training, validation and test."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._tables._tables import read_table
from nabi.errors import FileFormatError

__all__ = ["FAKE_NEWS", "TRUTH"]

TRUTH = ("fake", "real")

_FILES = ("Constraint_Train.csv", "Constraint_Val.csv", "english_test_with_labels.csv")
# Pinned to the commit that published them.
_HOME = "https://raw.githubusercontent.com/diptamath/covid_fake_news/27ea596ae17f7f4b5733aeb69185227086f22fc9/data"


def _read_tables(files: Sequence[Path]) -> tuple[Part, ...]:
    return tuple(_read_part(path) for path in files)


def _read_part(path: Path) -> Part:
    table = read_table(path, ("tweet", "label"))
    for row, label in enumerate(table["label"], 1):
        if label not in TRUTH:
            raise FileFormatError(f"path: {path}, row {row}, label: expected real or fake, got {label!r}")
    return table["tweet"], table["label"]


FAKE_NEWS = DataSet(
    "fake_news",
    (
        Layout(tuple(f"covid_fake_news_{name}" for name in _FILES), _read_tables),
        Layout(_FILES, _read_tables),
    ),
    # Sizes and checksums are of copies with the same number of characters as the files of that commit.
    (
        RemoteFile(
            _FILES[0],
            (f"{_HOME}/{_FILES[0]}",),
            1_253_562,
            "441f3985bb76eb69d1e488cf292f80add96c4dddfa43ba7c060889607837ddce",
        ),
        RemoteFile(
            _FILES[1],
            (f"{_HOME}/{_FILES[1]}",),
            412_789,
            "c610931d0641fe1d9b9495c453f99ae7aa45bf294c7db6333ec84ecebb0b6c3c",
        ),
        RemoteFile(
            _FILES[2],
            (f"{_HOME}/{_FILES[2]}",),
            424_950,
            "7152fc681884a22013218c5dd9a73c6fd99d4b084705723e1e49d18c97ca8281",
        ),
    ),
)
