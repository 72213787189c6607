"""What a model of texts chooses from its data before it learns: unit, vocabulary, lengths, epochs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.models._classifier._encoding import encode_texts
from nabi.models._classifier._settings import TextNetworkSettings
from nabi.models._task._cell_choice import CellChoice

__all__ = ["Codes", "Texts", "encode_samples", "prepare_texts", "settings_lines"]

# Defaults; `_choose_settings` has those that depend on the data.
_VOCABULARY_SIZES = {"words": 20_000, "characters": 20_000, "pieces": 8_000}
_DROPOUT = 0.5
_LEARNING_RATE = 2e-3
_PATIENCE = 3
_MANY_ROWS = 20_000
_BATCH_SIZE, _BATCH_SIZE_OF_MANY_ROWS = 32, 64
# A network has learnt what it can once it has read about this many tokens; two cores take minutes for them.
_TOKENS_TO_READ = 30_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 30
# A longer maxlen costs little, because batches are padded to their own longest text.
_SHARE_OF_TEXTS_UNCUT = 0.95
_SHORTEST_MAXLEN, _LONGEST_MAXLEN = 50, 400
# Words seen once are unknown words: so the network learns what an unknown word is like.
_MINIMUM_COUNT = 2
# Where more of the words of a new text than this are unknown, its words are cut into pieces.
_MOST_UNKNOWN_WORDS = 0.3
_TEXTS_LOOKED_AT = 2_000
# Texts of no more different letters than proteins have (20, and some for unknown ones), whose "words" are
# longer than those of any language.
_MOST_LETTERS, _LENGTH_WITHOUT_WORDS = 26, 25

Codes = list[npt.NDArray[np.int32]]
S = TypeVar("S", bound=TextNetworkSettings)


class Texts(Protocol):
    """Samples of a model of texts, whatever they are labelled with."""

    @property
    def texts(self) -> list[str]:
        """N texts."""

    @property
    def aspects(self) -> list[str] | None:
        """What each is asked about, if anything."""

    @property
    def others(self) -> dict[str, list[Any]] | None:
        """The cells of other columns that are read beside the text, by name."""


def prepare_texts(
    asked: S, cell: CellChoice, training: Texts, held_out: Texts
) -> tuple[S, dict[str, str], Vocabulary, Codes]:
    """Choose what is left open, learn the vocabulary and encode the texts to learn from.

    Args:
        asked: the settings as they were given.
        cell: one that is an object says how many units there are.
        training: samples to learn from.
        held_out: others, which say how many words are unknown.

    Returns:
        the settings as they were chosen; why, of those that the data decided; the vocabulary; and the codes
        of the texts to learn from.
    """
    asked, reasons = _with_unit(asked, training, held_out)
    vocabulary = _learn_vocabulary(training, asked)
    codes = encode_samples(vocabulary, training, asked, asked.maxlen or _LONGEST_MAXLEN)
    settings, more = _choose_settings(
        asked, [len(sequence) for sequence in codes], getattr(cell, "units", None)
    )
    assert settings.maxlen is not None
    if any(len(sequence) > settings.maxlen for sequence in codes):
        codes = encode_samples(vocabulary, training, settings, settings.maxlen)
    return settings, reasons | more, vocabulary, codes


def settings_lines(settings: TextNetworkSettings, reasons: dict[str, str]) -> list[str]:
    """Return what was chosen and why, a line each: `maxlen 120 (95 of 100 texts have at most 113 tokens)`."""
    return [f"{name} {getattr(settings, name)} ({why})" for name, why in reasons.items()]


def _with_unit(asked: S, samples: Texts, others: Texts) -> tuple[S, dict[str, str]]:
    reasons: dict[str, str] = {}
    unit = asked.unit
    if unit == "auto":
        unit, reasons["unit"] = _choose_unit(samples.texts, others.texts)
    return replace(
        asked, unit=unit, vocabulary_size=asked.vocabulary_size or _VOCABULARY_SIZES[unit]
    ), reasons


def _choose_unit(learn_from: Sequence[str], others: Sequence[str]) -> tuple[str, str]:
    """Choose between words, pieces of words and characters; return the choice and why.

    Long runs of few different letters, such as DNA, are read letter by letter: they have no words.

    Words are cut into pieces where many of those in `others` do not occur at least twice in `learn_from`, as
    in Korean with its endings or in a language without spaces.
    """
    learn_from, others = learn_from[:_TEXTS_LOOKED_AT], others[:_TEXTS_LOOKED_AT]
    letters = {letter for text in learn_from for letter in text.lower() if not letter.isspace()}
    words_read = sum(len(text.split()) for text in learn_from)
    length = sum(len(text) for text in learn_from) / max(words_read, 1)
    if len(letters) <= _MOST_LETTERS and length >= _LENGTH_WITHOUT_WORDS:
        return "characters", f"runs of {len(letters)} letters, {length:.0f} long on average, without words"
    try:
        words = Vocabulary.learn(learn_from, "words", size=None, minimum_count=_MINIMUM_COUNT)
    except ArgumentError:  # no word occurs twice
        return "pieces", "no word occurs twice"
    codes = np.concatenate(words.encode(others))
    read = int((codes != Vocabulary.START).sum())
    share = float((codes == Vocabulary.UNKNOWN).sum()) / max(read, 1)
    unit = "pieces" if share > _MOST_UNKNOWN_WORDS else "words"
    return unit, f"{share:.0%} of the words of held-out texts would be unknown"


def _choose_settings(asked: S, lengths: Sequence[int], own_units: int | None) -> tuple[S, dict[str, str]]:
    """Fill what is left open, from the lengths of the texts to learn from.

    Args:
        asked: the settings, with a unit.
        lengths: of the texts, in tokens, with START.
        own_units: of a cell that was given as an object.

    Returns:
        the settings, and for those that the data decided, why.
    """
    array = np.asarray(lengths)
    reasons: dict[str, str] = {}
    chosen: dict[str, Any] = {
        "units": own_units or asked.USUAL_UNITS,
        "embedding_size": asked.USUAL_EMBEDDING_SIZE,
        "dropout": _DROPOUT,
        "learning_rate": _LEARNING_RATE,
        "patience": _PATIENCE,
        "batch_size": _BATCH_SIZE if len(array) < _MANY_ROWS else _BATCH_SIZE_OF_MANY_ROWS,
    }
    reasons["batch_size"] = f"for {len(array):,} rows"
    usual = math.ceil(float(np.quantile(array, _SHARE_OF_TEXTS_UNCUT)))
    chosen["maxlen"] = min(max(usual, _SHORTEST_MAXLEN), _LONGEST_MAXLEN)
    reasons["maxlen"] = (
        f"95 of 100 texts have at most {usual} tokens"
        if usual < _LONGEST_MAXLEN
        else f"more than 5 of 100 texts are longer; more than {_LONGEST_MAXLEN} is never chosen"
    )
    tokens = int(np.minimum(array, asked.maxlen or chosen["maxlen"]).sum())
    chosen["epochs"] = min(max(round(_TOKENS_TO_READ / tokens), _FEWEST_EPOCHS), _MOST_EPOCHS)
    reasons["epochs"] = f"at most; an epoch reads {tokens:,} tokens"
    filled = {name: value for name, value in chosen.items() if getattr(asked, name) is None}
    return replace(asked, **filled), {name: why for name, why in reasons.items() if name in filled}


def _learn_vocabulary(samples: Texts, settings: TextNetworkSettings) -> Vocabulary:
    texts = list(chain(samples.texts, samples.aspects or ()))
    try:
        return Vocabulary.learn(
            texts, settings.unit, size=settings.vocabulary_size, minimum_count=_MINIMUM_COUNT
        )
    except ArgumentError:  # no token occurs that often
        return Vocabulary.learn(texts, settings.unit, size=settings.vocabulary_size)


def encode_samples(
    vocabulary: Vocabulary, samples: Texts, settings: TextNetworkSettings, maxlen: int
) -> Codes:
    """Return the codes of samples, each `[T]` with T up to `maxlen`."""
    return encode_texts(
        vocabulary, samples.texts, samples.aspects, maxlen=maxlen, truncating=settings.truncating
    )
