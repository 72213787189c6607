"""L-BFGS that begins with the curvature of each variable, for smooth convex functions of many variables.

torch has L-BFGS too, but without such a beginning it takes several times as many steps here, and its first
use imports torch's compiler, which takes longer than most of these fits.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["minimize"]

_REMEMBERED = 4  # steps that curvature is estimated from; each takes twice the memory of the variables
_ENOUGH = 1e-4  # share of the decrease promised by the slope that a step has to bring (Armijo)
_SHORTEST, _LONGEST = 0.1, 0.5  # what a step that was too long is multiplied with
_TRIALS = 20


def minimize(
    function: Callable[[Tensor], tuple[float, Tensor]],
    start: Tensor,
    curvature: Tensor,
    *,
    steps: int,
    tolerance: float,
) -> Tensor:
    """Return where a convex function is smallest.

    Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4 and 3.1.

    Args:
        function: gives value and gradient at a point.
        start: the first point, of any shape.
        curvature: estimate of the diagonal of the Hessian there, positive, of the same shape.
        steps: at most.
        tolerance: it ends with the step that decreases the value by no more than this.

    >>> def bowl(at):
    ...     gap = at - torch.tensor([1.0, 2.0])
    ...     return float(gap.square().sum()), 2 * gap
    >>> minimize(bowl, torch.zeros(2), torch.full((2,), 2.0), steps=5, tolerance=1e-9)
    tensor([1., 2.])
    """
    point = start.clone()
    value, gradient = function(point)
    inverse = curvature.reciprocal()
    known: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=_REMEMBERED)
    for _ in range(steps):
        direction = _direction(gradient, inverse, known)
        slope = _dot(gradient, direction)
        found = None if slope >= 0 else _search(function, point, value, direction, slope)
        if found is None:  # as small as rounding allows
            break
        length, point, lower, after = found
        step, change = direction.mul_(length), after - gradient
        product = _dot(step, change)
        if product > 0:
            known.append((step, change, product))
        gained, value, gradient = value - lower, lower, after
        if gained <= tolerance:
            break
    return point


def _direction(gradient: Tensor, inverse: Tensor, known: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """Return minus the estimated inverse of the Hessian, times the gradient."""
    rest = gradient.neg()
    shares = []
    for step, change, product in reversed(known):
        shares.append(_dot(step, rest) / product)
        rest.add_(change, alpha=-shares[-1])
    rest.mul_(inverse)
    if known:
        _, change, product = known[-1]
        rest.mul_(product / _dot(change, change * inverse))
    for (step, change, product), share in zip(known, reversed(shares), strict=True):
        rest.add_(step, alpha=share - _dot(change, rest) / product)
    return rest


def _search(
    function: Callable[[Tensor], tuple[float, Tensor]],
    point: Tensor,
    value: float,
    direction: Tensor,
    slope: float,
) -> tuple[float, Tensor, float, Tensor] | None:
    """Return a length that decreases the value enough, the point, its value and its gradient."""
    length = 1.0
    for _ in range(_TRIALS):
        there = torch.add(point, direction, alpha=length)
        reached, gradient = function(there)
        if reached <= value + _ENOUGH * length * slope:
            return length, there, reached, gradient
        # The lowest point of the parabola through what is known.
        lowest = -slope * length**2 / (2 * (reached - value - slope * length))
        length = min(max(lowest, _SHORTEST * length), _LONGEST * length)
    return None


def _dot(one: Tensor, other: Tensor) -> float:
    return float(torch.dot(one.flatten(), other.flatten()))
