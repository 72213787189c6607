"""NSMC: short Korean film reviews, negative or positive."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sentiments import read_split_table, sentiments
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._tables._tables import read_table

__all__ = ["NSMC"]

_HOME = "https://raw.githubusercontent.com/e9t/nsmc/master"


def _read_ratings(files: Sequence[Path]) -> tuple[Part, ...]:
    return tuple(_read_part(path) for path in files)


def _read_part(path: Path) -> Part:
    # Quotes in the reviews are plain characters.
    table = read_table(path, ("document", "label"), separator="\t", quoted=False)
    return table["document"], sentiments(table)


NSMC = DataSet(
    "nsmc",
    (
        Layout(("ratings_train.txt", "ratings_test.txt"), _read_ratings),
        Layout(("nsmc_sample.csv.xz",), read_split_table),
    ),
    # Sizes and checksums as published with Hugging Face Datasets.
    (
        RemoteFile(
            "ratings_train.txt",
            (f"{_HOME}/ratings_train.txt",),
            14_628_807,
            "e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940",
        ),
        RemoteFile(
            "ratings_test.txt",
            (f"{_HOME}/ratings_test.txt",),
            4_893_335,
            "8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda",
        ),
    ),
)
