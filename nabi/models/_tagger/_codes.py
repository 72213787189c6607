"""Tokens as numbers: each is a word, and a row of characters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError

__all__ = ["LONGEST", "UNKNOWN", "TokenCodes"]

LONGEST = 24
"""Characters of a token that are read; of a longer one half of them at its beginning, half at its end."""
UNKNOWN = 1
_FIRST = 2  # 0 is padding, 1 is unknown
_DIGIT = re.compile(r"\d")


class TokenCodes:
    """The words and characters that are known.

    A word is known by its lower case with every digit as 0, if `lowercase`. Characters are those of the
    canonical decomposition (NFD): letters and accents, and the letters of a syllable of Hangul, so that
    endings are seen.

    Args:
        words: in the order of their codes, from 2 on.
        characters: in the order of their codes, from 2 on.
        lowercase: whether large and small letters are the same in words; in characters they never are.
    """

    def __init__(self, words: Iterable[str], characters: Iterable[str], lowercase: bool) -> None:
        self.words, self.characters, self.lowercase = tuple(words), tuple(characters), lowercase
        self._words = {word: code for code, word in enumerate(self.words, _FIRST)}
        self._characters = {one: code for code, one in enumerate(self.characters, _FIRST)}
        for name, known, found in (
            ("words", self.words, self._words),
            ("characters", self.characters, self._characters),
        ):
            if len(known) > len(found) or not all(isinstance(one, str) for one in known):
                raise ArgumentError(f"{name}: expected texts, each once")

    @classmethod
    def learn(
        cls, sentences: Iterable[Sequence[str]], lowercase: bool, most: int, least: int
    ) -> tuple[Self, npt.NDArray[np.int64]]:
        """Learn the words that were seen `least` times, `most` codes of them, and all their characters.

        Returns:
            The codes, and how often the word of each code was seen; 0 for reserved ones.
        """
        tokens = Counter(token for sentence in sentences for token in sentence)
        words: Counter[str] = Counter()
        characters: set[str] = set()
        for token, count in tokens.items():
            words[_plain(token, lowercase)] += count
            characters.update(_read(token))
        ranked = sorted(words.items(), key=lambda one: (-one[1], one[0]))
        kept = [(word, count) for word, count in ranked if count >= least][: most - _FIRST]
        counts = np.array([0] * _FIRST + [count for _, count in kept], np.int64)
        return cls([word for word, _ in kept], sorted(characters), lowercase), counts

    @property
    def word_count(self) -> int:
        """How many codes of words there are."""
        return len(self.words) + _FIRST

    @property
    def character_count(self) -> int:
        """How many codes of characters there are."""
        return len(self.characters) + _FIRST

    def knows(self, token: str) -> bool:
        """Return whether a token is a known word."""
        return _plain(token, self.lowercase) in self._words

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the code of the word of each of T tokens, then of its characters: `[T, 1 + LONGEST]`."""
        codes = np.zeros((len(tokens), 1 + LONGEST), np.int32)
        for row, token in zip(codes, tokens, strict=True):
            row[0] = self._words.get(_plain(token, self.lowercase), UNKNOWN)
            found = [self._characters.get(one, UNKNOWN) for one in _read(token)]
            row[1 : 1 + len(found)] = found
        return codes

    def to_dict(self) -> dict[str, Any]:
        """Return what is known, as JSON can hold it."""
        return {
            "words": list(self.words),
            "characters": "".join(self.characters),
            "lowercase": self.lowercase,
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Make what `to_dict` described.

        Raises:
            ArgumentError, KeyError, TypeError: for something else.
        """
        return cls(described["words"], described["characters"], bool(described["lowercase"]))


def _plain(token: str, lowercase: bool) -> str:
    return _DIGIT.sub("0", token.lower()) if lowercase else token


def _read(token: str) -> str:
    text = unicodedata.normalize("NFD", token)
    return text if len(text) <= LONGEST else text[: LONGEST // 2] + text[-LONGEST // 2 :]
