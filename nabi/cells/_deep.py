"""Cells with more than one layer within a step."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._lstm import LSTM
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, relu, sigmoid, tanh

__all__ = ["RHN", "GridLSTM", "MogrifierLSTM", "NASCell"]


class RHN(Cell):
    """Recurrent highway network: several highway layers in a step (Zilly et al. 2017).

    Good for language models: the transition is deep without more states. Carry and transform gates are
    coupled.

    Args:
        depth: highway layers in a step, at least 1; 5 by default. Each is one more matrix phase.
        transform_bias: what the biases of the transform gates start at; -2 by default, so that a layer starts
            close to handing the state on.
    """

    depth: int = dataclasses.field(default=5, kw_only=True)
    transform_bias: float = dataclasses.field(default=-2.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("depth", _checks.whole("depth", self.depth))
        self._keep("transform_bias", _checks.real("transform_bias", self.transform_bias))

    def step(self, x: Node, h: Node) -> Any:
        """t is the share of a layer's candidate g; only the first layer reads the input."""
        g, t, s = [], [], [h]
        for layer in range(1, self.depth + 1):
            inputs = (x,) if layer == 1 else ()
            g.append(tanh(self.affine(f"g{layer}", *inputs, h=s[-1])))
            start = {"b": self.transform_bias}
            t.append(sigmoid(self.affine(f"t{layer}", *inputs, h=s[-1], init=start)))
            s.append(g[-1] * t[-1] + s[-1] * (1 - t[-1]))
        return s[-1]


class MogrifierLSTM(LSTM):
    """LSTM whose input and state gate each other before the step (Melis, Kočiský and Blunsom 2020).

    Good for language models on small data sets. The gates have no biases, as in the paper.

    Args:
        rounds: how often one gates the other, at least 0; 5 by default.
    """

    rounds: int = dataclasses.field(default=5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rounds", _checks.whole("rounds", self.rounds, least=0))

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Odd rounds scale the input by the state, even ones the state by the input; then an LSTM step."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        u, v = [x], [h]
        for number in range(1, self.rounds + 1):
            if number % 2:
                u.append(2 * sigmoid(self.linear(f"{number}", "q", v[-1], units=x.width)) * u[-1])
            else:
                v.append(2 * sigmoid(self.linear(f"{number}", "r", u[-1])) * v[-1])
        i_t = gate(self.affine("i", x=u[-1], h=v[-1]))
        f_t = gate(self.affine("f", x=u[-1], h=v[-1]))
        g_t = f(self.affine("c", x=u[-1], h=v[-1]))
        c_t = f_t * c + i_t * g_t
        o_t = gate(self.affine("o", x=u[-1], h=v[-1]))
        return o_t * f(c_t), c_t


class NASCell(Cell):
    """Cell found by a search over architectures (Zoph and Le 2017; constants as in TensorFlow).

    Good for language models, for which it was searched: eight pairs of products, combined as a tree.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """The fourth pair is multiplied, the others are added."""
        u1 = sigmoid(self.affine("1", x, h))
        u2 = relu(self.affine("2", x, h))
        u3 = sigmoid(self.affine("3", x, h))
        u4 = relu(self.linear("4", "x", x) * self.affine("4", h))
        u5 = tanh(self.affine("5", x, h))
        u6 = sigmoid(self.affine("6", x, h))
        u7 = tanh(self.affine("7", x, h))
        u8 = sigmoid(self.affine("8", x, h))
        c_t = tanh(tanh(u1 * u2) + c) * tanh(u3 + u4)
        return tanh(c_t * tanh(tanh(u5 * u6) + sigmoid(u7 + u8))), c_t


class GridLSTM(Cell):
    """Grid LSTM of two dimensions, time and depth (Kalchbrenner, Danihelka and Graves 2016).

    Good for deep networks on sequences: a memory runs upwards through the layers as one runs through time.
    In every layer, an LSTM along time and one along depth read both hidden vectors, that of the step before
    and that of the layer below; the one along depth reads the new one of time, as in TensorFlow. The input,
    by two matrices, is the hidden vector and the memory that enter the first layer. The output is the hidden
    vector that leaves the last one.

    Args:
        layers: how many, at least 1; 2 by default.
        tied: whether all layers have the same weights; False by default.
    """

    layers: int = dataclasses.field(default=2, kw_only=True)
    tied: bool = dataclasses.field(default=False, kw_only=True)

    output: ClassVar[str] = "y"

    def __post_init__(self) -> None:
        self._keep("layers", _checks.whole("layers", self.layers))
        self._keep("tied", _checks.flag("tied", self.tied))
        self._keep("states", tuple(f"{one}{layer}" for layer in range(1, self.layers + 1) for one in "hm"))
        super().__post_init__()

    def step(self, x: Node, *states: Node) -> Any:
        """u and v rise through the layers; h and m, of a layer, go on in time."""
        u, v, h, m = [self.linear("h", "x", x)], [self.linear("m", "x", x)], [], []
        for layer in range(self.layers):
            number = "" if self.tied else str(layer + 1)
            new = self.lstm(f"t{number}", u[-1], states[2 * layer], states[2 * layer + 1])
            h.append(new[0])
            m.append(new[1])
            risen = self.lstm(f"d{number}", u[-1], h[-1], v[-1])
            u.append(risen[0])
            v.append(risen[1])
        return u[-1], *(one for pair in zip(h, m, strict=True) for one in pair)

    def lstm(self, along: str, u: Node, h: Node, memory: Node) -> tuple[Node, Node]:
        """Return `tanh(o ∘ m)` and the new memory m of an LSTM that reads two hidden vectors."""
        start = {"b": 1.0} if self.use_bias else {}
        f = sigmoid(self.affine(f"{along}f", d=u, h=h, init=start))
        i, o = (sigmoid(self.affine(f"{along}{gate}", d=u, h=h)) for gate in "io")
        new = f * memory + i * tanh(self.affine(f"{along}c", d=u, h=h))
        return tanh(o * new), new
