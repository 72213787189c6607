"""The settings of a text regressor."""

from dataclasses import dataclass

from nabi.models._classifier._settings import TextNetworkSettings
from nabi.models._task._shared_settings import loss_of_numbers

__all__ = ["RegressorSettings"]


@dataclass(frozen=True)
class RegressorSettings(TextNetworkSettings):
    """The settings of a `TextRegressor`."""

    loss: str = loss_of_numbers()
