"""A declared derivative for torch's differentiation: reverse, forward, twice, vectorised."""

import torch
from torch import Tensor

__all__ = ["with_derivative"]


def with_derivative(value: Tensor, of: Tensor, slope: Tensor | float) -> Tensor:
    """Return `value` with the further derivative `slope` with respect to `of`.

    The difference of `of` and its number is zero and has the derivative 1. Half of the slope enters as a number:
    otherwise a second derivative would count the change of the slope twice.
    """
    constant = slope.detach() if isinstance(slope, Tensor) else slope
    change = of - of.detach()
    # What is not finite differs from itself by NaN, which belongs to the difference alone.
    change = torch.where(of.detach().isfinite(), change, 0.0)
    return value + 0.5 * (slope + constant) * change
