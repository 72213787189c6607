"""Texts of a language model: read, divided, turned into codes, and put together again."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import CONTINUED, STANDARD_INPUT, Vocabulary, source_lines
from nabi.errors import ArgumentError

__all__ = ["Codes", "Divided", "Joiner", "divide", "encode", "read_texts"]

Codes = npt.NDArray[np.int64]

# Characters that are turned into codes at once, about: each takes some hundred bytes meanwhile.
_BLOCK = 1 << 15


def read_texts(
    source: Any,
    *,
    lines: bool = False,
    encoding: str = "utf-8",
    tell: Callable[[str], None] | None = None,
) -> list[str]:
    """Return the texts of a file or of a folder, or those given.

    Args:
        source: the path of a file of text, of a folder or a `.zip` file of texts, which are read one after
            the other in the order of their paths, "-" for standard input, or texts.
        lines: whether each line of the file that is not empty is a text; else all of it is one.
        encoding: of the files.
        tell: is told what is left out of a folder; a `TableWarning` by default.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged or of another encoding.
        ArgumentError: for a folder without texts, an unknown encoding, what is no text, and where there is
            nothing in it.
    """
    if isinstance(source, str | os.PathLike):
        path = _checks.path("source", source, " of a file or a list of texts")
        # A model shall not learn to write carriage returns: however lines end, here they end alike.
        found = source_lines(path, encoding, *([] if tell is None else [tell]))
        if lines:
            texts = [text for line in found if (text := line.strip("\n"))]
        else:
            texts = ["".join(found)]
        if not any(text.strip() for text in texts):
            what = (
                "nothing" if path == STANDARD_INPUT else f"an empty {'folder' if path.is_dir() else 'file'}"
            )
            raise ArgumentError(f"source: expected text to learn from, got {what}: {path}")
        return texts
    if lines:
        raise ArgumentError("lines: expected False for a list of texts, got True; it is for files")
    if not isinstance(source, Sequence) or not all(isinstance(text, str) for text in source):
        raise ArgumentError(f"source: expected a path or a list of texts, got {type(source).__name__}")
    if not any(text.strip() for text in source):
        raise ArgumentError("source: expected text to learn from, got empty texts")
    return [text for text in source if text]


@dataclass(frozen=True)
class Divided:
    """What a model learns from, what says how good it is meanwhile, and what it is tested on."""

    train: list[str]
    validation: list[str]
    test: list[str]

    @property
    def several(self) -> bool:
        """Whether there are several texts, so that one can end."""
        return len(self.train) > 1


def divide(texts: list[str], validation_share: float, test_share: float, seed: int) -> Divided:
    """Hold out the end of one text, in order; of several texts some.

    Raises:
        ArgumentError: for shares that cannot be.
    """
    for name, share in (("validation_share", validation_share), ("test_share", test_share)):
        _checks.rate(name, share)
    kept = 1 - validation_share - test_share
    if kept <= 0:
        raise ArgumentError(
            f"validation_share, test_share: {validation_share} and {test_share} leave nothing to learn from"
        )
    if len(texts) == 1:
        text = texts[0]
        first, second = round(len(text) * kept), round(len(text) * (1 - test_share))
        return Divided([text[:first]], [text[first:second]], [text[second:]])
    order = np.random.default_rng(seed).permutation(len(texts))
    first, second = round(len(texts) * kept), round(len(texts) * (1 - test_share))
    parts = [[texts[place] for place in rows] for rows in np.split(order, [first, second])]
    return Divided(*parts)


def encode(vocabulary: Vocabulary, texts: Iterable[str], several: bool) -> Codes:
    """Return the codes of texts in a row; where there are several, `START` after each says that it ended."""
    parts = []
    for text in texts:
        parts += [vocabulary.encode([block])[0][1:] for block in _blocks(text)]
        if several:
            parts.append(np.array([Vocabulary.START], dtype=np.int32))
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def _blocks(text: str) -> Iterator[str]:
    """Cut a text at the ends of lines, where no word and no character goes on."""
    lines: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield "".join(lines)
            lines, size = [], 0
    if lines:
        yield "".join(lines)


class Joiner:
    """Puts codes together to text as they come: words with spaces where a reader expects them.

    What a text had between its words is not known to a vocabulary of words. There is no space before what
    closes (a comma, a bracket, 's) and after what opens.
    """

    def __init__(self, vocabulary: Vocabulary, start: str) -> None:
        self._words, self._unit = vocabulary.words, vocabulary.unit
        # Whether the next word follows the last without a space.
        self._close = not start or start[-1].isspace()

    def text(self, code: int) -> str:
        """Return what a code adds to the text."""
        word = self._words[code]
        if self._unit == "characters":
            return word
        if self._unit == "pieces" and word.startswith(CONTINUED) and len(word) > len(CONTINUED):
            return word[len(CONTINUED) :]
        close = self._close or word[0] in ".,;:!?)]}’”…%" or (word[0] == "'" and len(word) > 1)
        self._close = word in ("(", "[", "{", "“", "‘", "$", "£", "€", "#", "@")
        return word if close else f" {word}"
