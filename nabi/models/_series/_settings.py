"""What a series classifier can be told."""

from dataclasses import dataclass

from nabi.models._sequences._settings import SequenceSettings
from nabi.models._task._settings import Option, flag, setting, wholes

__all__ = ["SeriesSettings"]


@dataclass(frozen=True)
class SeriesSettings(SequenceSettings):
    """The settings of a `SeriesClassifier`; what is None is chosen by `fit`."""

    convolutions: tuple[int, ...] | None = setting(
        None,
        wholes(optional=True, empty=True),
        "channels of each convolution over time before the recurrent layers; () for no convolutions. By "
        "default long series get some.",
    )
    label_per_step: bool = setting(
        False,
        flag(),
        "whether every step has a label of its own, and not the series.",
        Option("Series", "Every step has its own label."),
    )
