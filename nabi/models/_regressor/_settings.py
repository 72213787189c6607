"""The settings of a text regressor."""

from dataclasses import dataclass

from nabi.models._classifier._settings import TextNetworkSettings
from nabi.models._task._settings import Option, choice, setting

__all__ = ["RegressorSettings"]


@dataclass(frozen=True)
class RegressorSettings(TextNetworkSettings):
    """The settings of a `TextRegressor`."""

    loss: str = setting(
        "mse",
        choice("mse", "huber"),
        'what is made small in training: the mean squared error ("mse"), or "huber", for which a few numbers '
        "that are far off count less. Both are of standardized numbers.",
        Option("Training", "Loss of numbers: mse, or huber, for which a few far-off numbers count less."),
    )
