"""The LSTM with one part taken away, and the first LSTM."""

from typing import Any, ClassVar

from nabi.cells._lstm import LSTM, PeepholeLSTM
from nabi.ir import Cell, Node
from nabi.ir.functions import activation

__all__ = [
    "FullGateRecurrenceLSTM",
    "NoForgetGateLSTM",
    "NoInputActivationLSTM",
    "NoInputGateLSTM",
    "NoOutputActivationLSTM",
    "NoOutputGateLSTM",
    "OriginalLSTM",
]


class OriginalLSTM(LSTM):
    """LSTM without forget gate (Hochreiter and Schmidhuber 1997).

    Good for history and for counting: what is in the cell stays. The activations are those of today, tanh.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The cell only adds."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x, h))
        g_t = f(self.affine("c", x, h))
        c_t = c + i_t * g_t
        o_t = gate(self.affine("o", x, h))
        return o_t * f(c_t), c_t


class NoInputGateLSTM(PeepholeLSTM):
    """Peephole LSTM without input gate (Greff et al. 2017, variant NIG)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The candidate is written as it is."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        f_t = gate(self.look("f", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + g_t
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * f(c_t), c_t


class NoForgetGateLSTM(PeepholeLSTM):
    """Peephole LSTM without forget gate (Greff et al. 2017, variant NFG)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The cell only adds."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = c + i_t * g_t
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * f(c_t), c_t


class NoOutputGateLSTM(PeepholeLSTM):
    """Peephole LSTM without output gate (Greff et al. 2017, variant NOG)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The activated cell is the output."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        f_t = gate(self.look("f", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        return f(c_t), c_t


class NoInputActivationLSTM(PeepholeLSTM):
    """Peephole LSTM whose candidate is linear (Greff et al. 2017, variant NIAF)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The candidate has no activation."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        f_t = gate(self.look("f", x, h, c))
        c_t = f_t * c + i_t * self.affine("c", x, h)
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * f(c_t), c_t


class NoOutputActivationLSTM(PeepholeLSTM):
    """Peephole LSTM whose output is linear in the cell (Greff et al. 2017, variant NOAF)."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The cell has no activation where it is read."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        f_t = gate(self.look("f", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * c_t, c_t


class FullGateRecurrenceLSTM(Cell):
    """Peephole LSTM whose gates read the old gates, too (Greff et al. 2017, variant FGR).

    As in the LSTM of 1997. It has nine matrices on gates more.

    Args:
        activation: of the candidate and of the cell output; tanh by default.
        recurrent_activation: of the gates; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    states: ClassVar[tuple[str, ...]] = ("h", "c", "i", "f", "o")

    def step(self, x: Node, h: Node, c: Node, i: Node, f: Node, o: Node) -> Any:
        """The gates are states."""
        gate, act = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x, h, i, f, o) + self.diagonal("i", "c", c))
        f_t = gate(self.affine("f", x, h, i, f, o) + self.diagonal("f", "c", c))
        c_t = f_t * c + i_t * act(self.affine("c", x, h))
        o_t = gate(self.affine("o", x, h, i, f, o) + self.diagonal("o", "c", c_t))
        return o_t * act(c_t), c_t, i_t, f_t, o_t
