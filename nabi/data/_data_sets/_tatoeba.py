"""Tatoeba: English sentences with translations into Korean."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._tables._pairs import read_pairs

__all__ = ["TATOEBA"]


def _read_sentences(files: Sequence[Path]) -> tuple[Part, ...]:
    (path,) = files
    # Sentences have quotes, and none of them closes a field; the third column says who wrote them.
    pairs = read_pairs(path, 0, 1, separator="\t", quoted=False)
    return ((pairs.sources, pairs.targets),)


TATOEBA = DataSet(
    "tatoeba",
    (Layout(("tatoeba_eng_kor.tsv",), _read_sentences), Layout(("kor.txt",), _read_sentences)),
    # What is published grows by the week, so no address always gives the same.
    (),
)
