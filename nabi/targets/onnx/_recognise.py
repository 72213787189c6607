"""Recognising ONNX's operators RNN, LSTM and GRU in a traced step, by its graph and not by the cell's name.

The equations are those of the specification (https://onnx.ai/onnx/operators/), in any order of terms and
factors. Every gate is an activation of a sum, which may be clipped; what a sum reads says which weights of
the operator it fills. A step that is none of the three is no error: it has another rendering.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.ir import Node, Program
from nabi.targets._matching import commuted, terms
from nabi.targets.onnx._activations import Activation, activations_of, clipped

__all__ = ["Gate", "Operator", "recognise"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Gate:
    """What a gate's sum reads: weights by their names in the program.

    Attributes:
        input, state: the matrices on the input and on the state.
        diagonal: a vector times the state, in place of a matrix.
        peephole: a vector times the cell.
        bias, state_bias: vectors that are added, outside and (GRU) inside the product with the reset gate.
        shift: a number that is added.
        sign: -1 if the operator's gate is the opposite of this one.
    """

    input: str | None = None
    state: str | None = None
    diagonal: str | None = None
    peephole: str | None = None
    bias: tuple[str, ...] = ()
    state_bias: tuple[str, ...] = ()
    shift: float = 0.0
    sign: float = 1.0

    @property
    def reads(self) -> set[str]:
        """The names of what it has."""
        return {name for name in ("input", "state", "diagonal", "peephole") if getattr(self, name)}

    @property
    def weights(self) -> list[str]:
        """The names of all weights that it reads."""
        single = (self.input, self.state, self.diagonal, self.peephole)
        return [*(name for name in single if name), *self.bias, *self.state_bias]


@dataclass(frozen=True)
class Operator:
    """An operator that a step is, with its attributes and the gates in ONNX's order.

    A gate that is None has weights of zero, because the operator does not read it.
    """

    kind: str
    units: int
    gates: tuple[Gate | None, ...]
    activations: tuple[Activation, ...]
    clip: float | None = None
    attributes: dict[str, int] = field(default_factory=dict)

    def is_run_with(self, other: "Operator") -> bool:
        """Whether one node can be this operator forward and the other backward."""
        return (self.kind, self.units, self.clip, self.attributes) == (
            other.kind,
            other.units,
            other.clip,
            other.attributes,
        )

    def weights(
        self, program: Program, families: Sequence[Array]
    ) -> tuple[Array, Array, Array, Array | None]:
        """Return the operator's W, R, B and P without their first axis, the directions."""

        def part(name: str) -> Array:
            family, rows = program.family_of(name)
            return families[family][rows]

        units, inputs = self.units, program.input_size
        count = len(self.gates)
        w = np.zeros((count, units, inputs), np.float32)
        r = np.zeros((count, units, units), np.float32)
        b = np.zeros((2, count, units), np.float32)
        p = np.zeros((3, units), np.float32)
        for place, gate in enumerate(self.gates):
            if gate is None:
                continue
            if gate.input:
                w[place] = part(gate.input) * gate.sign
            if gate.state:
                r[place] = part(gate.state) * gate.sign
            if gate.diagonal:
                r[place] = np.diag(part(gate.diagonal) * gate.sign)
            if gate.peephole:
                p[place] = part(gate.peephole) * gate.sign
            # Of two vectors, as torch and cuDNN have them, each keeps a place of its own.
            for number, vector in enumerate(gate.bias):
                b[min(number, 1), place] += part(vector) * np.float32(gate.sign)
            for vector in gate.state_bias:
                b[1, place] += part(vector) * np.float32(gate.sign)
            b[0, place] += np.float32(gate.shift * gate.sign)
        peepholes = p.reshape(-1) if any(gate and gate.peephole for gate in self.gates) else None
        return w.reshape(-1, inputs), r.reshape(-1, units), b.reshape(-1), peepholes


