"""Cells made from any other cell: each is a change of its equations, written once."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, Noise, derived
from nabi.ir.functions import exp, maximum, minimum, norm, sigmoid, split, straight_through, tanh, total

__all__ = [
    "AttentionWindow",
    "Dilated",
    "Highway",
    "LayerNorm",
    "RecurrentDropout",
    "Residual",
    "SkipRNN",
    "WeightDrop",
    "WeightNorm",
    "Wrapper",
    "Zoneout",
]


class Wrapper(Cell):
    """The base of cells that are made from another cell, whose states, names and weights they keep.

    What the cell reads beside `x`, such as `delta`, the wrapped one reads too and hands on to it. An output
    that is none of the cell's states is the output of the wrapped one as well.

    Args:
        cell: the cell, such as `GRU(64)`.

    Raises:
        ArgumentError: `cell` is no cell.
    """

    units: int = dataclasses.field(init=False, repr=False, default=1)
    use_bias: bool = dataclasses.field(init=False, repr=False, default=True)
    dropout: float = dataclasses.field(init=False, repr=False, default=0.0)
    recurrent_dropout: float = dataclasses.field(init=False, repr=False, default=0.0)
    cell: Cell

    own_states: ClassVar[tuple[str, ...]] = ()
    """States that it adds before those of the cell; where the cell has the name, with `own_` before it."""
    own_output: ClassVar[str] = ""
    """The name of an output that it makes of the cell's; empty if it is the cell's."""

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise ArgumentError(f"cell: expected a cell such as GRU(64), got {_checks.short(self.cell)}")
        cell = self.cell
        added = tuple(self._free(name) for name in self.own_states)
        self._keep("units", cell.units)
        self._keep("use_bias", cell.use_bias)
        self._keep("states", (*added, *cell.states))
        self._keep("output", self._free(self.own_output) if self.own_output else cell.output)
        both = dict.fromkeys((*cell.sequence_inputs, *type(self).sequence_inputs))
        self._keep("sequence_inputs", tuple(both))
        super().__post_init__()

    def _free(self, name: str) -> str:
        """Return a name that no state of the cell has."""
        return self._free(f"own_{name}") if name in self.cell.states else name

    def state_width(self, name: str) -> int:
        """Return the width that a state has in the cell, and that of the cell's output for what is added."""
        return self.cell.state_width(name) if name in self.cell.states else self.cell.output_width

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return the axes that a state has in the cell; none for one that is added."""
        return self.cell.state_shape(name) if name in self.cell.states else ()

    def initial_state(self, name: str) -> Any:
        """Return what the cell starts a state with; 0 for one that is added."""
        return self.cell.initial_state(name) if name in self.cell.states else 0.0

    def step_inputs(self) -> dict[str, Any]:
        """Return the further inputs of the cell, and those that the step of the wrapper names itself."""
        return {**self.cell.step_inputs(), **super().step_inputs()}

    def input_width(self, name: str, input_size: int) -> int | None:
        """Return the width that a further input has in the cell."""
        if name in self.cell.step_inputs():
            return self.cell.input_width(name, input_size)
        return super().input_width(name, input_size)

    def run(self, x: Node, *states: Node) -> tuple[Node, ...]:
        """Return the new states of the cell, always as a tuple; an output that is no state comes first."""
        given = self._trace().part.further
        further = {name: given[name] for name in self.cell.step_inputs() if name in given}
        found = self.inner(self.cell, x, *states, **further)
        return found if isinstance(found, tuple) else (found,)

    def outcome(self, x: Node, *states: Node) -> tuple[Node, tuple[Node, ...]]:
        """Return the cell's output, its first state or not, and its new states."""
        found = self.run(x, *states)
        return found[0], found[1:] if self.cell.output else found


class Zoneout(Wrapper):
    """A cell whose units keep their old state at random (Krueger et al. 2017).

    An output that is no state stays as the cell computes it.

    Args:
        cell: the cell.
        rate: probability that a unit keeps its old value in training, one for all states or one for each; at
            inference, old and new values are mixed in this proportion.

    Raises:
        ArgumentError: `cell` is no cell, or `rate` is not in [0, 1) or not one for each state.

    Example:
        >>> from nabi.cells import GRU, Zoneout
        >>> Zoneout(GRU(2), rate=0.1).program(3).equations[-1]
        'h_t = 0.1 h_{t-1} + 0.9 new_t'
    """

    rate: float | tuple[float, ...] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.cell.present_states
        given = self.rate if isinstance(self.rate, (tuple, list)) else (self.rate,) * len(names)
        if len(given) != len(names):
            raise ArgumentError(f"rate: expected one for each of {', '.join(names)}, got {self.rate!r}")
        rates = tuple(_checks.rate("rate", one) for one in given)
        self._keep("rate", rates if isinstance(self.rate, (tuple, list)) else rates[0])

    def step(self, x: Node, *states: Node) -> Any:
        """`s_t = m ∘ s_{t-1} + (1 - m) ∘ s̃_t` for every state; what `delays` keep of the past stays."""
        names = self.cell.present_states
        given = self.rate if isinstance(self.rate, tuple) else (self.rate,) * len(names)
        rates = dict(zip(names, given, strict=True))
        made = self.outcome(x, *states)
        mixed: list[Node] = []
        for name, old, new in zip(self.states, states, made[1], strict=True):
            if name not in rates:
                mixed.append(new)
                continue
            kept = self.keep(name, self.state_width(name), rates[name])
            axes = self.state_shape(name)
            kept = split(kept, *axes) if axes and isinstance(kept, Node) else kept
            mixed.append(kept * old + (1 - kept) * new)
        return (made[0], *mixed) if self.output else tuple(mixed)


