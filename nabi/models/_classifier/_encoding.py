"""Texts as the codes that a text classifier reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import Vocabulary
from nabi.errors import ArgumentError

__all__ = ["as_texts", "encode_texts"]

# Of a longer text no more than so many characters for each token that is read are looked at: a text of
# millions is cut into tokens in no time, and no real one is cut too short.
_CHARACTERS_PER_TOKEN = 200


def as_texts(name: str, texts: Any) -> list[str]:
    """Return a list of texts.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise ArgumentError(f"{name}: got {texts!r}, expected a list of texts")
    found = list(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise ArgumentError(f"{name}[{position}]: got {type(text).__name__}, expected text")
    return found


def encode_texts(
    vocabulary: Vocabulary,
    texts: Sequence[str],
    aspects: Sequence[str] | None,
    *,
    maxlen: int,
    truncating: str,
) -> list[npt.NDArray[np.int32]]:
    """Return the codes of texts, each `[T]` with T up to `maxlen`.

    An aspect gets half of `maxlen` at most, and what follows of it is cut.
    """
    longest = maxlen * _CHARACTERS_PER_TOKEN
    cut = [_cut(text.strip(), longest, truncating) for text in texts]
    first = None if aspects is None else [_first_tokens(vocabulary, one, maxlen // 2 - 2) for one in aspects]
    return vocabulary.encode(cut, maxlen=maxlen, truncating=truncating, first=first)


def _cut(text: str, longest: int, truncating: str) -> str:
    if len(text) <= longest:
        return text
    return text[:longest] if truncating == "post" else text[-longest:]


def _first_tokens(vocabulary: Vocabulary, text: str, count: int) -> str:
    count = max(count, 1)
    if len(text) <= count:
        return text
    tokens = vocabulary.tokens(text[: count * _CHARACTERS_PER_TOKEN])
    return text[: tokens[count - 1].end] if len(tokens) > count else text
