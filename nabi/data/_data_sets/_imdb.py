"""IMDB: 50,000 film reviews, half for training, half for test, half of each positive."""

import re
from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._archives import archive_members
from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sentiments import SENTIMENTS, read_split_table, training_and_test
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.errors import FileFormatError

__all__ = ["IMDB"]

# The archive also has unlabelled reviews, in train/unsup.
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/[^/]+\.txt")


def _read_archive(files: Sequence[Path]) -> tuple[Part, ...]:
    (path,) = files
    parts: dict[str, Part] = {"train": ([], []), "test": ([], [])}
    for found, content in archive_members(path, _REVIEW):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise FileFormatError(f"path: {path}: {found[0]} is not UTF-8 ({problem})") from problem
        texts, labels = parts[found[1]]
        texts.append(text)
        labels.append(SENTIMENTS[found[2] == "pos"])
    return training_and_test(path, parts)


IMDB = DataSet(
    "imdb",
    (
        Layout(("imdb.csv.xz",), read_split_table),
        Layout(("aclImdb_v1.tar.gz",), _read_archive),
    ),
    (
        RemoteFile(
            "aclImdb_v1.tar.gz",
            ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
            84_125_825,
            # As published with TensorFlow Datasets.
            "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        ),
    ),
)
