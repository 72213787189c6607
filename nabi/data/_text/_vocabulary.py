"""Text as codes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._text._text_units import (
    CONTINUED,
    RESERVED,
    SPACE,
    UNITS,
    check_words,
    count_tokens,
    learn_pieces,
    make_tokenizer,
    ranking,
    readable,
)
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = ["Token", "Vocabulary"]

_LAYOUT = 1
# Units learnt by byte-pair encoding.
_LEARNT = ("pieces", "subwords")


class Token(NamedTuple):
    """A part of a text: the characters from `start` to `end` of the original, and their `code`."""

    text: str
    start: int
    end: int
    code: int


class Vocabulary:
    """The words, characters or pieces of words that a model knows, each with a code.

    Codes 0 to 3 are reserved: `PADDING`, `START`, `UNKNOWN` and `SEPARATOR` (between an aspect and its text).
    Words follow from 4 on by descending frequency. This is the layout of Keras' `imdb.load_data`.

    Created by `learn` from texts, or by `from_dict`.

    >>> vocabulary = Vocabulary.learn(["A good film.", "Not a good film!"])
    >>> vocabulary.encode(["A very good film"])
    [array([1, 4, 2, 6, 5], dtype=int32)]
    >>> vocabulary.decode([1, 4, 6, 5])
    'a good film'
    >>> vocabulary.tokens("Good film")[1]
    Token(text='film', start=5, end=9, code=5)
    """

    PADDING, START, UNKNOWN, SEPARATOR = 0, 1, 2, 3

    @public
    def __init__(
        self,
        words: Sequence[str],
        unit: str = "words",
        *,
        lowercase: bool = True,
        merges: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Make a vocabulary of `words` in the order of their codes, the four reserved ones first.

        `learn` does this from texts. Raises `UnknownNameError` for an unknown unit, `ArgumentError` for words
        that do not begin with the reserved ones, are repeated or invalid, and for merges of other words.
        """
        if unit not in UNITS:
            raise unknown_name("unit", unit, UNITS)
        self.unit, self.lowercase = unit, bool(lowercase)
        self.words, self._merges = list(words), [(left, right) for left, right in merges]
        check_words(unit, self.words, self._merges)
        self._tokenizer = make_tokenizer(unit, self.lowercase, self.words, self._merges)
        self._table = _code_points(self.words) if unit == "characters" else None

    @classmethod
    @public
    def learn(
        cls,
        texts: Iterable[str],
        unit: str = "words",
        *,
        size: int | None = 20_000,
        lowercase: bool = True,
        minimum_count: int = 1,
    ) -> "Vocabulary":
        """Learn a vocabulary from texts, in one pass.

        Args:
            texts: any iterable of texts, such as a generator; they are not all kept in memory.
            unit: `"words"`, cut at spaces and punctuation; punctuation marks are words too. `film's` is
                `film` and `'s`; `didn't`, `#topic`, `@name`, `<br />` and the host of a URL are one word.
                `"characters"`, including spaces. `"pieces"`, parts of words learnt by byte-pair encoding, so
                that new words are composed of known parts. `"subwords"`, such parts that include the space
                before them, written `▁`, with punctuation marks on their own: `decode` then restores the
                text, except that runs of spaces become one and those at the ends are dropped (`▁` counts as
                a space).
            size: maximum number of codes, including the four reserved ones; None for no limit.
            lowercase: whether to ignore case.
            minimum_count: how often a word must occur to be kept.

        The same texts give the same codes; equally frequent words are in alphabetical order. Anything not in
        the vocabulary is `UNKNOWN`; with pieces and subwords that applies only to unseen characters.

        Raises:
            UnknownNameError: for another unit.
            ArgumentError: if there are no texts or all are empty, for a size below 5 (6 for pieces and
                subwords), and for items that are not texts.

        >>> Vocabulary.learn(["나비야 나비야 이리 날아 오너라"], "characters", size=8).words[4:]
        [' ', '나', '비', '야']
        """
        if unit not in UNITS:
            raise unknown_name("unit", unit, UNITS)
        # A letter is two pieces, one that begins a word and one that continues it; subwords need the space.
        if size is not None:
            least = len(RESERVED) + (2 if unit in _LEARNT else 1)
            size = _checks.whole("size", size, least, otherwise=" or None")
        minimum_count = _checks.whole("minimum_count", minimum_count)
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise ArgumentError(f"texts: expected several texts, got {_shown(texts)}")
        tokenizer = make_tokenizer(unit, lowercase, list(RESERVED), [])
        counts, number = Counter[str](), 0
        for number, text in enumerate(texts, 1):
            _check_text("texts", number - 1, text)
            count_tokens(tokenizer, unit, text, counts)
        if not counts:
            what = "none" if number == 0 else f"{number} empty ones"
            raise ArgumentError(f"texts: expected texts with {unit} to learn from, got {what}")
        room = None if size is None else size - len(RESERVED)
        if unit in _LEARNT:
            words, merges = learn_pieces(counts, unit, room, minimum_count)
        else:
            words = sorted((word for word in counts if counts[word] >= minimum_count), key=ranking(counts))
            words, merges = words[:room], []
        if not words:
            raise ArgumentError(f"minimum_count: expected a count that occurs, got {minimum_count}")
        return cls([*RESERVED, *words], unit, lowercase=lowercase, merges=merges)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} {self.unit}, lowercase={self.lowercase})"

    @public
    def encode(
        self,
        texts: Sequence[str],
        *,
        maxlen: int | None = None,
        truncating: str = "post",
        first: Sequence[str] | None = None,
    ) -> list[npt.NDArray[np.int32]]:
        """Return the codes of texts, each an array `[T]` that begins with `START`, so that none is empty.

        Args:
            texts: N of them.
            maxlen: maximum number of codes, including `START` and those of `first`; longer texts are cut.
            truncating: `"post"` cuts the end of the text, `"pre"` its beginning.
            first: N texts to put before the others, such as the aspect that an opinion is about. The codes
                are then `START`, those of `first`, `SEPARATOR`, those of the text; only the text is cut.

        Raises `UnknownNameError` for an unknown `truncating`, `ArgumentError` for something that is not a
        list of texts, if `first` and `texts` differ in number, and if `first` alone exceeds `maxlen`.

        >>> vocabulary = Vocabulary.learn(["the food was good but the service was slow"])
        >>> vocabulary.encode(["good food, slow service"], first=["service"], maxlen=5)
        [array([1, 9, 3, 8, 7], dtype=int32)]
        """
        if truncating not in ("post", "pre"):
            raise unknown_name("truncating", truncating, ("post", "pre"))
        if maxlen is not None:
            maxlen = _checks.whole("maxlen", maxlen, otherwise=" or None")
        texts = _checked_texts("texts", texts)
        if first is not None:
            first = _checked_texts("first", first)
            if len(first) != len(texts):
                raise ArgumentError(f"first: expected {len(texts)} texts, as many as texts, got {len(first)}")
        sequences = []
        for position, text in enumerate(texts):
            codes = self._codes(text)
            if first is None:
                start = [self.START]
            else:
                start = [self.START, *self._codes(first[position]), self.SEPARATOR]
            if maxlen is not None and len(start) + len(codes) > maxlen:
                room = maxlen - len(start)
                if room < 0:
                    raise ArgumentError(
                        f"first[{position}]: expected at most maxlen={maxlen} codes with START and "
                        f"SEPARATOR, got {len(start)}"
                    )
                codes = codes[:room] if truncating == "post" else codes[len(codes) - room :]
            sequence = np.empty(len(start) + len(codes), dtype=np.int32)
            sequence[: len(start)], sequence[len(start) :] = start, codes
            sequences.append(sequence)
        return sequences

    def _codes(self, text: str) -> list[int] | npt.NDArray[np.int32]:
        if self._table is not None:
            normalised = self._tokenizer.normalizer.normalize_str(readable(text))
            points = np.frombuffer(normalised.encode("utf-32-le"), dtype="<u4")
            return self._table.take(points, mode="clip")
        # One text at a time: the library encodes a batch on its own threads, and on one thread a batch is no
        # faster.
        ids: list[int] = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
        return ids

    def tokens(self, text: str) -> list[Token]:
        """Return the tokens of a text, without `START`, each with its place in the text and its code.

        The place of a subword excludes the space before it, unless the subword is only that space. The space
        before the first word is not in the text, so its place is empty.

        Raises `ArgumentError` for anything but a text.
        """
        if not isinstance(text, str):
            raise ArgumentError(f"text: expected a text, got {_shown(text)}")
        encoding = self._tokenizer.encode(readable(text), add_special_tokens=False)
        tokens = []
        for (start, end), code in zip(encoding.offsets, encoding.ids, strict=True):
            if self.unit == "subwords":
                piece = text[start:end]
                if self.words[code] == SPACE and not (piece.isspace() or piece == SPACE):
                    end = start
                elif shown := piece.lstrip().lstrip(SPACE):
                    start = end - len(shown)
            tokens.append(Token(text[start:end], start, end, code))
        return tokens

    @public
    def decode(self, codes: Iterable[int]) -> str:
        """Return the text of codes, without padding and start.

        Words are joined by a space, whatever the text had there; subwords restore the spaces.
        Raises `ArgumentError` for a code outside the vocabulary.
        """
        parts: list[str] = []
        for position, code in enumerate(codes):
            code = _checks.whole(f"codes[{position}]", code, 0, len(self) - 1)
            if code in (self.PADDING, self.START):
                continue
            word = self.words[code]
            if self.unit == "pieces" and word.startswith(CONTINUED) and len(word) > len(CONTINUED) and parts:
                parts[-1] += word[len(CONTINUED) :]
            else:
                parts.append(word)
        if self.unit == "subwords":
            return "".join(parts).replace(SPACE, " ").removeprefix(" ")
        return ("" if self.unit == "characters" else " ").join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the vocabulary as lists, strings and numbers, which JSON can hold."""
        return {
            "layout": _LAYOUT,
            "unit": self.unit,
            "lowercase": self.lowercase,
            "words": self.words[len(RESERVED) :],
            "merges": [list(pair) for pair in self._merges],
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> "Vocabulary":
        """Make a vocabulary from the output of `to_dict`.

        Raises `FileFormatError` if something is missing or invalid, or if its layout is newer.
        """
        if not isinstance(described, Mapping):
            raise FileFormatError(f"vocabulary: expected a description, got {_shown(described)}")
        if described.get("layout") != _LAYOUT:
            raise FileFormatError(f"vocabulary: expected layout {_LAYOUT}, got {described.get('layout')!r}")
        words, merges = described.get("words"), described.get("merges")
        lowercase = described.get("lowercase")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise FileFormatError("vocabulary: words are missing or not a list of texts")
        if not isinstance(merges, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
            for pair in merges
        ):
            raise FileFormatError("vocabulary: merges are missing or not a list of pairs of texts")
        if not isinstance(lowercase, bool):
            raise FileFormatError(f"vocabulary: lowercase: expected true or false, got {lowercase!r}")
        try:
            return cls(
                [*RESERVED, *words],
                str(described.get("unit")),
                lowercase=lowercase,
                merges=[(left, right) for left, right in merges],
            )
        except ArgumentError as problem:
            raise FileFormatError(f"vocabulary: {problem}") from problem


def _code_points(words: list[str]) -> npt.NDArray[np.int32]:
    """Return the code of every character by code point; the last entry is for all higher ones."""
    known = {ord(word): code for code, word in enumerate(words) if code >= len(RESERVED)}
    table = np.full(max(known, default=0) + 2, Vocabulary.UNKNOWN, dtype=np.int32)
    table[list(known)] = list(known.values())
    return table


def _checked_texts(argument: str, texts: Any) -> list[str]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise ArgumentError(f"{argument}: expected a list of texts, got {_shown(texts)}")
    every = list(texts)
    for position, text in enumerate(every):
        _check_text(argument, position, text)
    return every


def _check_text(argument: str, position: int, text: Any) -> None:
    if not isinstance(text, str):
        raise ArgumentError(f"{argument}[{position}]: expected a text, got {_shown(text)}")


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
