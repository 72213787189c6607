"""Tatoeba: English sentences with translations into Korean, and a split in which no sentence is twice."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._pairs import read_pairs

__all__ = ["TATOEBA", "apart"]


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


def apart(part: Part, shares: Sequence[float], order: np.random.RandomState) -> list[Part]:
    """Divide pairs so that no sentence, of either side, is in two parts, not even with other punctuation.

    Pairs that have a sentence in common, directly or through others, stay together. Such groups are dealt out
    in random order: to the first of the shares as long as they fit, then to the next; the rest comes last.
    Within a part the order is that of the data.
    """
    groups = _connected(*part)
    result: list[list[int]] = [[] for _ in shares]
    rest: list[int] = []
    for number in order.permutation(len(groups)).tolist():
        group = groups[number]
        for rows, share in zip(result, shares, strict=True):
            if len(rows) + len(group) <= round(share * len(part[0])):
                rows.extend(group)
                break
        else:
            rest.extend(group)
    return [
        ([part[0][row] for row in sorted(rows)], [part[1][row] for row in sorted(rows)])
        for rows in (*result, rest)
    ]


def _connected(sources: list[str], targets: list[str]) -> list[list[int]]:
    """The rows of each group of pairs that have sentences in common."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(sentence: tuple[str, str]) -> tuple[str, str]:
        while (higher := above.setdefault(sentence, sentence)) != sentence:
            above[sentence] = above[higher]
            sentence = higher
        return sentence

    ends = [
        (("source", _essence(source)), ("target", _essence(target)))
        for source, target in zip(sources, targets, strict=True)
    ]
    for source, target in ends:
        above[top(source)] = top(target)
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (source, _) in enumerate(ends):
        groups.setdefault(top(source), []).append(row)
    return list(groups.values())


def _essence(sentence: str) -> str:
    """A sentence without case, punctuation and spaces."""
    return "".join(re.findall(r"\w+", unicodedata.normalize("NFKC", sentence).casefold()))
