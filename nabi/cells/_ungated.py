"""Networks without gates: other ways to feed the state back."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._simple import SimpleRNN
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import activation, relu, sigmoid

__all__ = ["IRNN", "MIRNN", "SCRN", "JordanRNN", "LeakyRNN", "StatisticalRU"]


class JordanRNN(Cell):
    """Network whose output, not its hidden layer, is fed back (Jordan 1986).

    Good for its place in history, and where the output itself is the memory, as in the control of movements.

    Args:
        activation: of the hidden layer; tanh by default.
        output_activation: of the output; tanh by default.
    """

    activation: str = "tanh"
    output_activation: str = "tanh"

    states: ClassVar[tuple[str, ...]] = ("y",)

    def step(self, x: Node, y: Node) -> Any:
        """`h_t = f(W_xh x_t + W_yh y_{t-1} + b_h)`; the state is a layer on top of it."""
        h_t = activation(self.activation)(self.affine("h", x, y))
        return activation(self.output_activation)(self.affine("y", h=h_t))


class IRNN(SimpleRNN):
    """Simple network of rectified units that starts as an identity (Le, Jaitly and Hinton 2015).

    Good for long lags without gates, where its start matters more than its equations: the weights on the
    state start as the identity, those on the input as normal numbers of deviation 0.001, biases at zero.

    Args:
        activation: relu by default.
        gain_of_identity: what the identity is multiplied by; 1 by default, 0.01 for short memories.
    """

    activation: str = "relu"
    gain_of_identity: float = dataclasses.field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("gain_of_identity", _checks.real("gain_of_identity", self.gain_of_identity))

    def step(self, x: Node, h: Node) -> Any:
        """The step of a simple network."""
        start = {"x": initial.Normal(0, 0.001), "h": initial.Identity(self.gain_of_identity), "b": 0.0}
        return activation(self.activation)(self.affine("h", x, h, init=start))


class SCRN(Cell):
    """Structurally constrained network: slow context units beside a simple network (Mikolov et al. 2015).

    Good for small language models: the context units, which only leak, remember the topic. Their output is
    added to that of the hidden units. There are no biases, as in the paper.

    Args:
        alpha: the share of the context that a step keeps, from 0 to 1; 0.95 by default, as in the paper.
    """

    use_bias: bool = dataclasses.field(default=False, kw_only=True)
    alpha: float = dataclasses.field(default=0.95, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("h", "s")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("alpha", _checks.real("alpha", self.alpha, least=0, most=1))

    def step(self, x: Node, h: Node, s: Node) -> Any:
        """Compute the context s, the hidden layer h, and the sum of their products that is read."""
        s_t = (1 - self.alpha) * self.affine("s", x) + self.alpha * s
        h_t = sigmoid(self.affine("h", x, h, s=s_t))
        return self.affine("y", h=h_t, s=s_t), h_t, s_t


class MIRNN(Cell):
    """Simple network with multiplicative integration (Wu et al. 2016).

    Good as a cheap gain: the products of input and state are multiplied, not only added. alpha starts at 2,
    the betas at one half, the bias at zero.

    Args:
        activation: tanh by default.
    """

    activation: str = "tanh"

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = f(alpha ∘ W x ∘ U h + beta_1 ∘ U h + beta_2 ∘ W x + b)`."""
        return activation(self.activation)(integrate(self, "h", x, h))


def integrate(cell: Cell, gate: str, x: Node, h: Node) -> Node:
    """Return the sum of a gate with multiplicative integration (Wu et al. 2016)."""
    from_x, from_h = cell.linear(gate, "x", x), cell.linear(gate, "h", h)
    alpha = cell.gain(gate, "xh", init=2.0)
    beta1, beta2 = cell.gain(gate, "h", init=0.5), cell.gain(gate, "x", init=0.5)
    return alpha * from_x * from_h + beta1 * from_h + beta2 * from_x + cell.bias(gate, init=0.0)


class LeakyRNN(Cell):
    """Leaky network: a continuous-time one, one Euler step at a time (Funahashi and Nakamura 1993).

    Good for control and models of neurons: the state follows `τ dh/dt = f(W x + U h + b) - h`.

    Args:
        activation: tanh by default.
        step_size: the time of one step, positive, at most `tau`; 1 by default.
        tau: the time constant, positive; 10 by default.
    """

    activation: str = "tanh"
    step_size: float = dataclasses.field(default=1.0, kw_only=True)
    tau: float = dataclasses.field(default=10.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("tau", _checks.real("tau", self.tau, above=0))
        self._keep("step_size", _checks.real("step_size", self.step_size, above=0, most=self.tau))

    def step(self, x: Node, h: Node) -> Any:
        """Move the state towards a layer's output, by the share of the time constant that passes."""
        share = self.step_size / self.tau
        return h + share * (activation(self.activation)(self.affine("h", x, h)) - h)


class StatisticalRU(Cell):
    """Statistical recurrent unit: moving averages at five rates (Oliva, Póczos and Schneider 2017).

    Good for statistics of a sequence over several time scales at once. It has no gates: a unit reads a
    summary of the averages, and adds its statistics to each. An average keeps 0, 0.25, 0.5, 0.9 or 0.99 of
    itself in a step, as in the paper.
    """

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("m1", "m2", "m3", "m4", "m5")

    rates: ClassVar[tuple[float, ...]] = (0.0, 0.25, 0.5, 0.9, 0.99)

    def step(self, x: Node, *means: Node) -> Any:
        """Compute the summary r, the statistics p, their averages m1 to m5, and the output."""
        r_t = relu(self.affine("r", *means))
        p_t = relu(self.affine("p", x, r=r_t))
        new = [rate * mean + (1 - rate) * p_t for rate, mean in zip(self.rates, means, strict=True)]
        m1, m2, m3, m4, m5 = new
        return relu(self.affine("y", m1=m1, m2=m2, m3=m3, m4=m4, m5=m5)), *new
