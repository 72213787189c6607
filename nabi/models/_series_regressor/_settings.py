"""What a series regressor can be told."""

from dataclasses import dataclass

from nabi.models._sequences._settings import SequenceNetworkSettings
from nabi.models._series._settings import convolutions, noise
from nabi.models._task._settings import Option, choice, setting
from nabi.models._task._shared_settings import loss_of_numbers

__all__ = ["SeriesRegressorSettings"]


@dataclass(frozen=True)
class SeriesRegressorSettings(SequenceNetworkSettings):
    """The settings of a `SeriesRegressor`; what is None is chosen by `fit`."""

    convolutions: tuple[int, ...] | None = convolutions()
    noise: float = noise()
    with_linear: str = setting(
        "auto",
        choice("auto", "no"),
        "whether an estimate is the weighted mean of that of the networks and that of the ridge regression "
        'which stands beside them: "auto", with the weights that are best on the validation series, or "no".',
        Option("Series", "Average with a linear model; auto: where that helps on series held out."),
    )
    loss: str = loss_of_numbers()
