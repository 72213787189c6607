"""IMDB: 50,000 film reviews, half of them for the test, half of each positive."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._files import csv_rows
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.errors import FileFormatError

__all__ = ["IMDB", "SENTIMENTS", "split_rows"]

SENTIMENTS = ("negative", "positive")


def split_rows(path: Path) -> tuple[Part, ...]:
    """Read a CSV file with columns split (train, test), label (0, 1) and text: training and test part."""
    parts: dict[str, Part] = {"train": ([], []), "test": ([], [])}
    for number, (split, label, text) in enumerate(csv_rows(path, ("split", "label", "text")), 1):
        if split not in parts or label not in ("0", "1"):
            raise FileFormatError(
                f"path: {path}, row {number}: split {split!r} and label {label!r}; expected are train or "
                "test, and 0 or 1"
            )
        parts[split][0].append(text)
        parts[split][1].append(SENTIMENTS[int(label)])
    return parts["train"], parts["test"]


def _read_table(files: Sequence[Path]) -> tuple[Part, ...]:
    return split_rows(files[0])


IMDB = DataSet("imdb", (Layout(("imdb.csv.xz",), _read_table),))
