"""Splitting pairs of texts into parts that have no text in common."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

__all__ = ["Part", "apart"]

Part = tuple[list[str], list[str]]
"""Sources and targets."""


def apart(
    pairs: Part, shares: Sequence[float], order: np.random.RandomState, *, targets_too: bool = True
) -> list[Part]:
    """Split pairs so that no text is in two parts, not even with different case, spaces or punctuation.

    Pairs that share a text, directly or through others, stay together. These groups are assigned in random
    order: each to the first part that still has room for it, otherwise to the last part. Within a part the
    order is that of the data.

    Args:
        pairs: sources and targets.
        shares: of the pairs, for all parts but the last.
        order: draws the order of the groups.
        targets_too: whether shared targets count as well as shared sources: they do for translations, but
            many questions may have the same answer.
    """
    groups = _connected(*pairs, targets_too)
    result: list[list[int]] = [[] for _ in shares]
    rest: list[int] = []
    for number in order.permutation(len(groups)).tolist():
        group = groups[number]
        for rows, share in zip(result, shares, strict=True):
            if len(rows) + len(group) <= round(share * len(pairs[0])):
                rows.extend(group)
                break
        else:
            rest.extend(group)
    return [
        ([pairs[0][row] for row in sorted(rows)], [pairs[1][row] for row in sorted(rows)])
        for rows in (*result, rest)
    ]


def _connected(sources: list[str], targets: list[str], targets_too: bool) -> list[list[int]]:
    """Return the rows of each group of pairs that share texts."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(text: tuple[str, str]) -> tuple[str, str]:
        while (higher := above.setdefault(text, text)) != text:
            above[text] = above[higher]
            text = higher
        return text

    ends = [
        (("source", _essence(source)), ("target", _essence(target)))
        for source, target in zip(sources, targets, strict=True)
    ]
    for source, target in ends if targets_too else ():
        above[top(source)] = top(target)
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (source, _) in enumerate(ends):
        groups.setdefault(top(source), []).append(row)
    return list(groups.values())


def _essence(text: str) -> str:
    """Return a text without case, punctuation and spaces; keep one that is all punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(re.findall(r"\w+", plain)) or plain
