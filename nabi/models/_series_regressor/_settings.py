"""What a series regressor can be told."""

from dataclasses import dataclass

from nabi.models._sequences._number_settings import NumberSettings
from nabi.models._series._settings import convolutions, noise

__all__ = ["SeriesRegressorSettings"]


@dataclass(frozen=True)
class SeriesRegressorSettings(NumberSettings):
    """The settings of a `SeriesRegressor`; what is None is chosen by `fit`."""

    convolutions: tuple[int, ...] | None = convolutions()
    noise: float = noise()
