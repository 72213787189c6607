"""Text, character by character."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.comparison._task import Batch, Measure, Task
from nabi.data import TextFile, source_lines
from nabi.errors import ArgumentError, MissingFileError

__all__ = ["characters"]

_PLAYS = "tiny_shakespeare.txt"
_KINDS = 256  # of characters, at most
_LEAST_WINDOWS = 4  # that each held-out part is as long as
_SHARE = 0.1
_HELD_OUT = (100, 400)


def characters(
    length: int = 100, file: str | os.PathLike[str] | None = None, encoding: str = "utf-8"
) -> Task:
    """Return the task of predicting every next character of a text.

    A sequence is a piece of `length` characters from anywhere in the text, of which the last two tenths are
    held out. The figure is the bits per character of the probabilities of the network; its baseline, those
    of the frequencies with which one character follows another. The 255 most frequent characters are told
    apart.

    Args:
        length: of a piece.
        file: the text, or a folder of texts; by default tiny Shakespeare in the folder NABI_DATA, and the
            help texts that come with Python where that is not set.
        encoding: of the file.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is no text of this encoding.
        ArgumentError: the text is too short.
    """
    length = _checks.whole("length", length, least=2)
    text, source = _read(file, encoding)
    held_out = int(len(text) * _SHARE)
    if held_out < _LEAST_WINDOWS * (length + 1):
        raise ArgumentError(
            f"length: expected a text of at least {10 * _LEAST_WINDOWS * (length + 1):,} characters for "
            f"pieces of {length}, got {len(text):,} in {source}"
        )
    codes, kinds = _coded(text, len(text) - 2 * held_out)
    parts = {
        "training": codes[: -2 * held_out],
        "validation": codes[-2 * held_out : -held_out],
        "test": codes[-held_out:],
    }

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        whole = parts[part]
        starts = generator.integers(0, len(whole) - length, count)
        pieces = whole[starts[:, None] + np.arange(length + 1)]
        return pieces[:, :-1], pieces[:, 1:]

    return Task(
        "characters", source, length, length, draw, features=kinds, symbols=True, outputs=kinds,
        every_step=True, measure=Measure("bits per character", True, _bits),
        baseline=_bits_of_pairs(parts["training"], parts["test"], kinds),
        baseline_of="knowing the last character alone", held_out=_HELD_OUT,
    )  # fmt: skip


def _read(file: str | os.PathLike[str] | None, encoding: str) -> tuple[str, str]:
    """Return the text and what it is."""
    if file is not None:
        path = _checks.path("file", file)
        return "".join(source_lines(path, encoding)), path.name
    folder = os.environ.get("NABI_DATA", "").strip()
    for place in (Path(folder).expanduser() / _PLAYS, Path(folder).expanduser() / "text" / _PLAYS):
        if folder and place.is_file():
            return "".join(TextFile(place).lines()), "tiny Shakespeare"
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise MissingFileError(
            "task: this Python has no help texts to read characters of; give a text file as the task"
        ) from None
    return "\n".join(topics[name] for name in sorted(topics)), "the help texts of Python"


def _coded(text: str, until: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the codes of a text and how many there are; rare characters share the last one."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known, counts = np.unique(points[:until], return_counts=True)
    kept = np.sort(known[np.argsort(-counts, kind="stable")[: _KINDS - 1]])
    codes = np.minimum(np.searchsorted(kept, points), len(kept) - 1)
    codes[kept[codes] != points] = len(kept)
    return codes.astype(np.int64), len(kept) + 1


def _bits(outputs: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float:
    chosen = np.take_along_axis(outputs, answers[..., None], -1)
    return float(-np.log2(np.maximum(chosen, 1e-30)).mean())


def _bits_of_pairs(train: npt.NDArray[np.int64], test: npt.NDArray[np.int64], kinds: int) -> float:
    counts = np.zeros((kinds, kinds))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    shares = (counts + 1 / kinds) / (counts.sum(1, keepdims=True) + 1)
    return float(-np.log2(shares[test[:-1], test[1:]]).mean())
