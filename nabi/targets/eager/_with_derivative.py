"""A declared derivative for torch's differentiation: reverse, forward, twice, vectorised."""

import torch
from torch import Tensor

__all__ = ["with_derivative"]


def with_derivative(value: Tensor, of: Tensor, slope: Tensor | float) -> Tensor:
    """Return `value` with the further derivative `slope` with respect to `of`.

    The difference of `of` and its number is zero and has the derivative 1. Half of the slope enters as a
    number: otherwise a second derivative would count the change of the slope twice.
    """
    constant = slope.detach() if isinstance(slope, Tensor) else slope
    correction = 0.5 * (slope + constant) * (of - of.detach())
    # Zero, and NaN only where the argument or the slope is not finite; the value stays what it is.
    return value + torch.where(correction.detach().isnan(), 0.0, correction)