class RecurrentDropout(Wrapper):
    """A cell whose old states are dropped in its products, by one mask a sequence for all gates.

    The masks of Gal and Ghahramani (2016) with weights tied between the gates; `recurrent_dropout` of a cell
    draws one for each gate.

    Args:
        cell: the cell.
        rate: probability that a unit is dropped in training, in [0, 1).
    """

    rate: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rate", _checks.rate("rate", self.rate))

    def drop(self, gate: str, letter: str, value: Node) -> Node:
        """Return the operand of a product, dropped if it has a state in it."""
        trace = self._trace()
        has_state = value.reads_state and value.name not in trace.delays
        if not (self.rate and has_state and trace.training):
            return value
        noise = Noise(f"d_{letter}", value.width or 1, self.rate, "dropout", per_step=False)
        return self._noise(noise) * value

    def step(self, x: Node, *states: Node) -> Any:
        """Compute the cell's step with `d ∘ h` for every h that a matrix is applied to."""
        with self.changing(operand=self.drop):
            return self.run(x, *states)


class LayerNorm(Wrapper):
    """A cell with layer normalisation (Ba, Kiros and Hinton 2016): every product is normalised, with a gain.

    As in `LayerNormLSTM`, products of the input and of the state are normalised by themselves, before biases
    are added. What the cell computes from its sums stays as it is.
    """

    def normalised(self, gate: str, letter: str, product: Node) -> Node:
        """Return a product with mean 0 and variance 1 over its units, times a learned gain."""
        return self.gain(gate, letter, product.width) * norm(product)

    def step(self, x: Node, *states: Node) -> Any:
        """Compute the cell's step with `g ∘ norm(W v)` for every product `W v`."""
        with self.changing(product=self.normalised):
            return self.run(x, *states)


class WeightNorm(Wrapper):
    """A cell whose matrices have rows of learned lengths (Salimans and Kingma 2016): `W = s ∘ V / ‖V‖`.

    The lengths start at 1. Matrices that the cell computes in a way of its own stay as they are.
    """

    def step(self, x: Node, *states: Node) -> Any:
        """Compute the cell's step with normalised matrices."""
        with self.changing(weight=derived.Normalised()):
            return self.run(x, *states)


class WeightDrop(Wrapper):
    """A cell whose matrices on states lose weights at random in training (Merity, Keskar and Socher 2018).

    DropConnect, as in the AWD-LSTM: one draw for all sequences and steps of a call, so a weight that is
    dropped is missing throughout. Matrices that the cell computes in a way of its own stay as they are.

    Args:
        cell: the cell.
        rate: probability that a weight is dropped in training, in [0, 1); 0.5 by default, as in the paper.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rate", _checks.rate("rate", self.rate))

    def step(self, x: Node, *states: Node) -> Any:
        """Compute the cell's step with weights that are 0 at random."""
        with self.changing(weight=derived.Dropped(self.rate), only_states=True):
            return self.run(x, *states)


class Residual(Wrapper):
    """A cell whose output is added to its input (He et al. 2016; Wu et al. 2016): `y_t = h_t + x_t`.

    The output `y` is no state: the cell goes on with its own.

    Raises:
        CellError: the input is not as wide as the cell's output (raised by `program`).
    """

    own_output: ClassVar[str] = "y"

    def step(self, x: Node, *states: Node) -> Any:
        """Add the input to the cell's output."""
        made = self.outcome(x, *states)
        return made[0] + x, *made[1]


class Highway(Wrapper):
    """A cell with a gate that carries its input past it (Srivastava et al. 2015; Zilly et al. 2017).

    `y_t = k ∘ h_t + (1 - k) ∘ x_t` with `k = σ(W x_t + b)`; the output `y` is no state, as in `Residual`.

    Raises:
        CellError: the input is not as wide as the cell's output (raised by `program`).
    """

    own_output: ClassVar[str] = "y"

    def step(self, x: Node, *states: Node) -> Any:
        """Mix the input and the cell's output."""
        made = self.outcome(x, *states)
        k = sigmoid(self.affine("k", bias="y", v=x, units=self.cell.output_width))
        return k * made[0] + (1 - k) * x, *made[1]


