"""Settings of systems that estimate a number for a sequence."""

from dataclasses import dataclass

from nabi.models._sequences._settings import SequenceNetworkSettings
from nabi.models._task._settings import Option, choice, setting
from nabi.models._task._shared_settings import loss_of_numbers

__all__ = ["NumberSettings"]


@dataclass(frozen=True)
class NumberSettings(SequenceNetworkSettings):
    """Settings of a network with one number at its end, and of the linear model beside it."""

    with_linear: str = setting(
        "auto",
        choice("auto", "no"),
        "whether an estimate is the weighted mean of that of the networks and that of the ridge regression "
        'which stands beside them: "auto", with the weights that are best on the validation data, or "no".',
        Option("Network", "Average with a linear model; auto: where that helps on data held out."),
    )
    loss: str = loss_of_numbers()
