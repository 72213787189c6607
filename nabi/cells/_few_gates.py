"""Units with one gate or two: what is left when a gated unit is made as small as it can be."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._width import as_wide
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import activation, hard_sigmoid, relu, sigmoid, softplus, tanh

__all__ = [
    "ATR",
    "CFN",
    "DSGU",
    "JANET",
    "MGU",
    "MGU1",
    "MGU2",
    "MGU3",
    "RAN",
    "SGRN",
    "SGU",
    "STAR",
    "UGRNN",
    "DeltaRNN",
    "IntersectionRNN",
    "LightRU",
    "MiRU1",
    "MiRU2",
    "MinimalRNN",
]


class MGU(Cell):
    """Minimal gated unit: one gate that both forgets and resets (Zhou et al. 2016).

    Good for small devices: the fewest gates that still work, two thirds of a GRU's weights.

    Args:
        activation: of the candidate; tanh by default.
        recurrent_activation: of the gate; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    def gate(self, x: Node, h: Node) -> Any:
        """Return the gate's sum."""
        return self.affine("f", x, h)

    def step(self, x: Node, h: Node) -> Any:
        """f is the share of the candidate."""
        f_t = activation(self.recurrent_activation)(self.gate(x, h))
        n_t = activation(self.activation)(self.affine("h", x, h=f_t * h))
        return (1 - f_t) * h + f_t * n_t


class MGU1(MGU):
    """Minimal gated unit whose gate reads the state and a bias (Heck and Salem 2017, variant 1)."""

    def gate(self, x: Node, h: Node) -> Any:
        """`W_h h + b`."""
        return self.affine("f", h)


class MGU2(MGU):
    """Minimal gated unit whose gate reads only the state (Heck and Salem 2017, variant 2)."""

    def gate(self, x: Node, h: Node) -> Any:
        """`W_h h`."""
        return self.linear("f", "h", h)


class MGU3(MGU):
    """Minimal gated unit whose gate is a learned bias (Heck and Salem 2017, variant 3)."""

    def gate(self, x: Node, h: Node) -> Any:
        """`b`."""
        return self.bias("f")


class UGRNN(Cell):
    """Update gate network: one gate between the old state and a candidate (Collins et al. 2017).

    Good in deep stacks; the simplest unit that trained as well as an LSTM in the authors' comparison. The
    bias of the gate starts at one.

    Args:
        activation: of the candidate; tanh by default.
    """

    activation: str = "tanh"

    def step(self, x: Node, h: Node) -> Any:
        """g is the share of the old state."""
        g_t = sigmoid(self.affine("g", x, h, init={"b": 1.0}))
        n_t = activation(self.activation)(self.affine("h", x, h))
        return g_t * h + (1 - g_t) * n_t


class IntersectionRNN(Cell):
    """Intersection network, +RNN: a gate in time and a gate in depth (Collins et al. 2017).

    Good in deep stacks: the output mixes the input with a candidate, as the state mixes its old value. An
    input of another width than the units is multiplied by a matrix first. The biases of the gates start at
    one.
    """

    output: ClassVar[str] = "y"

    def step(self, x: Node, h: Node) -> Any:
        """Compute the output y, gated along the depth, and the state h, gated along time."""
        u_t = sigmoid(self.affine("u", x, h, init={"b": 1.0}))
        y_t = u_t * as_wide(self, "s", x) + (1 - u_t) * relu(self.affine("y", x, h))
        g_t = sigmoid(self.affine("g", x, h, init={"b": 1.0}))
        return y_t, g_t * h + (1 - g_t) * tanh(self.affine("h", x, h))


