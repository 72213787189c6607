"""Texts as the codes that a text classifier reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import Vocabulary
from nabi.errors import ArgumentError

__all__ = ["as_texts", "encode_texts", "texts_and_aspects"]

# For each token that is read, at most this many characters of a text are examined. A text of millions of
# characters is tokenized quickly, and no real text is cut too short.
_CHARACTERS_PER_TOKEN = 200


def as_texts(name: str, texts: Any) -> list[str]:
    """Return a list of texts.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise ArgumentError(f"{name}: expected a list of texts, got {_checks.short(texts)}")
    found = list(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise ArgumentError(f"{name}[{position}]: expected text, got {type(text).__name__}")
    return found


def texts_and_aspects(
    texts: Any, aspects: Any, has_aspects: bool, what: str
) -> tuple[list[str], list[str] | None]:
    """Return lists of texts and of aspects, which are those that a model needs.

    Args:
        texts: N texts.
        aspects: N texts, or None.
        has_aspects: whether the model was trained with aspects.
        what: the model is, "classifier".

    Raises:
        ArgumentError: for what is no list of texts, and for aspects that are missing or too many.
    """
    texts = as_texts("texts", texts)
    if has_aspects != (aspects is not None):
        raise ArgumentError(
            f"aspects: expected one for each text, got None; the {what} was trained with aspects"
            if has_aspects
            else f"aspects: expected None, the {what} was trained without aspects"
        )
    if aspects is not None:
        aspects = as_texts("aspects", aspects)
        if len(aspects) != len(texts):
            raise ArgumentError(f"aspects: expected {len(texts)}, one for each text, got {len(aspects)}")
    return texts, aspects


def encode_texts(
    vocabulary: Vocabulary,
    texts: Sequence[str],
    aspects: Sequence[str] | None,
    *,
    maxlen: int,
    truncating: str,
) -> list[npt.NDArray[np.int32]]:
    """Return the codes of texts, each `[T]` with T up to `maxlen`.

    An aspect takes up at most half of `maxlen`; the rest of it is cut off.
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
