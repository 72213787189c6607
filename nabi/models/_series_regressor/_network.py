"""The networks of a series regressor, with the linear model beside them."""

from collections.abc import Callable

from torch import Tensor

from nabi.models._sequences._network import SequenceNetwork, SequenceNetworks
from nabi.models._series_regressor._summary import SummaryRegression

__all__ = ["NumberNetworks"]


class NumberNetworks(SequenceNetworks):
    """Networks that are trained side by side and whose numbers are averaged.

    Args:
        make: makes one of them.
        count: how many there are.
        features: how many the linear model reads.
    """

    def __init__(self, make: Callable[[], SequenceNetwork], count: int, features: int) -> None:
        """Make the networks with weights from torch's random numbers."""
        super().__init__(make, count)
        self.linear = SummaryRegression(features)

    def numbers(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean of what they say of padded series `[B, T, D]`: standardized numbers `[B]`."""
        found = self(x, lengths)
        total: Tensor = found[0][0][:, 0]
        for numbers, _ in found[1:]:
            total = total + numbers[:, 0]
        return total / len(found)
