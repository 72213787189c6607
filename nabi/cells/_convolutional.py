"""Cells whose states are maps: convolutions take the places of products.

A map is a row of numbers, channel after channel, each with the positions of its axes. A convolution is a
product with a matrix that is computed from its kernel, so that everything that holds for a cell holds here.
For large maps, `nabi.layers.ConvLSTM2D` and its kin convolve by torch and are faster.
"""

import dataclasses
from collections.abc import Sequence
from math import gcd, prod
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError, CellError
from nabi.ir import Cell, Node, derived
from nabi.ir.functions import repeat, sigmoid, tanh

__all__ = ["ConvGRU", "ConvLSTM", "MapCell", "PredRNN"]


class MapCell(Cell):
    """The base of cells whose input and states are maps of channels × positions.

    Args:
        units: numbers of a state: its channels times the positions.
        size: the positions of each axis, `(40,)` for a line or `(16, 16)` for a picture, required; the
            product divides the units and the width of the input.
        window: positions that a kernel covers along every axis; 3 by default. Beyond the margins there are
            zeros.

    Raises:
        ArgumentError: `size` is missing, or does not divide the units.
        CellError: `size` does not divide the width of the input (raised by `program`).
    """

    size: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)
    window: int = dataclasses.field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.size, (tuple, list)) or not self.size:
            raise ArgumentError(f"size: expected the positions of each axis, got {_checks.short(self.size)}")
        self._keep("size", tuple(_checks.whole("size", one) for one in self.size))
        self._keep("window", _checks.whole("window", self.window))
        if self.units % prod(self.size):
            raise ArgumentError(
                f"size: expected a divisor of {self.units} units, got {prod(self.size)} positions"
            )

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return a line of as many positions as the widths allow."""
        return {"size": (gcd(units, input_size),)}

    def convolved(self, gate: str, letter: str, value: Node, window: int | None = None) -> Node:
        """Return the convolution of a map with the kernel of a gate."""
        if (value.width or 1) % prod(self.size):
            raise CellError(
                f"{type(self).__name__}: size: expected a divisor of the width {value.width}, got "
                f"{prod(self.size)} positions"
            )
        filters = self.units // prod(self.size)
        how = _Convolution(self.size, window or self.window, filters)
        return self.linear(gate, letter, value, derived=how)

    def gate(self, gate: str, bias: float = 0.0, **maps: Node) -> Node:
        """Return the sum of convolutions, with one bias for every channel."""
        terms = [self.convolved(gate, letter, value) for letter, value in maps.items()]
        if self.use_bias:
            positions = prod(self.size)
            terms.append(repeat(self.parameter(f"b_{gate}", self.units // positions, init=bias), positions))
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result


@dataclasses.dataclass(frozen=True)
class _Convolution(derived.Derived):
    """The matrix of a convolution of maps, whose ends are as if zeros followed."""

    size: tuple[int, ...]
    window: int
    filters: int

    def sources(self, shape: tuple[int, ...]) -> tuple[derived.Source, ...]:
        """Return the kernel."""
        channels = shape[1] // prod(self.size)
        return (derived.Source("V", (self.filters, channels * self.window ** len(self.size)), None),)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        (kernel,) = tensors
        # Which position a kernel's number reads, for every position of the result: axis by axis.
        reads = torch.ones(1, 1, 1, dtype=kernel.dtype, device=kernel.device)
        for length in self.size:
            places = torch.arange(length, device=kernel.device)
            moves = torch.arange(self.window, device=kernel.device) - (self.window - 1) // 2
            axis = (places == places[:, None] + moves[:, None, None]).to(kernel.dtype)
            both = torch.einsum("opq,wrs->owprqs", reads, axis)
            reads = both.reshape(len(reads) * self.window, reads.shape[1] * length, -1)
        whole = kernel.reshape(kernel.shape[0], -1, len(reads))
        found = torch.einsum("fco,opq->fpcq", whole, reads)
        return found.reshape(kernel.shape[0] * reads.shape[1], -1)

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        name = r"\mathrm{convolution}" if is_latex else "convolution"
        return f"{name}({', '.join(names)})"


class ConvLSTM(MapCell):
    """Convolutional LSTM: input, states and gates are maps (Shi et al. 2015).

    Good for radar, video and other fields that move: a gate sees the surroundings of its place. The biases
    of the forget gates start at 1, as in Keras.

    Args:
        size: the positions of each axis, `(40,)` for a line or `(16, 16)` for a picture, required; the
            product divides the units and the width of the input.
        window: positions that a kernel covers along every axis; 3 by default.
        peepholes: whether gates see the cell at their own place, as in the paper; True by default. Keras'
            layers have none.
    """

    peepholes: bool = dataclasses.field(default=True, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def look(self, gate: str, c: Node) -> Node | float:
        """Return what a gate sees of the cell."""
        return self.diagonal(gate, "c", c) if self.peepholes else 0.0

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step; i and f see the old cell, o the new one."""
        i_t = sigmoid(self.gate("i", x=x, h=h) + self.look("i", c))
        f_t = sigmoid(self.gate("f", 1.0, x=x, h=h) + self.look("f", c))
        c_t = f_t * c + i_t * tanh(self.gate("c", x=x, h=h))
        o_t = sigmoid(self.gate("o", x=x, h=h) + self.look("o", c_t))
        return o_t * tanh(c_t), c_t


class ConvGRU(MapCell):
    """Convolutional GRU: input, state and gates are maps (Ballas, Yao, Pal and Courville 2016).

    Good for video: fewer weights than a convolutional LSTM.
    """

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the candidate; r is applied before the convolution."""
        z_t = sigmoid(self.gate("z", x=x, h=h))
        r_t = sigmoid(self.gate("r", x=x, h=h))
        n_t = tanh(self.gate("h", x=x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t


class PredRNN(MapCell):
    """Spatiotemporal LSTM of PredRNN: a second memory, for what changes in space (Wang et al. 2017).

    Good for predicting video. In a stack of the paper the memory m goes up through the layers and from the
    last one to the first one of the next step; in this cell, which is a stack of one layer, it goes from step
    to step. The biases of the forget gates start at 1.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "m")

    def step(self, x: Node, h: Node, c: Node, m: Node) -> Any:
        """c and m are written alike, from h and from m; the output reads both."""
        i_t, f_t = sigmoid(self.gate("i", x=x, h=h)), sigmoid(self.gate("f", 1.0, x=x, h=h))
        c_t = f_t * c + i_t * tanh(self.gate("g", x=x, h=h))
        j_t, k_t = sigmoid(self.gate("j", x=x, m=m)), sigmoid(self.gate("k", 1.0, x=x, m=m))
        m_t = k_t * m + j_t * tanh(self.gate("n", x=x, m=m))
        o_t = sigmoid(self.gate("o", x=x, h=h, c=c_t, m=m_t))
        both = self.convolved("y", "c", c_t, 1) + self.convolved("y", "m", m_t, 1)
        return o_t * tanh(both), c_t, m_t
