"""The tokenizer of Keras' legacy preprocessing, with the same rules and numbers."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name

__all__ = ["FILTERS", "Tokenizer", "text_to_word_sequence", "tokenizer_from_json"]

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "freq", "tfidf")


def text_to_word_sequence(
    input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Cut a text into words: the characters of `filters` count as `split`, and empty words are dropped.

    >>> text_to_word_sequence("A good film, isn't it?")
    ['a', 'good', 'film', "isn't", 'it']
    """
    if not isinstance(input_text, str):
        raise ArgumentError(f"text: expected a text, got {input_text!r}")
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


class Tokenizer:
    """Numbers for words, by frequency: the most frequent word has number 1, and 0 is reserved for padding.

    This is Keras' legacy tokenizer, with the same numbers. Prefer `nabi.data.Vocabulary` for new work: it
    keeps punctuation, handles characters and parts of words, and has codes for unknown words and padding.

    Args:
        num_words: only numbers below this are used; all words stay in `word_index`.
        filters: characters to remove.
        lower: whether to ignore case.
        split: the separator between words.
        char_level: whether each character is a word.
        oov_token: a word that replaces all unknown words; it gets number 1.
        analyzer: a function that cuts a text into words, used instead of the options above.

    A text may also be a list of words. Raises `ArgumentError` for anything else.

    >>> tokenizer = Tokenizer(num_words=4, oov_token="<unknown>")
    >>> tokenizer.fit_on_texts(["the cat sat", "the dog sat", "the end"])
    >>> tokenizer.word_index
    {'<unknown>': 1, 'the': 2, 'sat': 3, 'cat': 4, 'dog': 5, 'end': 6}
    >>> tokenizer.texts_to_sequences(["the cow sat"])
    [[2, 1, 3]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Any = None,
        document_count: int = 0,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise unknown_name(
                "Tokenizer(...)",
                next(iter(unknown)),
                ["num_words", "filters", "lower", "split", "char_level", "oov_token", "analyzer"],
            )
        if num_words is not None:
            num_words = _checks.whole("num_words", num_words, otherwise=" or None")
        if not isinstance(split, str) or not split:
            raise ArgumentError(f"split: expected a text, got {_checks.short(split)}")
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.document_count = document_count
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self.index_docs: dict[int, int] = {}

    def _words(self, argument: str, text: Any) -> list[str]:
        if self.analyzer is not None:
            return list(self.analyzer(text))
        if isinstance(text, list | tuple):
            words = [str(word) for word in text]
            return [word.lower() for word in words] if self.lower else words
        if not isinstance(text, str):
            raise ArgumentError(f"{argument}: expected texts, or lists of words, got {text!r}")
        if self.char_level:
            return list(text.lower() if self.lower else text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def _all(self, argument: str, texts: Any) -> Iterator[list[str]]:
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise ArgumentError(f"{argument}: expected several texts, got {texts!r}")
        return (self._words(argument, text) for text in texts)

    def fit_on_texts(self, texts: Iterable[str | Sequence[str]]) -> None:
        """Learn the words of texts, in addition to all texts learnt before."""
        counts, documents = Counter(self.word_counts), Counter(self.word_docs)
        for words in self._all("texts", texts):
            self.document_count += 1
            counts.update(words)
            documents.update(dict.fromkeys(words, 1))
        self.word_counts, self.word_docs = dict(counts), dict(documents)
        # Among equally frequent words, the one seen first comes first.
        ordered = sorted(counts, key=lambda word: -counts[word])
        if self.oov_token is not None:
            ordered.insert(0, self.oov_token)
        self.word_index = {word: number for number, word in enumerate(ordered, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        self.index_docs = {self.word_index[word]: count for word, count in documents.items()}

    def fit_on_sequences(self, sequences: Iterable[Sequence[int]]) -> None:
        """Count the sequences that contain each number, for the mode "tfidf" of `sequences_to_matrix`."""
        documents = Counter(self.index_docs)
        for sequence in sequences:
            self.document_count += 1
            documents.update(dict.fromkeys(sequence, 1))
        self.index_docs = dict(documents)

    def texts_to_sequences(self, texts: Iterable[str | Sequence[str]]) -> list[list[int]]:
        """Return the numbers of the words of texts; unknown words are dropped, or become `oov_token`."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | Sequence[str]]) -> Iterator[list[int]]:
        """Yield what `texts_to_sequences` returns, text by text."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for words in self._all("texts", texts):
            numbers = [self.word_index.get(word) for word in words]
            if self.num_words:
                numbers = [None if one is None or one >= self.num_words else one for one in numbers]
            known = (unknown if one is None else one for one in numbers)
            yield [one for one in known if one is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of numbers with a space between them."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield what `sequences_to_texts` returns, sequence by sequence."""
        for sequence in sequences:
            words = []
            for number in sequence:
                word = self.index_word.get(int(number))
                if word is None or (self.num_words and number >= self.num_words):
                    word = self.oov_token
                if word is not None:
                    words.append(word)
            yield " ".join(words)

    def texts_to_matrix(
        self, texts: Iterable[str | Sequence[str]], mode: str = "binary"
    ) -> npt.NDArray[np.float64]:
        """Return a row for each text `[N, num_words]`; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> npt.NDArray[np.float64]:
        """Return a row for each sequence, with a column for each number below `num_words`.

        `mode` selects the values: "binary", 1 if the number occurs; "count", how often; "freq", the count as
        a share of the sequence; "tfidf", `(1 + log(count)) · log(1 + documents / (1 + those with it))`.

        Raises `UnknownNameError` for another mode, `ArgumentError` if the tokenizer is not fitted.
        """
        if mode not in _MODES:
            raise unknown_name("mode", mode, _MODES)
        if not self.num_words and not self.word_index:
            raise ArgumentError("num_words: expected a number, or a call to fit_on_texts first, got neither")
        if mode == "tfidf" and not self.document_count:
            raise ArgumentError("mode: 'tfidf' needs a call to fit_on_texts or fit_on_sequences first")
        columns = int(self.num_words or len(self.word_index) + 1)
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            counts = Counter(int(number) for number in sequence if number < columns)
            for number, count in counts.items():
                if mode == "binary":
                    row[number] = 1.0
                elif mode == "count":
                    row[number] = count
                elif mode == "freq":
                    row[number] = count / len(sequence)
                else:
                    others = 1 + self.index_docs.get(number, 0)
                    row[number] = (1 + np.log(count)) * np.log(1 + self.document_count / others)
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the full configuration; what was learnt is JSON text, as Keras writes it."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in _LEARNT},
        }

    def to_json(self, **options: Any) -> str:
        """Return the tokenizer as JSON, for `tokenizer_from_json`."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **options)


_LEARNT = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Make a tokenizer from the output of `Tokenizer.to_json`, nabi's or Keras'.

    Raises:
        ArgumentError: for any other text.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["to be or not to be"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index == tokenizer.word_index
    True
    """
    try:
        config = dict(json.loads(json_string)["config"])
        learnt = {name: json.loads(config.pop(name)) for name in _LEARNT}
        if not all(isinstance(one, Mapping) for one in learnt.values()):
            raise TypeError("what was learnt is not a dictionary")
        for name in ("index_docs", "index_word"):  # JSON keys are strings
            learnt[name] = {int(key): value for key, value in learnt[name].items()}
    except (TypeError, ValueError, KeyError) as problem:
        raise ArgumentError(
            f"json_string: expected the output of Tokenizer.to_json, got {str(json_string)[:60]!r} "
            f"({type(problem).__name__}: {problem})"
        ) from problem
    made = Tokenizer(**config)
    for name, value in learnt.items():
        setattr(made, name, value)
    return made
