"""Texts as lists of word numbers, in the layout of Keras' data sets."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data._data_sets._sources import Part
from nabi.errors import ArgumentError

__all__ = ["Arrays", "Coding", "rank_words"]

Arrays = tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]

# The default filters of Keras' Tokenizer: all ASCII punctuation except the apostrophe.
_SPACES = dict.fromkeys(map(ord, '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'), " ")


def _words(text: str) -> list[str]:
    return text.lower().translate(_SPACES).split()


def rank_words(texts: Iterable[str]) -> dict[str, int]:
    """Return the rank of each word by frequency: 1 for the most frequent; ties in alphabetical order.

    >>> rank_words(["A good film.", "Not good, NOT a film: not!"])
    {'not': 1, 'a': 2, 'film': 3, 'good': 4}
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_words(text))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: rank for rank, word in enumerate(ordered, 1)}


@dataclass(frozen=True)
class Coding:
    """How words become numbers; the fields are arguments of Keras' `load_data`.

    Attributes:
        num_words: codes from this one on are replaced by `oov_char`; None or 0 keeps all.
        skip_top: codes below this one are replaced too, including `start_char`.
        maxlen: texts of this length or longer, including `start_char`, are left out; None or 0 keeps all.
        start_char: the code at the beginning of each text; None for no such code.
        oov_char: the code that replaces words; None drops them.
        index_from: added to a word's rank.

    Raises:
        ArgumentError: if one of them is not a whole number.
    """

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            may_be_none = name not in ("skip_top", "index_from")
            if value is not None or not may_be_none:
                number = _checks.whole(name, value, 0, otherwise=" or None" if may_be_none else "")
                object.__setattr__(self, name, number)

    def arrays(self, part: Part, ranks: dict[str, int], names: Sequence[str]) -> Arrays:
        """Return texts as an array of lists of codes and labels as numbers.

        Words without a rank are left out.

        Args:
            part: N texts and the names of their labels.
            ranks: of the words, as returned by `rank_words`.
            names: of the labels; a label's number is its position.

        Returns:
            Objects `[N]`, each a list of int, and int64 `[N]`; fewer than N if `maxlen` left some out.

        Raises:
            ArgumentError: if `maxlen` leaves nothing.
        """
        codes = {word: rank + self.index_from for word, rank in ranks.items()}
        if self.oov_char is not None:
            codes = {word: code if self._keeps(code) else self.oov_char for word, code in codes.items()}
        numbers = {name: number for number, name in enumerate(names)}
        rows, labels = [], []
        for text, label in zip(*part, strict=True):
            row = self._row(text, codes)
            if not self.maxlen or len(row) < self.maxlen:
                rows.append(row if self.oov_char is not None else [code for code in row if self._keeps(code)])
                labels.append(numbers[label])
        if part[0] and not rows:
            raise ArgumentError(f"maxlen: expected more than the codes of some text, got {self.maxlen}")
        # NumPy would make a matrix of lists that happen to have the same length.
        return np.fromiter(rows, dtype=object, count=len(rows)), np.array(labels, dtype=np.int64)

    def _row(self, text: str, codes: dict[str, int]) -> list[int]:
        code_of = codes.get
        row = [code for word in _words(text) if (code := code_of(word)) is not None]
        if self.start_char is None:
            return row
        begins = self.start_char
        return [begins if self.oov_char is None or self._keeps(begins) else self.oov_char, *row]

    def _keeps(self, code: int) -> bool:
        return self.skip_top <= code and (not self.num_words or code < self.num_words)