def recognise(program: Program) -> Operator | None:
    """Return the operator whose equations a step has; None if it has those of no operator.

    >>> from nabi.cells import CoupledLSTM, LayerNormLSTM
    >>> found = recognise(CoupledLSTM(units=4).program(3))
    >>> found.kind, found.attributes
    ('LSTM', {'input_forget': 1})
    >>> recognise(LayerNormLSTM(units=4).program(3)) is None
    True
    """
    widths = set(program.state_widths)
    others = program.noises or program.readout is not None or len(program.inputs) > 1
    if len(widths) != 1 or others:
        return None
    sums = _Sums(program)
    if len(program.state_names) == 1:
        found = [*_rnn(sums), *_gru(sums)]
    else:
        found = [*_lstm(sums)] if len(program.state_names) == 2 else []
    return next((one for one in found if not _is_tied(one)), None)


def _is_tied(operator: Operator) -> bool:
    """Return whether two gates share weights, which the operator would hold and compute twice."""
    weights = [name for gate in operator.gates if gate is not None for name in gate.weights]
    return len(set(weights)) < len(weights)


class _Sums:
    """Reads the sums of a step: which gates a value can be."""

    def __init__(self, program: Program) -> None:
        leaves = {node.name: node for node in program.nodes if node.operation in ("input", "state")}
        self.x = leaves.get("x")
        self.states = [leaves.get(name) for name in program.state_names]
        self.outputs = program.outputs
        self.units = program.state_widths[0]

    def gates(
        self, node: Node, cell: Node | None = None, reset: Node | None = None
    ) -> Iterator[tuple[Activation, float | None, Gate, str]]:
        """Return what a value can be as a gate: activation, limit, weights, and where `reset` stands.

        `cell` is what its peephole reads. The place of `reset` is "before" or "after" the product, or "".
        """
        for activation, argument in activations_of(node):
            limit = clipped(argument)
            for bound, total in [(limit[0], limit[1])] if limit else [(None, argument)]:
                found = self._sum(total, cell, reset)
                if found is not None:
                    yield activation, bound, *found

    def _sum(self, node: Node, cell: Node | None, reset: Node | None) -> tuple[Gate, str] | None:
        gate, place = Gate(), ""
        for term in terms(node):
            found = self._term(term, cell)
            if found is None and reset is not None:
                with_reset = self._under_reset(term, reset)
                if with_reset is not None and not place:
                    found, place = with_reset
            if found is None or found.reads & gate.reads:
                return None
            gate = replace(
                found,
                **{name: getattr(gate, name) for name in gate.reads},
                bias=gate.bias + found.bias,
                state_bias=gate.state_bias + found.state_bias,
                shift=gate.shift + found.shift,
            )
        if node.width != self.units or {"state", "diagonal"} <= gate.reads or not gate.reads:
            return None
        return gate, place

    def _term(self, term: Node, cell: Node | None) -> Gate | None:
        h = self.states[0]
        if term.operation == "constant":
            return Gate(shift=term.value)
        if term.operation == "parameter":
            return Gate(bias=(term.name,))
        if term.operation == "linear":
            matrix, operand = term.arguments
            if operand is self.x:
                return Gate(input=matrix.name)
            return Gate(state=matrix.name) if operand is h and h is not None else None
        for vector, operand in commuted(term, "mul"):
            if vector.operation == "parameter" and vector.width == self.units:
                if cell is not None and operand is cell:
                    return Gate(peephole=vector.name)
                if h is not None and operand is h:
                    return Gate(diagonal=vector.name)
        return None

    def _under_reset(self, term: Node, reset: Node) -> tuple[Gate, str] | None:
        """Read `R (r ∘ h)`, which stands for reset before, or `r ∘ (R h + b)`, after the product."""
        h = self.states[0]
        if term.operation == "linear":
            matrix, operand = term.arguments
            if any(one is reset and other is h for one, other in commuted(operand, "mul")):
                return Gate(state=matrix.name), "before"
            return None
        for one, other in commuted(term, "mul"):
            if one is reset:
                found = self._sum(other, None, None)
                if found is not None and found[0].reads <= {"state", "diagonal"} and not found[0].shift:
                    return replace(found[0], bias=(), state_bias=found[0].bias), "after"
        return None


def _complement(node: Node) -> Node | None:
    """Return `a` if a node is `1 - a`."""
    if node.operation == "sub" and node.arguments[0].operation == "constant":
        return node.arguments[1] if node.arguments[0].value == 1.0 else None
    return None