class Dilated(Wrapper):
    """A cell that goes on from its states of some steps ago (Chang et al. 2017): `h_t = cell(x_t, h_{t-d})`.

    What the cell calls the input before is that of `d` steps ago, too, and `delta` the time since then.

    Args:
        cell: the cell.
        dilation: how many steps back, at least 1.

    Example:
        >>> from nabi.cells import Dilated, SimpleRNN
        >>> cell = Dilated(SimpleRNN(2), 3)
        >>> cell.states, cell.program(3).equations[0]
        (('h', 'h_2', 'h_3'), 'h_t = tanh(W_xh x_t + W_hh h_{t-3} + b_h)')
    """

    dilation: int = 2

    def __post_init__(self) -> None:
        self._keep("dilation", _checks.whole("dilation", self.dilation))
        super().__post_init__()

    def delays(self) -> dict[str, int]:
        """Every state is read `dilation` steps back."""
        return dict.fromkeys(self.cell.states, self.dilation)

    def step(self, x: Node, *states: Node) -> Any:
        """Compute the cell's step from older states."""
        with self.changing(stride=self.dilation):
            return self.run(x, *(self.delay(state, self.dilation) for state in states))


class AttentionWindow(Wrapper):
    """A cell that attends to its own last outputs (Cheng, Dong and Lapata 2016).

    In the simple form of TensorFlow 1's `AttentionCellWrapper`: the new states query the last outputs, and
    what is found enters the output and the input of the next step. At first, the window holds zeros.

    Args:
        cell: the cell.
        window: how many outputs are attended to, at least 1.
    """

    window: int = 8
    own_states: ClassVar[tuple[str, ...]] = ("a", "m")
    own_output: ClassVar[str] = "y"

    def __post_init__(self) -> None:
        self._keep("window", _checks.whole("window", self.window))
        super().__post_init__()

    def delays(self) -> dict[str, int]:
        """The last outputs are a delay line."""
        return {self._free("m"): self.window}

    def step(self, x: Node, a: Node, m: Node, *states: Node) -> Any:
        """Compute the cell's step on the input with what was found, and look into the window again."""
        width = self.cell.output_width
        mixed = self.affine("m", bias="v", v=x, a=a, units=x.width)
        last, new = self.outcome(mixed, *states)
        letters: dict[str, Any] = {
            f"q{name}": state for name, state in zip(self.cell.states, new, strict=True)
        }
        query = self.affine("q", bias="q", units=width, **letters)
        past = [self.delay(m, steps) for steps in range(1, self.window + 1)]
        keys = [self.linear("k", "k", value, units=width) for value in past]
        scores = [total(self.diagonal("s", "s", tanh(key + query))) for key in keys]
        highest = scores[0]
        for score in scores[1:]:
            highest = maximum(highest, score)
        shares = [exp(score - highest) for score in scores]
        mixed_past: Any = sum(share * value for share, value in zip(shares, past, strict=True))
        found = mixed_past / sum(shares)
        output = self.affine("y", bias="y", r=last, s=found, units=width)
        return output, found, last, *new


class SkipRNN(Wrapper):
    """A cell that learns to skip its update at some steps (Campos et al. 2018).

    `u`, the inclination to update, is rounded to 0 or 1, with the derivative of a straight line. At a skipped
    step all states stay, and `u` grows until the next update. The state `w` is `1 - u`, so that the first
    step is an update. The sum of `w < 0.5` over time is the number of updates that follow. An output that is
    no state of the cell becomes one, since it stays, too.

    Args:
        cell: the cell.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = (self.output,) if self.output else ()
        self._keep("states", (*kept, *self.states, self._free("w")))
        self._keep("output", "")

    def state_width(self, name: str) -> int:
        """Return 1 for w, and the width that a state has in the cell."""
        return 1 if name == self.states[-1] else super().state_width(name)

    def step(self, x: Node, *states: Node) -> Any:
        """`h_t = b ∘ h̃_t + (1 - b) ∘ h_{t-1}` for every state, with `b = round(u)`."""
        *old, w = states
        u = total(1 - w)
        b = straight_through(u > 0.5, u)
        found = self.run(x, *(old[1:] if self.cell.output else old))
        new = [b * after + (1 - b) * before for before, after in zip(old, found, strict=True)]
        delta = total(sigmoid(self.affine("u", bias="u", r=new[-1], units=1)))
        u_t = b * delta + (1 - b) * (u + minimum(delta, 1 - u))
        return *new, 1 - u_t
