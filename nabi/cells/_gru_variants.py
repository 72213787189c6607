"""Gated recurrent units that the papers have made simpler, searched for or taken apart."""

from typing import Any

from nabi.cells._gru import GRU
from nabi.cells._ungated import integrate
from nabi.cells._width import as_wide
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, sigmoid, tanh

__all__ = ["GRU1", "GRU2", "GRU3", "MIGRU", "MUT1", "MUT2", "MUT3", "IndyGRU", "LiGRU", "ParaGRU"]


class _ReducedGRU(GRU):
    """A GRU whose two gates read less than the input, the state and a bias."""

    def gate(self, gate: str, h: Node) -> Any:
        """Return a gate's sum."""
        raise NotImplementedError

    def step(self, x: Node, h: Node) -> Any:
        """Compute a GRU step with z on the candidate; the gates do not see the input."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.gate("z", h))
        r_t = gate(self.gate("r", h))
        n_t = f(self.affine("h", x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t


class GRU1(_ReducedGRU):
    """GRU whose gates read the state and a bias, not the input (Dey and Salem 2017, variant 1).

    Good to see what the gates need: it has two input matrices fewer than `gru-2014`.
    """

    def gate(self, gate: str, h: Node) -> Any:
        """`W_h h + b`."""
        return self.affine(gate, h)


class GRU2(_ReducedGRU):
    """GRU whose gates read only the state (Dey and Salem 2017, variant 2)."""

    def gate(self, gate: str, h: Node) -> Any:
        """`W_h h`."""
        return self.linear(gate, "h", h)


class GRU3(_ReducedGRU):
    """GRU whose gates are constants, learned biases (Dey and Salem 2017, variant 3).

    Its gates do not depend on the sequence. Without biases they are one half.
    """

    def gate(self, gate: str, h: Node) -> Any:
        """`b`."""
        return self.bias(gate)


class MUT1(Cell):
    """First of three GRU variants found by search (Jozefowicz, Zaremba and Sutskever 2015).

    Good on the authors' tasks, better than the GRU on some. The candidate reads `tanh(x)` without weights; an
    input of another width than the units is multiplied by a matrix first.
    """

    def step(self, x: Node, h: Node) -> Any:
        """The update gate z reads the input alone."""
        z_t = sigmoid(self.affine("z", x))
        r_t = sigmoid(self.affine("r", x, h))
        n_t = tanh(self.affine("h", h=r_t * h) + tanh(as_wide(self, "h", x)))
        return (1 - z_t) * h + z_t * n_t


class MUT2(Cell):
    """Second of three GRU variants found by search (Jozefowicz, Zaremba and Sutskever 2015).

    The reset gate adds the input without weights; an input of another width than the units is multiplied by a
    matrix first.
    """

    def step(self, x: Node, h: Node) -> Any:
        """The reset gate r reads the input as it is."""
        z_t = sigmoid(self.affine("z", x, h))
        r_t = sigmoid(as_wide(self, "r", x) + self.affine("r", h))
        n_t = tanh(self.affine("h", x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t


class MUT3(Cell):
    """Third of three GRU variants found by search (Jozefowicz, Zaremba and Sutskever 2015)."""

    def step(self, x: Node, h: Node) -> Any:
        """The update gate z reads `tanh(h)`."""
        z_t = sigmoid(self.affine("z", x, h=tanh(h)))
        r_t = sigmoid(self.affine("r", x, h))
        n_t = tanh(self.affine("h", x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t


class LiGRU(GRU):
    """Light GRU: one gate, rectified units (Ravanelli et al. 2018).

    Good for speech: a third fewer weights than a GRU, and faster. The paper normalises `W x` over the batch;
    a normalising layer in front of this one does that.

    Args:
        activation: of the candidate; relu by default.
        recurrent_activation: of the gate; sigmoid by default.
    """

    activation: str = "relu"

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; there is no reset gate."""
        start = {"h": "orthogonal"}
        z_t = activation(self.recurrent_activation)(self.affine("z", x, h, init=start))
        n_t = activation(self.activation)(self.affine("h", x, h, init=start))
        return z_t * h + (1 - z_t) * n_t


class MIGRU(GRU):
    """GRU with multiplicative integration (Wu et al. 2016): products of x and h are multiplied, too."""

    def step(self, x: Node, h: Node) -> Any:
        """A GRU step, reset before the product; each sum integrates multiplicatively."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(integrate(self, "z", x, h))
        r_t = gate(integrate(self, "r", x, h))
        n_t = f(integrate(self, "h", x, r_t * h))
        return z_t * h + (1 - z_t) * n_t


class IndyGRU(GRU):
    """GRU whose units read only their own state (Gonnet and Deselaers 2019).

    Good for wide layers: the weights on the state are vectors, so there is no product in the loop over time.
    """

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the candidate, as in ParaGRU."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x) + self.diagonal("z", "h", h))
        r_t = gate(self.affine("r", x) + self.diagonal("r", "h", h))
        n_t = f(self.affine("h", x) + self.diagonal("h", "h", r_t * h))
        return (1 - z_t) * h + z_t * n_t


class ParaGRU(IndyGRU):
    """Diagonal GRU of ParaRNN (Danieli et al. 2025): nonlinear, and made for training in parallel over time.

    Its equations are those of `indy-gru`. Good where a nonlinear state is needed at the cost of a linear one.
    """