class RAN(Cell):
    """Recurrent additive network: the memory is a weighted sum of inputs (Lee, Levy and Zettlemoyer 2017).

    Good where one wants to read from the gates what an output consists of. The content has no bias.

    Args:
        activation: of the output, tanh by default; "linear" for the variant without.
    """

    activation: str = "tanh"

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The content does not read the state; only the gates do."""
        i_t = sigmoid(self.affine("i", x, h))
        f_t = sigmoid(self.affine("f", x, h))
        c_t = i_t * self.linear("c", "x", x) + f_t * c
        return activation(self.activation)(c_t), c_t


class CFN(Cell):
    """Chaos-free network: without input its state decays (Laurent and von Brecht 2017).

    Good where predictable dynamics are worth more than the last percent. The biases start at 1 (theta) and
    -1 (eta).
    """

    def step(self, x: Node, h: Node) -> Any:
        """theta scales the old state, eta the input; the candidate reads the input alone, without a bias."""
        theta_t = sigmoid(self.affine("theta", x, h, init={"b": 1.0}))
        eta_t = sigmoid(self.affine("eta", x, h, init={"b": -1.0}))
        return theta_t * tanh(h) + eta_t * tanh(self.linear("h", "x", x))


class ATR(Cell):
    """Addition-subtraction twin-gated unit: two gates from two products (Zhang et al. 2018).

    Good for fast translation: one matrix on the input and one on the state, half of a GRU's with two gates.
    There are no biases, as in the paper.
    """

    use_bias: bool = dataclasses.field(default=False, kw_only=True)

    def step(self, x: Node, h: Node) -> Any:
        """The gates i and f are the sigmoid of the sum and of the difference of p and q."""
        p_t = self.affine("p", x, bias="x")
        q_t = self.affine("p", h, bias="h")
        i_t = sigmoid(p_t + q_t)
        f_t = sigmoid(p_t - q_t)
        return i_t * p_t + f_t * h


class MinimalRNN(Cell):
    """MinimalRNN: the input is mapped to a latent space, where one gate mixes it in (Chen 2017).

    Good for interpretable states and long lags: the state stays in the latent space.
    """

    def step(self, x: Node, h: Node) -> Any:
        """z is the latent input, u the share of the old state."""
        z_t = tanh(self.affine("z", x))
        u_t = sigmoid(self.affine("u", h, z=z_t))
        return u_t * h + (1 - u_t) * z_t


class SGRN(Cell):
    """Simple gated recurrent network: one product on the input serves gate and candidate (Wang et al. 2021).

    Good for series of energy consumption, for which it was made.
    """

    def step(self, x: Node, h: Node) -> Any:
        """The gate adds a product of the state to the projected input p."""
        p_t = self.affine("p", x, bias="x")
        f_t = sigmoid(p_t + self.affine("p", h, bias="h"))
        return tanh((1 - f_t) * p_t + f_t * h)


class SGU(Cell):
    """Simple gated unit: the state itself, gated, is the candidate (Gao and Glowacka 2016).

    Good for an ablation of the GRU; it has two thirds of its weights.
    """

    def candidate(self, g: Node, h: Node) -> Any:
        """Return the candidate of a gated state."""
        return softplus(g * h)

    def step(self, x: Node, h: Node) -> Any:
        """g gates the state, z is the share of the candidate."""
        g_t = tanh(self.linear("g", "h", self.affine("g", x) * h))
        n_t = self.candidate(g_t, h)
        z_t = hard_sigmoid(self.affine("z", x, h))
        return (1 - z_t) * h + z_t * n_t


class DSGU(SGU):
    """Deep simple gated unit: a matrix more on the gated state (Gao and Glowacka 2016)."""

    def candidate(self, g: Node, h: Node) -> Any:
        """`sigmoid(W (g ∘ h))`."""
        return sigmoid(self.linear("n", "h", g * h))


class LightRU(Cell):
    """Light recurrent unit: one gate, and a candidate that reads the input alone (Ye et al. 2024).

    Good for small models: it has one matrix on the state.
    """

    def step(self, x: Node, h: Node) -> Any:
        """f is the share of the candidate."""
        f_t = sigmoid(self.affine("f", x, h))
        return (1 - f_t) * h + f_t * tanh(self.affine("h", x))


class STAR(Cell):
    """Stackable recurrent unit: one gate that keeps gradients alike in all layers (Turkoglu et al. 2021).

    Good for deep stacks: the gradient neither vanishes nor explodes over the layers.
    """

    def step(self, x: Node, h: Node) -> Any:
        """k is the share of the candidate z."""
        z_t = tanh(self.affine("z", x))
        k_t = sigmoid(self.affine("k", x, h))
        return tanh((1 - k_t) * h + k_t * z_t)


class DeltaRNN(Cell):
    """Delta-RNN: an interpolation with few extra weights (Ororbia, Mikolov and Reitter 2017).

    Good for small language models: one matrix on the input, one on the state, vectors beside them.
    """

    def step(self, x: Node, h: Node) -> Any:
        """r is the share of the old state; the candidate integrates multiplicatively."""
        w_t, v_t = self.linear("h", "x", x), self.linear("h", "h", h)
        alpha, beta1, beta2 = (self.parameter(name, init=1.0) for name in ("alpha", "beta1", "beta2"))
        n_t = tanh(alpha * v_t * w_t + beta1 * v_t + beta2 * w_t)
        r_t = sigmoid(w_t + self.bias("r"))
        return tanh((1 - r_t) * n_t + r_t * h)


class MiRU1(Cell):
    """Minion recurrent unit 1: a GRU whose update gate is a constant (2026).

    Good for small models: two thirds of a GRU's weights, with a fixed memory.

    Args:
        keep_rate: what a step keeps of the state, from 0 to 1; 0.5 by default.
    """

    keep_rate: float = dataclasses.field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("keep_rate", _checks.real("keep_rate", self.keep_rate, least=0, most=1))

    def step(self, x: Node, h: Node) -> Any:
        """r resets the state in the candidate."""
        r_t = sigmoid(self.affine("r", x, h))
        n_t = tanh(self.affine("h", x, h=r_t * h))
        return self.keep_rate * h + (1 - self.keep_rate) * n_t


class MiRU2(MiRU1):
    """Minion recurrent unit 2: a GRU whose gates are both constants (2026).

    Args:
        keep_rate: what a step keeps of the state, from 0 to 1; 0.5 by default.
        reset_rate: what the candidate reads of the state, from 0 to 1; 0.5 by default.
    """

    reset_rate: float = dataclasses.field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("reset_rate", _checks.real("reset_rate", self.reset_rate, least=0, most=1))

    def step(self, x: Node, h: Node) -> Any:
        """Nothing but the candidate is learned."""
        n_t = tanh(self.affine("h", x, h=self.reset_rate * h))
        return self.keep_rate * h + (1 - self.keep_rate) * n_t


class JANET(Cell):
    """Just another network: an LSTM with nothing but its forget gate (van der Westhuizen and Lasenby 2018).

    Good for long memory with one gate, half of an LSTM's weights.

    Args:
        beta: how much less is written than forgotten, in the gate's sum; 1 by default, as in the paper.
        longest: the number of steps to remember, at least 2: the gate's bias starts at log U(1, longest - 1),
            as in the paper ("chrono", Tallec and Ollivier 2018). None, the default, for no such start.
    """

    beta: float = dataclasses.field(default=1.0, kw_only=True)
    longest: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("beta", _checks.real("beta", self.beta))
        if self.longest is not None:
            self._keep("longest", _checks.real("longest", self.longest, least=2, otherwise=" or None"))

    def step(self, x: Node, h: Node) -> Any:
        """The gate's sum, less beta, says what is not written."""
        start = None if self.longest is None else {"b": initial.Chrono(self.longest)}
        s_t = self.affine("f", x, h, init=start)
        return sigmoid(s_t) * h + (1 - sigmoid(s_t - self.beta)) * tanh(self.affine("h", x, h))
