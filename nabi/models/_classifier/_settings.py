"""The settings of a text classifier."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import Check, Option, Settings, choice, flag, setting, text, whole

__all__ = ["TextNetworkSettings", "TextSettings"]

_TABLE, _NETWORK, _TRAINING = "Table of texts and labels", "Network", "Training"


# What files of earlier versions lack, as it was then.
_BEFORE = {"word_features": False}


def _class_weight(name: str, value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and value in ("auto", "balanced")):
        raise ArgumentError(f"{name}: expected 'auto', 'balanced' or None, got {_checks.short(value)}")
    return value


@dataclass(frozen=True)
class TextNetworkSettings(Settings):
    """Settings of a network that reads texts; None, or "auto" as unit, is chosen from the data by `fit`."""

    USUAL_UNITS: ClassVar[int] = 64
    """Width of the states where none is given."""
    USUAL_EMBEDDING_SIZE: ClassVar[int] = 128
    """Width of the vector of a token where none is given."""

    cell: str = shared.cell("lstm")
    units: int | None = shared.units(None, "width of the cell's states, in each direction.")
    unit: str = shared.unit(
        "auto",
        'what texts are cut into: "words", "characters", "pieces" (of words), or "auto": words, but pieces '
        "where more than three tenths of the words of held-out texts would be unknown, and characters where "
        "there are no words but runs of a few letters, such as DNA.",
        "auto",
        "words",
        "characters",
        "pieces",
    )
    vocabulary_size: int | None = shared.vocabulary_size(
        None, "codes at most; 8,000 of pieces and 20,000 of words where it is not given."
    )
    maxlen: int | None = setting(
        None,
        whole(4, optional=True),
        "tokens of a text that are read.",
        Option(_TABLE, "Maximum number of tokens per text.", "chosen from the data"),
    )
    truncating: str = setting(
        "post",
        choice("post", "pre"),
        'what is cut off a longer text, its end ("post") or its beginning ("pre").',
        Option(_TABLE, "Where longer texts are truncated: at the end (post) or at the beginning (pre)."),
    )
    bidirectional: bool = setting(
        True,
        flag(),
        "whether the text is read in both directions.",
        Option(
            _NETWORK,
            "Read texts in both directions.",
            shown="bidirectional",
            names="--bidirectional/--one-direction",
        ),
    )
    pooling: str = setting(
        "max",
        choice("max", "mean", "last"),
        'what is taken of the outputs of all steps: their "max", their "mean", or the "last".',
        Option(_NETWORK, "Pooling over time steps."),
    )
    embedding_size: int | None = shared.embedding_size(None, "width of the vector of a token.")
    dropout: float | None = shared.dropout(
        None,
        "share of an embedding's features, and of the features before the last layer, left out in training.",
    )
    batch_size: int | None = shared.batch_size(
        None, "texts per step of training; texts of about the same length are put together."
    )
    epochs: int | None = shared.epochs(None, "at most.")
    patience: int | None = shared.patience(
        "epochs without a lower validation loss before training ends; the best weights are kept."
    )
    learning_rate: float | None = shared.learning_rate(None, "of Adam.")
    word_features: bool = setting(
        True,
        flag(),
        "whether a linear model of words and pairs of words, weighted by TF-IDF, decides together with the "
        "network; the validation rows say how much each counts.",
        Option(
            _NETWORK,
            "Decide together with a linear model of words and pairs of words.",
            shown="word-features",
            names="--word-features/--no-word-features",
        ),
    )
    seed: int = shared.seed()


@dataclass(frozen=True)
class TextSettings(TextNetworkSettings):
    """The settings of a `TextClassifier`."""

    class_weight: str | None = setting(
        "auto",
        Check(str, _class_weight),
        '"balanced" makes rare labels count as much as frequent ones in training; "auto" moves decisions '
        "towards rare labels afterwards, where a label is rare and the macro F1 of the validation rows gains "
        "by it; None does neither.",
    )
    label_separator: str | None = setting(
        None,
        text("such as ';'", optional=True),
        "what stands between the labels, where a text has several in one column.",
        Option(_TABLE, "Separator between several labels in one column."),
    )

    @classmethod
    def from_dict(cls, described: Any) -> Self:
        """Make the settings that `to_dict` described, also those of earlier versions.

        Raises:
            ArgumentError: for something else.
        """
        return super().from_dict(_BEFORE | described if isinstance(described, dict) else described)
