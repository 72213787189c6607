"""The cells of ONNX's operators RNN, GRU and LSTM, with everything that their attributes can ask for."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import unknown_name
from nabi.ir import Cell, Node
from nabi.ir.functions import (
    elu,
    exp,
    hard_sigmoid,
    leaky_relu,
    linear,
    maximum,
    minimum,
    relu,
    select,
    sigmoid,
    softplus,
    softsign,
    tanh,
)

__all__ = ["OnnxGRU", "OnnxLSTM", "OnnxRNN"]

# ONNX's default alpha and beta of each activation.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "Affine": (1.0, 0.0),
    "Elu": (1.0,),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01,),
    "Relu": (),
    "ScaledTanh": (1.0, 1.0),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": (1.0,),
}
_PLAIN = {
    "Relu": relu,
    "Sigmoid": sigmoid,
    "Softplus": softplus,
    "Softsign": softsign,
    "Tanh": tanh,
}
# The activations of nabi that are these functions of ONNX, which read faster in an equation.
_KNOWN = {
    ("Affine", 1.0, 0.0): linear,
    ("Elu", 1.0): elu,
    ("LeakyRelu", 0.2): leaky_relu,
    ("HardSigmoid", 1 / 6, 0.5): hard_sigmoid,
}
Functions = tuple[tuple[Any, ...], ...]


def _checked(given: Any, count: int) -> Functions:
    """Return functions with all their numbers, as tuples."""
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != count:
        raise unknown_name("functions", given, DEFAULTS)
    checked = []
    for one in given:
        name, *numbers = [one] if isinstance(one, str) else list(one)
        if name not in DEFAULTS or len(numbers) > len(DEFAULTS[name]):
            raise unknown_name("functions", name, DEFAULTS)
        numbers = [*numbers, *DEFAULTS[name][len(numbers) :]]
        checked.append((name, *[_checks.real("functions", number) for number in numbers]))
    return tuple(checked)


def _apply(function: tuple[Any, ...], x: Node) -> Node:
    """Apply an activation of ONNX, a name with its alpha and beta, to a value of a step."""
    name: str = function[0]
    numbers: tuple[float, ...] = function[1:]
    known = _KNOWN.get((name, *numbers))
    if known is not None:
        return known(x)
    if name == "Affine":
        return numbers[0] * x + numbers[1]
    if name == "Elu":
        return select(x >= 0, x, numbers[0] * (exp(minimum(x, 0.0)) - 1))
    if name == "HardSigmoid":
        return minimum(maximum(numbers[0] * x + numbers[1], 0.0), 1.0)
    if name == "LeakyRelu":
        return select(x >= 0, x, numbers[0] * x)
    if name == "ScaledTanh":
        return numbers[0] * tanh(numbers[1] * x)
    if name == "ThresholdedRelu":
        return select(x > numbers[0], x, 0.0)
    return _PLAIN[name](x)


class _OnnxCell(Cell):
    """What the three share: the bound of every sum and the functions by their names in ONNX."""

    functions: Functions = ()
    clip: float | None = dataclasses.field(default=None, kw_only=True)

    _defaults: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("functions", _checked(self.functions or self._defaults, len(self._defaults)))
        if self.clip is not None:
            self._keep("clip", _checks.real("clip", self.clip, above=0, otherwise=" or None"))

    def _act(self, place: int, value: Node) -> Node:
        """Bound a sum, peephole included, and apply the function at a place of `functions`."""
        if self.clip is not None:
            value = minimum(maximum(value, -self.clip), self.clip)
        return _apply(self.functions[place], value)


class OnnxRNN(_OnnxCell):
    """The operator RNN of ONNX: a simple recurrent network with a bound and any of ONNX's activations.

    Args:
        functions: the activation f: a name, or a tuple of a name with its alpha and beta.
        clip: the sum is cut to ±this before the activation; None for no limit.

    Source: the operator RNN in the ONNX specification, versions 7 to 22.

    >>> OnnxRNN(2, (("HardSigmoid", 0.2, 0.5),), clip=3.0).program(1).equations
    ('h_t = min(max(0.2 min(max(W_xh x_t + W_hh h_{t-1} + b_h, -3), 3) + 0.5, 0), 1)',)
    """

    _defaults: ClassVar[tuple[str, ...]] = ("Tanh",)

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = f(W_xh x_t + W_hh h_{t-1} + b_h)`."""
        return self._act(0, self.affine("h", x, h))


class OnnxGRU(_OnnxCell):
    """The operator GRU of ONNX.

    Args:
        functions: f of the gates and g of the candidate: names, or tuples of a name with its alpha and beta.
        clip: every sum is cut to ±this before its activation; None for no limit.
        linear_before_reset: whether r scales the product of the old state, with its bias, or the state.

    Source: the operator GRU in the ONNX specification, versions 7 to 22.

    >>> OnnxGRU(2, ("Sigmoid", "Relu"), clip=3.0).program(1).equations[2]
    'n_t = relu(min(max(W_xh x_t + W_hh (r_t ∘ h_{t-1}) + b_h, -3), 3))'
    """

    linear_before_reset: bool = dataclasses.field(default=False, kw_only=True)

    _defaults: ClassVar[tuple[str, ...]] = ("Sigmoid", "Tanh")

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state."""
        if self.linear_before_reset:
            z_t = self._act(0, self.affine("z", x, bias="x") + self.affine("z", h, bias="h"))
            r_t = self._act(0, self.affine("r", x, bias="x") + self.affine("r", h, bias="h"))
            n_t = self._act(1, self.affine("h", x, bias="x") + r_t * self.affine("h", h, bias="h"))
        else:
            z_t = self._act(0, self.affine("z", x, h))
            r_t = self._act(0, self.affine("r", x, h))
            n_t = self._act(1, self.affine("h", x, h=r_t * h))
        return z_t * h + (1 - z_t) * n_t


class OnnxLSTM(_OnnxCell):
    """The operator LSTM of ONNX.

    Args:
        functions: f of the gates, g of the candidate and h of the cell: names, or tuples of a name with its
            alpha and beta.
        clip: every sum is cut to ±this before its activation, peepholes included; None for no limit.
        input_forget: whether `1 - i` takes the place of the forget gate.
        peephole: whether the gates also see the cell state, through diagonal weights.

    Source: the operator LSTM in the ONNX specification, versions 7 to 22.

    >>> OnnxLSTM(2, input_forget=True).program(1).equations[1]
    'f_t = 1 - i_t'
    """

    input_forget: bool = dataclasses.field(default=False, kw_only=True)
    peephole: bool = dataclasses.field(default=False, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")
    _defaults: ClassVar[tuple[str, ...]] = ("Sigmoid", "Tanh", "Tanh")

    def _look(self, gate: str, x: Node, h: Node, c: Node) -> Node:
        seen = self.affine(gate, x, h)
        return seen + self.diagonal(gate, "c", c) if self.peephole else seen

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """i and f see the old cell, o the new one; the cell itself is not cut."""
        i_t = self._act(0, self._look("i", x, h, c))
        f_t = 1 - i_t if self.input_forget else self._act(0, self._look("f", x, h, c))
        g_t = self._act(1, self.affine("c", x, h))
        c_t = f_t * c + i_t * g_t
        o_t = self._act(0, self._look("o", x, h, c_t))
        return o_t * _apply(self.functions[2], c_t), c_t
