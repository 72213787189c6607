"""NSMC: short Korean film reviews, negative or positive."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._imdb import split_rows
from nabi.data._data_sets._sources import DataSet, Layout, Part

__all__ = ["NSMC"]


def _read_table(files: Sequence[Path]) -> tuple[Part, ...]:
    return split_rows(files[0])


NSMC = DataSet("nsmc", (Layout(("nsmc_sample.csv.xz",), _read_table),))
