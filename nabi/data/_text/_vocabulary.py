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
# Units that byte-pair encoding finds.
_LEARNT = ("pieces", "subwords")


class Token(NamedTuple):
    """A part of a text: what stands from `start` to `end` in the original, and the `code` that it becomes."""

    text: str
    start: int
    end: int
    code: int


class Vocabulary:
    """The words, characters or pieces of words that a model knows, each with a code.

    Codes 0 to 3 are reserved: `PADDING`, `START`, `UNKNOWN` and `SEPARATOR` (between an aspect and its text).
    Words follow from 4 on by falling frequency. This is the layout of Keras' `imdb.load_data`.

    Made by `learn` from texts, or by `from_dict`.

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
        """Make a vocabulary of `words` by code, the four reserved ones first; `learn` does this from texts.

        Raises `UnknownNameError` for an unknown unit, `ArgumentError` for words that do not begin with the
        reserved ones, are there twice or cannot be, and for merges that these words cannot have.
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
        """Learn a vocabulary from texts, which are gone through once.

        Args:
            texts: any number of them; a generator will do, they are not all kept in memory.
            unit: `"words"`, cut at spaces and punctuation, which are words of their own. `film's` is `film`
                and `'s`; `didn't`, `#topic`, `@name`, `<br />` and the host of an address are one word.
                `"characters"`, every one, spaces too. `"pieces"`, parts of words that byte-pair encoding
                finds, so that a new word is put together from known parts. `"subwords"`, such parts that know
                whether there is a space before them, written `▁`, with punctuation marks by themselves: so
                `decode` gives the text back, but for spaces beside each other, which become one, and those at
                its ends (`▁` is a space too).
            size: codes at most, the four reserved ones included; no limit for None.
            lowercase: whether large and small letters are the same.
            minimum_count: how often a word must have been seen.

        The same texts give the same codes; of words as frequent as each other the first in the alphabet is
        first. What is not in the vocabulary is `UNKNOWN`; of pieces and subwords only a character that was
        not learnt is.

        Raises:
            UnknownNameError: for another unit.
            ArgumentError: if there are no texts or nothing in them, for a size below 5 (6 for pieces and
                subwords), and for what is no text.

        >>> Vocabulary.learn(["나비야 나비야 이리 날아 오너라"], "characters", size=8).words[4:]
        [' ', '나', '비', '야']
        """
        if unit not in UNITS:
            raise unknown_name("unit", unit, UNITS)
        # A letter is two pieces, one that begins a word and one that goes on; subwords begin with a space.
        if size is not None:
            least = len(RESERVED) + (2 if unit in _LEARNT else 1)
            size = _checks.whole("size", size, least, otherwise=" or None")
        minimum_count = _checks.whole("minimum_count", minimum_count)
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise ArgumentError(f"texts: {_shown(texts)} was given, several texts are expected")
        tokenizer = make_tokenizer(unit, lowercase, list(RESERVED), [])
        counts, number = Counter[str](), 0
        for number, text in enumerate(texts, 1):
            _check_text("texts", number - 1, text)
            count_tokens(tokenizer, unit, text, counts)
        if not counts:
            what = "no texts were given" if number == 0 else f"the {number} texts given are empty"
            raise ArgumentError(f"texts: {what}, texts with {unit} to learn from are expected")
        room = None if size is None else size - len(RESERVED)
        if unit in _LEARNT:
            words, merges = learn_pieces(counts, unit, room, minimum_count)
        else:
            words = sorted((word for word in counts if counts[word] >= minimum_count), key=ranking(counts))
            words, merges = words[:room], []
        if not words:
            raise ArgumentError(f"minimum_count: nothing was seen {minimum_count} times or more")
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
            maxlen: codes at most, `START` and what `first` gives included; longer texts are cut.
            truncating: `"post"` cuts the end of the text, `"pre"` its beginning.
            first: N texts that stand before the others, such as the aspect that an opinion is about. The
                codes are then `START`, those of `first`, `SEPARATOR`, the text's; only the text is cut.

        Raises `UnknownNameError` for an unknown `truncating`, `ArgumentError` for what is no list of texts,
        for another number of `first` than of texts, and where `first` alone is longer than `maxlen`.

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
                raise ArgumentError(f"first: {len(first)} texts were given for {len(texts)} texts")
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
                        f"first[{position}]: it has {len(start)} codes with START and SEPARATOR, "
                        f"maxlen={maxlen} allows no more than {maxlen}"
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
        # One text at a time: a batch would be encoded on threads of the library's own, and on one thread it
        # is no faster.
        ids: list[int] = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
        return ids

    def tokens(self, text: str) -> list[Token]:
        """Return what a text is cut into, without `START`, each with its place in the text and its code.

        The place of a subword is without the space before it, unless it is that space alone; where the text
        begins, that space is none of the text and its place is empty.

        Raises `ArgumentError` for what is no text.
        """
        if not isinstance(text, str):
            raise ArgumentError(f"text: {_shown(text)} was given, a text is expected")
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

        Words have a space between them; what the text had there is not known. Subwords know it.
        Raises `ArgumentError` for a code that no word has.
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
        """Return all there is to the vocabulary as lists, text and numbers, which JSON can hold."""
        return {
            "layout": _LAYOUT,
            "unit": self.unit,
            "lowercase": self.lowercase,
            "words": self.words[len(RESERVED) :],
            "merges": [list(pair) for pair in self._merges],
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> "Vocabulary":
        """Make the vocabulary that `to_dict` described.

        Raises `FileFormatError` if something in it is missing or cannot be, or if its layout is newer.
        """
        if not isinstance(described, Mapping):
            raise FileFormatError(f"vocabulary: {_shown(described)} was found, a description is expected")
        if described.get("layout") != _LAYOUT:
            raise FileFormatError(
                f"vocabulary: layout {described.get('layout')!r} was found, this nabi reads {_LAYOUT}"
            )
        words, merges = described.get("words"), described.get("merges")
        lowercase = described.get("lowercase")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise FileFormatError("vocabulary: words are missing or no list of texts")
        if not isinstance(merges, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
            for pair in merges
        ):
            raise FileFormatError("vocabulary: merges are missing or no list of pairs of texts")
        if not isinstance(lowercase, bool):
            raise FileFormatError(f"vocabulary: lowercase is {lowercase!r}, true or false is expected")
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
    """The code of every character by its number in Unicode; the last is for all that follow."""
    known = {ord(word): code for code, word in enumerate(words) if code >= len(RESERVED)}
    table = np.full(max(known, default=0) + 2, Vocabulary.UNKNOWN, dtype=np.int32)
    table[list(known)] = list(known.values())
    return table


def _checked_texts(argument: str, texts: Any) -> list[str]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise ArgumentError(f"{argument}: {_shown(texts)} was given, a list of texts is expected")
    every = list(texts)
    for position, text in enumerate(every):
        _check_text(argument, position, text)
    return every


def _check_text(argument: str, position: int, text: Any) -> None:
    if not isinstance(text, str):
        raise ArgumentError(f"{argument}[{position}]: {_shown(text)} was given, a text is expected")


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
