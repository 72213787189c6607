"""Liquid time constants: units that are joined by synapses, solved over the time between two steps."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import sigmoid, softplus, split, total

__all__ = ["LTC"]


class LTC(Cell):
    """Liquid time-constant network: every pair of units has a synapse (Hasani et al. 2021).

    Good for control and irregular series with few units, 19 in the authors' car. A synapse opens with the
    unit before it, and pulls the one behind it towards a potential; so does one from every input. Over
    `delta`, the time since the last step (1 if it is not given), the equations are solved half implicitly.
    Wiring, leaks and capacities start as in the authors' package.

    Args:
        substeps: how many steps of the solver; 6 by default.
    """

    substeps: int = dataclasses.field(default=6, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("v",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("substeps", _checks.whole("substeps", self.substeps))

    def synapses(self, letter: str, value: Node) -> tuple[Node, Node]:
        """Return how far the synapses to each unit are open together, and how strongly they pull it."""
        count = value.width or 1
        axes, width = (count, self.units), count * self.units

        def weights(name: str, init: Any) -> Node:
            return split(self.parameter(f"{name}_{letter}", width, init=init), *axes)

        slope, middle = weights("s", initial.Uniform(3.0, 8.0)), weights("mu", initial.Uniform(0.3, 0.8))
        strength = softplus(weights("w", _positive(0.001, 1.0)))
        open_ = strength * sigmoid(slope * (split(value, count, 1) - middle))
        return total(open_, 0), total(open_ * weights("E", _signs), 0)

    def step(self, x: Node, v: Node, *, delta: Any = 1.0) -> Any:
        """`v ← (c v + g v_l + Σ w σ(s (v_j - μ)) E) / (c + g + Σ w σ(s (v_j - μ)))`, `c = C substeps / Δ`."""
        capacity = softplus(self.parameter("C", init=_positive(0.4, 0.6))) * self.substeps / delta
        leak = softplus(self.parameter("g", init=_positive(0.001, 1.0)))
        rest = leak * self.parameter("v_l", init=initial.Uniform(-0.2, 0.2))
        of_x, pull_x = self.synapses("x", x)
        a, p, u = [], [], [v]
        for _ in range(self.substeps):
            of_v, pull_v = self.synapses("v", u[-1])
            a.append(capacity + leak + of_x + of_v)
            p.append(rest + pull_x + pull_v)
            u.append((capacity * u[-1] + p[-1]) / a[-1])
        return u[-1]


@cache
def _positive(low: float, high: float) -> Callable[..., Any]:
    """Return the function that draws what softplus takes to a uniform number, always the same one."""

    def positive(shape: tuple[int, ...], generator: Any) -> Any:
        import torch

        return torch.empty(shape, dtype=torch.float64).uniform_(low, high, generator=generator).expm1().log()

    return positive


def _signs(shape: tuple[int, ...], generator: Any) -> Any:
    """Draw -1 or 1."""
    import torch

    return 2 * torch.randint(0, 2, shape, generator=generator, dtype=torch.float64) - 1
