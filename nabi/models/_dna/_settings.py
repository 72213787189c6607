"""What models of DNA can be told."""

from dataclasses import dataclass
from typing import Any

from nabi.errors import ArgumentError
from nabi.models._sequences._number_settings import NumberSettings
from nabi.models._sequences._settings import SequenceSettings
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import Option, choice, flag, rate, setting, whole, wholes

__all__ = ["WORDS", "DNANumberSettings", "DNASettings"]

_PANEL = "DNA"
WORDS = {"bases": 1, "pairs": 2, "triplets": 3}
"""What is read at each step, and of how many bases it is."""


def convolutions() -> Any:
    """Convolutions over the bases."""
    return setting(
        (32,),
        wholes(optional=True),
        "channels of each convolution over the bases before the recurrent layers, or None for none.",
    )


def kernel() -> Any:
    """How much a convolution reads."""
    return setting(7, whole(), "bases or words that each convolution reads.")


def dropout(default: float) -> Any:
    """Features that are left out in training."""
    return shared.dropout(
        default,
        "share of the features left out in training: of what the recurrent layers read, and of the outputs "
        "of every layer.",
    )


def learning_rate() -> Any:
    """How large a step is."""
    return shared.learning_rate(1e-2, "of AdamW, at its highest; it falls to nearly nothing until the end.")


def words() -> Any:
    """What is read at each step."""
    return setting(
        "triplets",
        choice(*WORDS),
        '"bases", one after the other, or overlapping words: "pairs" (AC, CC, CG, ...) or "triplets" (ACC, '
        "CCG, CGA, ...).",
        Option(_PANEL, "Read single bases, or overlapping words of two or three."),
    )


def reverse_complement(said: str) -> Any:
    """Whether the strand means nothing; "probabilities" are then those of both strands."""
    return setting(
        False,
        flag(),
        "whether the strand means nothing: in training each sequence is read on a random strand, and "
        f"{said} are the mean of both strands.",
        Option(_PANEL, "The strand has no meaning: train on both and average both."),
    )


def hidden_bases(default: float) -> Any:
    """Bases that are hidden in training."""
    return setting(default, rate(), "share of the bases that are replaced by N in training.")


@dataclass(frozen=True)
class DNASettings(SequenceSettings):
    """The settings of a `DNAClassifier`, which says what each means; `epochs` None is chosen by `fit`."""

    units: int = shared.units(32)
    convolutions: tuple[int, ...] | None = convolutions()
    kernel: int = kernel()
    dropout: float = dropout(0.3)
    learning_rate: float = learning_rate()
    words: str = words()
    per_base: bool = setting(False, flag(), "whether every base has a label, and not the sequence.", None)
    positions: str = setting(
        "auto",
        choice("auto", "yes", "no"),
        "whether each place of a sequence has a vector of its own, as sequences that are aligned need: "
        '"yes", "no", or "auto": where all sequences of the training have one length, and one class each.',
        Option(_PANEL, "Learn what each place means; auto: where all sequences have the same length."),
    )
    reverse_complement: bool = reverse_complement("probabilities")
    with_linear: str = setting(
        "auto",
        choice("auto", "yes", "no"),
        "whether probabilities are the mean of those of the networks and of the logistic regression on pairs "
        'of bases that stands beside them: "yes", "no", or "auto": where all sequences of the training have '
        "one length, and one class each.",
        Option(_PANEL, "Average with logistic regression on pairs; auto: where all lengths are the same."),
    )
    hidden_bases: float = hidden_bases(0.1)

    def check_together(self) -> None:
        """Refuse a strand without a meaning where every base has a label."""
        if self.per_base and self.reverse_complement:
            raise ArgumentError(
                "reverse_complement: expected False with per_base=True, because the labels of bases belong "
                "to a strand"
            )
        for name in ("positions", "with_linear"):
            if self.per_base and getattr(self, name) == "yes":
                raise ArgumentError(f"{name}: expected 'auto' or 'no' with per_base=True, got 'yes'")


@dataclass(frozen=True)
class DNANumberSettings(NumberSettings):
    """The settings of a `DNARegressor`, which says what each means; `epochs` None is chosen by `fit`."""

    units: int = shared.units(32)
    convolutions: tuple[int, ...] | None = convolutions()
    kernel: int = kernel()
    dropout: float = dropout(0.3)
    learning_rate: float = learning_rate()
    words: str = words()
    positions: str = setting(
        "auto",
        choice("auto", "yes", "no"),
        "whether each place of a sequence has a vector of its own, as sequences that are aligned need: "
        '"yes", "no", or "auto": where all sequences of the training have one length.',
        Option(_PANEL, "Learn what each place means; auto: where all sequences have the same length."),
    )
    reverse_complement: bool = reverse_complement("estimates")
    hidden_bases: float = hidden_bases(0.1)
