"""What the word features of a text classifier add to the logits, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nabi.data import Token
from nabi.models import TextClassifier

__all__ = ["WordLogits"]

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class WordLogits:
    """The part of a classifier's logits that comes from word features."""

    network: float
    """Share of the network's logits."""
    fixed: Floats
    """What does not depend on the tokens that are read `[labels]`."""
    added: Floats
    """What each token adds `[tokens, labels]`."""

    @classmethod
    def of(cls, classifier: TextClassifier, text: str, aspect: str | None, tokens: Sequence[Token]) -> Self:
        """Return what each of these tokens of the text adds.

        A feature lies on several tokens where it is a pair of words, or where tokens are pieces of words:
        each gets a share by the characters that they have in common.
        """
        added = np.zeros((len(tokens), len(classifier.labels.names)))
        decision, simple = classifier.decision, classifier.simple
        if decision is None:
            return cls(1.0, np.zeros(added.shape[1]), added)
        fixed: Floats = decision.logits(
            np.zeros((1, added.shape[1])), None, classifier.shares, classifier.labels.several
        )[0]
        if simple is not None and decision.simple:
            fixed = fixed + decision.simple * simple.regression.bias.numpy()
            starts, ends = (np.array([getattr(one, name) for one in tokens]) for name in ("start", "end"))
            weight = simple.regression.weight.numpy().astype(np.float64) * decision.simple
            for place in simple.features.places(text, aspect):
                logits = place.weight * weight[place.feature]
                common = (np.minimum(ends, place.end) - np.maximum(starts, place.start)).clip(0)
                part = common / max(_visible(text, place.start, place.end), 1)
                added += part[:, None] * logits
                fixed = fixed + (1 - part.sum()) * logits
        return cls(decision.network, fixed, added)


def _visible(text: str, start: int, end: int) -> int:
    """Return how many characters of a part of a text belong to a token: all but spaces."""
    return sum(not character.isspace() for character in text[start:end])