def _rnn(sums: _Sums) -> Iterator[Operator]:
    for activation, clip, gate, _ in sums.gates(sums.outputs[0]):
        yield Operator("RNN", sums.units, (gate,), (activation,), clip)


def _gru(sums: _Sums) -> Iterator[Operator]:
    h = sums.states[0]
    if h is None:
        return
    for z, n, keeps in _mixtures(sums.outputs[0], h):
        for gate, clip, update, _ in sums.gates(z):
            if not keeps and not gate.is_odd_around_half:
                continue
            own = update if keeps else replace(update, sign=-1.0)
            for reset_node in _resets(n, h):
                for reset_gate, reset_clip, reset, _ in sums.gates(reset_node):
                    if (reset_gate, reset_clip) != (gate, clip):
                        continue
                    for candidate, last_clip, new, place in sums.gates(n, reset=reset_node):
                        if last_clip == clip and place:
                            after = {"linear_before_reset": int(place == "after")}
                            gates = (own, reset, new)
                            yield Operator("GRU", sums.units, gates, (gate, candidate), clip, after)


def _mixtures(node: Node, h: Node) -> Iterator[tuple[Node, Node, bool]]:
    """Return gate and candidate of a mixture of old and new, and whether the gate is the share of the old."""
    for one, other in commuted(node, "add"):
        for z, old in commuted(one, "mul"):
            if old is h:
                for rest, new in commuted(other, "mul"):
                    if _complement(rest) is z:
                        yield z, new, True
                    if _complement(z) is rest:
                        yield rest, new, False
        # h + z (n - h) and n + z (h - n)
        for z, difference in commuted(other, "mul"):
            if difference.operation == "sub" and difference.arguments[1] is one:
                if one is h:
                    yield z, difference.arguments[0], False
                elif difference.arguments[0] is h:
                    yield z, one, True


def _resets(node: Node, h: Node) -> Iterator[Node]:
    """Return the values that may be the reset gate of a candidate."""
    for _, argument in activations_of(node):
        limit = clipped(argument)
        for term in terms(limit[1] if limit else argument):
            product = term.arguments[1] if term.operation == "linear" else term
            yield from (one for one, _ in commuted(product, "mul") if one is not h)


def _lstm(sums: _Sums) -> Iterator[Operator]:
    c, (h_new, c_new) = sums.states[1], sums.outputs
    if c is None:
        return
    for o_node, out in commuted(h_new, "mul"):
        for last, argument in activations_of(out):
            if argument is not c_new:
                continue
            for output_gate, clip, o, _ in sums.gates(o_node, cell=c_new):
                for gates, candidate, coupled in _cells(sums, c_new, c, output_gate, clip):
                    i, f, g = gates
                    attributes = {"input_forget": 1} if coupled else {}
                    activations = (output_gate, candidate, last)
                    yield Operator("LSTM", sums.units, (i, o, f, g), activations, clip, attributes)


def _cells(
    sums: _Sums, c_new: Node, c: Node, activation: Activation, clip: float | None
) -> Iterator[tuple[tuple[Gate, Gate | None, Gate], Activation, bool]]:
    """Return the gates of `f ∘ c + i ∘ g`, the activation of g, and whether i and f are coupled."""

    def as_gate(node: Node) -> Iterator[Gate]:
        for found, bound, gate, _ in sums.gates(node, cell=c):
            if (found, bound) == (activation, clip):
                yield gate

    for kept, written in commuted(c_new, "add"):
        for f_node, old in commuted(kept, "mul"):
            if old is not c:
                continue
            for i_node, g_node in commuted(written, "mul"):
                for candidate, bound, g, _ in sums.gates(g_node):
                    if bound != clip:
                        continue
                    if _complement(f_node) is i_node:
                        yield from (((i, None, g), candidate, True) for i in as_gate(i_node))
                    elif _complement(i_node) is f_node:
                        if activation.is_odd_around_half:
                            for f in as_gate(f_node):
                                yield (replace(f, sign=-1.0), None, g), candidate, True
                    else:
                        for i in as_gate(i_node):
                            yield from (((i, f, g), candidate, False) for f in as_gate(f_node))
