"""Groups of units with clocks of their own."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, derived, initial
from nabi.ir.functions import activation, frac, select, total

__all__ = ["ClockworkRNN"]


@dataclasses.dataclass(frozen=True)
class _FromSlower:
    """The mask of a square matrix: 1 where a group of units reads itself or a slower one."""

    groups: int

    def __call__(self, shape: tuple[int, ...], generator: Any) -> Any:
        import torch

        group = torch.arange(shape[0]) * self.groups // shape[0]
        return (group[None, :] >= group[:, None]).float()


class ClockworkRNN(Cell):
    """Clockwork RNN (Koutnik, Greff, Gomez and Schmidhuber 2014): groups of units update at periods.

    Slow groups remember, fast ones follow the input. A group reads itself and the slower ones. The state `n`
    counts steps; at the first, all groups update.

    Args:
        periods: steps between two updates of each group, rising powers of two; the groups have the same
            number of units, or one more.
        activation: tanh by default.

    Raises:
        ArgumentError: the periods do not rise or are no powers of two.
    """

    periods: tuple[int, ...] = dataclasses.field(default=(1, 2, 4, 8), kw_only=True)
    activation: str = dataclasses.field(default="tanh", kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "n")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = tuple(self.periods) if isinstance(self.periods, (tuple, list)) else ()
        periods = tuple(_checks.whole("periods", period) for period in given)
        if not periods or list(periods) != sorted(set(periods)) or any(p & (p - 1) for p in periods):
            raise ArgumentError(f"periods: expected rising powers of two, got {_checks.short(self.periods)}")
        self._keep("periods", periods)

    def state_width(self, name: str) -> int:
        """Return 1 for n, `units` for h."""
        return 1 if name == "n" else self.units

    def step(self, x: Node, h: Node, n: Node) -> Any:
        """Update the groups whose period divides the number of the step."""
        count = len(self.periods)
        rates = tuple(1 / self.periods[unit * count // self.units] for unit in range(self.units))
        rate = self.parameter("r", init=initial.Values(rates), trained=False)
        blocks = derived.Masked(initial.Drawn(_FromSlower(count)))
        new = activation(self.activation)(self.affine("h", x, h, derived={"h": blocks}))
        t = total(n)
        return select(frac(t * rate) == 0, new, h), t + 1
