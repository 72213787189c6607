"""What a series classifier can be told."""

from dataclasses import dataclass
from typing import Any

from nabi.models._sequences._settings import SequenceSettings
from nabi.models._task._settings import Option, choice, flag, real, setting, wholes

__all__ = ["SeriesSettings", "convolutions", "noise"]


def convolutions() -> Any:
    """Convolutions before the recurrent layers, which long series get by default."""
    return setting(
        None,
        wholes(optional=True, empty=True),
        "channels of each convolution over time before the recurrent layers; () for no convolutions. By "
        "default long series get some.",
    )


def noise() -> Any:
    """Noise that is added to values in training."""
    return setting(
        0.1,
        real(least=0),
        "standard deviation of the noise that is added to standardized values in training.",
    )


@dataclass(frozen=True)
class SeriesSettings(SequenceSettings):
    """The settings of a `SeriesClassifier`; what is None is chosen by `fit`."""

    convolutions: tuple[int, ...] | None = convolutions()
    noise: float = noise()
    with_linear: str = setting(
        "auto",
        choice("auto", "yes", "no"),
        "whether probabilities are the mean of those of the networks and of the logistic regression on 8 "
        'steps that stands beside them: "yes", "no", or "auto": where that makes the cross-entropy on the '
        "series held out smaller, and the networks read in both directions.",
        Option("Series", "Average with a linear model; auto: where that helps on series held out."),
    )
    label_per_step: bool = setting(
        False,
        flag(),
        "whether every step has a label of its own, and not the series.",
        Option("Series", "Every step has its own label."),
    )
