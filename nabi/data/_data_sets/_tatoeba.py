"""Tatoeba: English sentences with translations into Korean."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._tables._pairs import read_pairs

__all__ = ["TATOEBA"]


def _read_sentences(files: Sequence[Path]) -> tuple[Part, ...]:
    (path,) = files
    # Quotes in the sentences are plain characters; the third column names the authors.
    pairs = read_pairs(path, 0, 1, separator="\t", quoted=False)
    return ((pairs.sources, pairs.targets),)


TATOEBA = DataSet(
    "tatoeba",
    (Layout(("tatoeba_eng_kor.tsv",), _read_sentences), Layout(("kor.txt",), _read_sentences)),
    # The published file grows every week, so there is no address with stable contents.
    (),
)
