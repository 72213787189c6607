"""LSTMs with another gate, another way to the output, or weights on the memory."""

from typing import Any, ClassVar

from nabi.cells._lstm import LSTM, PeepholeLSTM, SeeingLSTM
from nabi.cells._ungated import integrate
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, sigmoid, tanh

__all__ = [
    "MILSTM",
    "URLSTM",
    "WMCLSTM",
    "HighwayLSTM",
    "IndyLSTM",
    "MemoryControllerLSTM",
    "MultiplicativeLSTM",
    "ParaLSTM",
    "ResidualLSTM",
]


def _uniform_gate(shape: tuple[int, ...], generator: Any) -> Any:
    """Draw the logit of a number between 1 / units and 1 - 1 / units (Gu et al. 2020)."""
    import torch

    least = 1 / max(shape[0], 2)
    uniform = least + (1 - 2 * least) * torch.rand(shape, generator=generator, dtype=torch.float64)
    return -(1 / uniform - 1).log()


class URLSTM(LSTM):
    """LSTM whose gates start uniform and are refined (Gu et al. 2020).

    Good for long lags without tuning of the gates. The vector u is added in the forget gate and subtracted in
    the refine gate. It starts as the logit of a uniform number, so that f is spread evenly between
    0 and 1. The effective gate g lies between f² and 1 - (1 - f)².
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """g, made of the forget gate f and the refine gate r, is the share of the old cell."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        u = self.parameter("u", init=_uniform_gate)
        f_t = gate(self.affine("f", x, h, init={"b": 0.0}) + u)
        r_t = gate(self.affine("r", x, h, init={"b": 0.0}) - u)
        g_t = 2 * r_t * f_t + (1 - 2 * r_t) * f_t**2
        c_t = g_t * c + (1 - g_t) * f(self.affine("c", x, h))
        o_t = gate(self.affine("o", x, h))
        return o_t * f(c_t), c_t


class MultiplicativeLSTM(LSTM):
    """Multiplicative LSTM: the transition of the state depends on the input (Krause et al. 2016).

    Good for language models of bytes: every input has its own matrix on the state.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The gates read m, a product of the input times a product of the state, in place of the state."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        m_t = self.linear("m", "x", x) * self.linear("m", "h", h)
        i_t = gate(self.affine("i", x, m=m_t))
        f_t = gate(self.affine("f", x, m=m_t))
        g_t = f(self.affine("c", x, m=m_t))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.affine("o", x, m=m_t))
        return o_t * f(c_t), c_t


class WMCLSTM(SeeingLSTM):
    """LSTM with working memory connections: gates read the cell through tanh (Landi et al. 2021).

    Good for long lags, where peepholes are unstable: the cell is squashed before it enters a gate.
    """

    def look(self, gate: str, x: Node, h: Node, c: Node) -> Node:
        """Return a gate's sum with its working memory connection."""
        return self.affine(gate, x, h) + tanh(self.affine(gate, bias="c", c=c))


class MemoryControllerLSTM(Cell):
    """LSTM with a second output for its own gates (workshop paper on memory controllers, Intel, NIPS 2017).

    Good for control: what is predicted and what drives the memory are two readings of the cell.

    Args:
        activation: of the candidate; tanh by default. The cell is always read through tanh.
        recurrent_activation: of the gates; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("v", "c")

    def step(self, x: Node, v: Node, c: Node) -> Any:
        """The gates read v, and nothing in the loop reads the output h."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x, v))
        f_t = gate(self.affine("f", x, v))
        g_t = f(self.affine("c", x, v))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.affine("o", x, v))
        m_t = gate(self.affine("m", x, v))
        return o_t * tanh(c_t), m_t * tanh(c_t), c_t


class MILSTM(LSTM):
    """LSTM with multiplicative integration (Wu et al. 2016): products of x and h are multiplied, too."""

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """An LSTM step; each sum integrates multiplicatively."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(integrate(self, "i", x, h))
        f_t = gate(integrate(self, "f", x, h))
        g_t = f(integrate(self, "c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(integrate(self, "o", x, h))
        return o_t * f(c_t), c_t


class IndyLSTM(LSTM):
    """LSTM whose units read only their own output (Gonnet and Deselaers 2019).

    Good for wide layers: the weights on the state are vectors, so there is no product in the loop over time.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """An LSTM step with diagonal weights on h."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.affine("i", x) + self.diagonal("i", "h", h))
        f_t = gate(self.affine("f", x) + self.diagonal("f", "h", h))
        g_t = f(self.affine("c", x) + self.diagonal("c", "h", h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.affine("o", x) + self.diagonal("o", "h", h))
        return o_t * f(c_t), c_t


class ParaLSTM(LSTM):
    """Diagonal LSTM of ParaRNN: coupled gates and peepholes (Danieli et al. 2025).

    Good where a nonlinear state is needed at the cost of a linear one; made to be trained in parallel over
    time.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """All weights on h and c are diagonal; the cell writes where it forgets."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        f_t = gate(self.affine("f", x) + self.diagonal("f", "h", h) + self.diagonal("f", "c", c))
        g_t = f(self.affine("c", x) + self.diagonal("c", "h", h))
        c_t = f_t * c + (1 - f_t) * g_t
        o_t = gate(self.affine("o", x) + self.diagonal("o", "h", h) + self.diagonal("o", "c", c_t))
        return o_t * f(c_t), c_t


class ResidualLSTM(PeepholeLSTM):
    """Peephole LSTM with a shortcut from the input to the output (Kim, El-Khamy and Lee 2017).

    Good for deep stacks in speech recognition: the output gate scales the shortcut, too.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The output is the gated sum of a projected cell and of the input."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t = gate(self.look("i", x, h, c))
        f_t = gate(self.look("f", x, h, c))
        g_t = f(self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.look("o", x, h, c_t))
        return o_t * (self.linear("p", "m", f(c_t)) + self.linear("s", "x", x)), c_t


class HighwayLSTM(LSTM):
    """LSTM with a highway from the input to the output (Srivastava et al. 2015; Zhang et al. 2016; AllenNLP).

    Good for deep stacks, such as taggers: a gate r decides between the LSTM's output and the projected input.
    """

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """r is the share of the LSTM's output."""
        output, c_t = super().step(x, h, c)
        r_t = sigmoid(self.affine("r", x, h))
        return r_t * output + (1 - r_t) * self.linear("s", "x", x), c_t
