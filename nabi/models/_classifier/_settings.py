"""What a text classifier can be told, and what it chooses for itself from the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nabi import _checks
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.models._task._described import Described
from nabi.models._task._setting_checks import check_flags, check_rate, check_whole, check_wholes, keep

__all__ = [
    "EMBEDDING_SIZE",
    "LONGEST_MAXLEN",
    "MINIMUM_COUNT",
    "POOLINGS",
    "UNITS",
    "VOCABULARY_SIZES",
    "TextSettings",
    "choose_settings",
    "choose_unit",
]

POOLINGS = ("max", "mean", "last")
_TRUNCATING = ("post", "pre")
_KINDS_OF_UNIT = ("auto", "words", "characters", "pieces")

# The defaults, all in one place; what depends on the data is in `choose_settings`.
UNITS = 64
EMBEDDING_SIZE = 128
VOCABULARY_SIZES = {"words": 20_000, "characters": 20_000, "pieces": 8_000}
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
_SHORTEST_MAXLEN, LONGEST_MAXLEN = 50, 400
# Words seen once are unknown words: so the network learns what an unknown word is like.
MINIMUM_COUNT = 2
# Where more of the words of a new text than this are unknown, its words are cut into pieces.
_MOST_UNKNOWN_WORDS = 0.3
_TEXTS_LOOKED_AT = 2_000


@dataclass(frozen=True)
class TextSettings(Described):
    """The settings of a `TextClassifier`; None, or "auto" as unit, is chosen from the data by `fit`."""

    cell: str = "lstm"
    units: int | None = None
    unit: str = "auto"
    vocabulary_size: int | None = None
    maxlen: int | None = None
    truncating: str = "post"
    bidirectional: bool = True
    pooling: str = "max"
    embedding_size: int | None = None
    dropout: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    patience: int | None = None
    learning_rate: float | None = None
    class_weight: str | None = None
    label_separator: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "units",
            "vocabulary_size",
            "maxlen",
            "embedding_size",
            "batch_size",
            "epochs",
            "patience",
        ):
            least = {"vocabulary_size": 5, "maxlen": 4}.get(name, 1)
            check_whole(self, name, least, optional=True)
        check_wholes(self, {"seed": 0})
        for name, known in (("unit", _KINDS_OF_UNIT), ("truncating", _TRUNCATING), ("pooling", POOLINGS)):
            _checks.choice(name, getattr(self, name), known)
        if self.class_weight is not None and self.class_weight != "balanced":
            raise ArgumentError(f"class_weight: expected 'balanced' or None, got {self.class_weight!r}")
        check_flags(self, ["bidirectional"])
        if self.dropout is not None:
            check_rate(self, "dropout")
        if self.learning_rate is not None:
            rate = _checks.real("learning_rate", self.learning_rate, above=0, otherwise=" or None")
            keep(self, "learning_rate", rate)
        if self.label_separator is not None and not (
            isinstance(self.label_separator, str) and self.label_separator
        ):
            raise ArgumentError(
                f"label_separator: expected text such as ';' or None, got {self.label_separator!r}"
            )


def choose_unit(learn_from: Sequence[str], others: Sequence[str]) -> tuple[str, str]:
    """Choose between words and pieces of words; return the choice and why.

    Where many of the words of `others` are not among those that `learn_from` has at least twice, as in Korean
    with its endings or in a language that has no spaces, words are cut into pieces.
    """
    learn_from, others = learn_from[:_TEXTS_LOOKED_AT], others[:_TEXTS_LOOKED_AT]
    try:
        words = Vocabulary.learn(learn_from, "words", size=None, minimum_count=MINIMUM_COUNT)
    except ArgumentError:  # no word is there twice
        return "pieces", "no word is there twice"
    codes = np.concatenate(words.encode(others))
    read = int((codes != Vocabulary.START).sum())
    share = float((codes == Vocabulary.UNKNOWN).sum()) / max(read, 1)
    unit = "pieces" if share > _MOST_UNKNOWN_WORDS else "words"
    return unit, f"{share:.0%} of the words of held-out texts would be unknown"


def choose_settings(
    asked: TextSettings, lengths: Sequence[int], own_units: int | None
) -> tuple[TextSettings, dict[str, str]]:
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
        "units": own_units or UNITS,
        "embedding_size": EMBEDDING_SIZE,
        "dropout": _DROPOUT,
        "learning_rate": _LEARNING_RATE,
        "patience": _PATIENCE,
        "batch_size": _BATCH_SIZE if len(array) < _MANY_ROWS else _BATCH_SIZE_OF_MANY_ROWS,
    }
    reasons["batch_size"] = f"for {len(array):,} rows"
    usual = math.ceil(float(np.quantile(array, _SHARE_OF_TEXTS_UNCUT)))
    chosen["maxlen"] = min(max(usual, _SHORTEST_MAXLEN), LONGEST_MAXLEN)
    reasons["maxlen"] = (
        f"95 of 100 texts have at most {usual} tokens"
        if usual < LONGEST_MAXLEN
        else f"more than 5 of 100 texts are longer; more than {LONGEST_MAXLEN} is never chosen"
    )
    tokens = int(np.minimum(array, asked.maxlen or chosen["maxlen"]).sum())
    chosen["epochs"] = min(max(round(_TOKENS_TO_READ / tokens), _FEWEST_EPOCHS), _MOST_EPOCHS)
    reasons["epochs"] = f"at most; an epoch reads {tokens:,} tokens"
    filled = {name: value for name, value in chosen.items() if getattr(asked, name) is None}
    return replace(asked, **filled), {name: why for name, why in reasons.items() if name in filled}
