"""The words that a language model expects next."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from nabi import _checks
from nabi.data import Vocabulary
from nabi.decoding import BeamSearch, decode
from nabi.errors import ArgumentError
from nabi.models._language._network import LanguageSteps

__all__ = ["NextWord", "next_words"]

_LONGEST_WORD = 24
_LEAST_BEAM = 20
# Beginnings that are followed for each word that is wanted: some end as the same word.
_BEAM_FOR_A_WORD = 4

# The model after all of a text but its last code, and that code.
Read = Callable[[str], tuple[LanguageSteps, Any, Tensor]]


class NextWord(NamedTuple):
    """A word that may come next."""

    word: str
    probability: float


def next_words(vocabulary: Vocabulary, text: str, n: int, read: Read) -> list[NextWord]:
    """Return the n most probable words after a text; see `LanguageModel.next_words`."""
    n = _checks.whole("n", n)
    if vocabulary.unit == "words":
        return _known(vocabulary, text, n, read)
    if vocabulary.unit == "characters":
        return _spelt(vocabulary, text, n, read)
    raise ArgumentError("next_words: expected a model of words or of characters, got one of pieces of words")


def _known(vocabulary: Vocabulary, text: str, n: int, read: Read) -> list[NextWord]:
    steps, state, last = read(text)
    log_probabilities, _ = steps.step(last, state)
    best = log_probabilities[0].topk(min(n, len(vocabulary)))
    return [
        NextWord(vocabulary.words[code], math.exp(value))
        for value, code in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        if value > -math.inf and code != Vocabulary.START
    ]


def _spelt(vocabulary: Vocabulary, text: str, n: int, read: Read) -> list[NextWord]:
    """Words from here to the next character that is part of none, whichever that is."""
    words = vocabulary.words
    if text and _is_letter(text[-1]) and " " in words:
        text += " "
    steps, state, last = read(text)
    ends = [code for code, word in enumerate(words) if not _is_letter(word)]
    beam = max(_LEAST_BEAM, _BEAM_FOR_A_WORD * n)
    found: dict[str, float] = {}
    for one in decode(steps, state, last, BeamSearch(beam, beam), end=ends, maxlen=_LONGEST_WORD)[0]:
        word = "".join(words[code] for code in one.codes)
        if one.ended and word:
            found[word] = found.get(word, 0.0) + math.exp(one.log_probability)
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [NextWord(word, probability) for word, probability in ranked[:n]]


def _is_letter(word: str) -> bool:
    return word.isalnum() or word in ("'", "’", "-")
