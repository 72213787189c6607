"""Long short-term memory and its variants."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, maximum, minimum, norm

__all__ = [
    "LSTM",
    "CoupledLSTM",
    "LayerNormLSTM",
    "PeepholeLSTM",
    "ProjectedLSTM",
    "SeeingLSTM",
    "ZoneoutLSTM",
]


class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    Args:
        activation: of the candidate and of the cell output; tanh by default.
        recurrent_activation: of the gates; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Write, keep and read the cell `c` through the gates i, f and o."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x, h))
        f_t = gate(self.affine("f", x, h))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.affine("o", x, h))
        return o_t * f(c_t), c_t


class SeeingLSTM(LSTM):
    """The base of LSTMs whose gates see the cell state, each in a way that `look` says."""

    def look(self, gate: str, x: Node, h: Node, c: Node) -> Node:
        """Return a gate's sum, with what it sees of the cell; that of an LSTM here."""
        return self.affine(gate, x, h)

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step; i and f see the old cell, o the new one."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        f_t = gate(self.look("f", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * f(c_t), c_t


class PeepholeLSTM(SeeingLSTM):
    """LSTM whose gates also see the cell state (Gers, Schraudolph and Schmidhuber 2002).

    The weights on the cell are diagonal, as in the paper, in TensorFlow 1 and in ONNX; with `full=True` they
    are full matrices, as in lectures.

    Args:
        full: whether to use full matrices instead of diagonal ones.
    """

    full: bool = dataclasses.field(default=False, kw_only=True)

    def look(self, gate: str, x: Node, h: Node, c: Node) -> Node:
        """Return a gate's sum, including the peephole to the cell."""
        if self.full:
            return self.affine(gate, x, h, c=c)
        return self.affine(gate, x, h) + self.diagonal(gate, "c", c)


class CoupledLSTM(LSTM):
    """LSTM that writes only where it forgets (Greff et al. 2017, variant CIFG)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step with `1 - f` in place of the input gate."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        f_t = gate(self.affine("f", x, h))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + (1 - f_t) * g_t
        o_t = gate(self.affine("o", x, h))
        return o_t * f(c_t), c_t


class ProjectedLSTM(LSTM):
    """LSTM with a smaller output (Sak, Senior and Beaufays 2014): `h` projects the gated cell state.

    Args:
        projection: width of the output, required.
        cell_clip: the cell is clipped to ±this; None for no limit.
        projection_clip: the output is clipped to ±this; None for no limit.
    """

    projection: int = dataclasses.field(default=0, kw_only=True)
    cell_clip: float | None = dataclasses.field(default=None, kw_only=True)
    projection_clip: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("projection", _checks.whole("projection", self.projection))
        for name in ("cell_clip", "projection_clip"):
            limit = getattr(self, name)
            if limit is not None:
                self._keep(name, _checks.real(name, limit, above=0, otherwise=" or None"))

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return a projection to half of the units."""
        return {"projection": max(units // 2, 1)}

    def state_width(self, name: str) -> int:
        """Return `projection` for h, `units` for c."""
        return self.projection if name == "h" else self.units

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step with `h_t = W_mr (o_t ∘ tanh(c_t))`."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x, h))
        f_t = gate(self.affine("f", x, h))
        g_t = f(self.affine("c", x, h))
        c_t = _clip(f_t * c + i_t * g_t, self.cell_clip)
        o_t = gate(self.affine("o", x, h))
        h_t = self.linear("r", "m", o_t * f(c_t), units=self.projection)
        return _clip(h_t, self.projection_clip), c_t


class LayerNormLSTM(LSTM):
    """LSTM with layer normalisation (Ba, Kiros and Hinton 2016), gate by gate."""

    def gate(self, gate: str, x: Node, h: Node) -> Node:
        """Return a gate's sum, with the products of x and of h normalised separately."""
        from_x = self.gain(gate, "x") * norm(self.linear(gate, "x", x))
        return from_x + self.gain(gate, "h") * norm(self.linear(gate, "h", h)) + self.bias(gate)

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Compute an LSTM step with every sum and the cell output normalised."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.gate("i", x, h))
        f_t = gate(self.gate("f", x, h))
        g_t = f(self.gate("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.gate("o", x, h))
        return o_t * f(self.gain("c", "c") * norm(c_t) + self.bias("c", "c")), c_t


class ZoneoutLSTM(LSTM):
    """LSTM in which units keep their old state at random (Krueger et al. 2017).

    Args:
        zoneout_h, zoneout_c: probability that a unit of h or c keeps its old value in training; at inference,
            old and new values are mixed in this proportion.
    """

    zoneout_h: float = dataclasses.field(default=0.05, kw_only=True)
    zoneout_c: float = dataclasses.field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("zoneout_h", "zoneout_c"):
            self._keep(name, _checks.rate(name, getattr(self, name)))

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """`s_t = m ∘ s_{t-1} + (1 - m) ∘ s̃_t` for both states of an LSTM."""
        h_new, c_new = super().step(x, h, c)
        m_h = self.keep("h", self.units, self.zoneout_h)
        m_c = self.keep("c", self.units, self.zoneout_c)
        return m_h * h + (1 - m_h) * h_new, m_c * c + (1 - m_c) * c_new


def _clip(value: Node, limit: float | None) -> Node:
    return value if limit is None else minimum(maximum(value, -limit), limit)
