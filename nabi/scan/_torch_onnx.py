"""`torch.ops.nabi.scan` for `torch.onnx.export`: ONNX's own recurrent operators, of any length.

This serves torch's exporter of traces (`dynamo=False`). A cell with other equations than theirs, and lengths,
masks and resets, are refused there: `nabi.interchange.write_onnx` writes those.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from nabi.errors import ArgumentError
from nabi.ir import Program, find_program
from nabi.targets.onnx import Gate, Operator, recognise

__all__ = ["register_symbolic"]

_OLDEST = 14  # of the operators with all that is written here
_INSTEAD = "; write it with nabi.interchange.write_onnx"


@cache
def register_symbolic() -> None:
    """Tell torch's exporter how the operator is written; later calls do nothing."""
    torch.onnx.register_custom_op_symbolic("nabi::scan", _write, _OLDEST)  # type: ignore[attr-defined]


def _write(
    g: Any, x: Any, states: Any, families: Any, noises: Any, mask: Any, resets: Any, batch_sizes: Any,
    program: Any, reverse: Any, truncate: Any, all_states: Any,
) -> Any:  # fmt: skip
    """Write a run of a program as nodes of torch's graph; returns its outputs and final states.

    Raises:
        ArgumentError: if it is none of ONNX's operators on whole rows.
    """
    found = find_program(_constant(program))
    name = type(found.cell).__name__
    operator = recognise(found)
    if operator is None:
        raise ArgumentError(f"torch.onnx.export: {name} has the equations of no operator of ONNX{_INSTEAD}")
    for what, value in (("mask", mask), ("resets", resets), ("packed sequences", batch_sizes)):
        if value.node().kind() != "prim::Constant":
            raise ArgumentError(f"torch.onnx.export: {what} of {name} cannot be traced{_INSTEAD}")
    if _constant(all_states):
        raise ArgumentError(f"torch.onnx.export: the states of every step are not written{_INSTEAD}")
    return _nodes(g, x, _parts(states), _Weights(g, found, operator, _parts(families)), _constant(reverse))


def _nodes(g: Any, x: Any, states: Sequence[Any], weights: "_Weights", reverse: bool) -> Any:
    operator = weights.operator
    rows = g.op("Transpose", x, perm_i=[1, 0, 2])
    initial = [g.op("Unsqueeze", state, weights.ints(0)) for state in states]
    none = g.op("prim::Constant")
    none.setType(torch._C.OptionalType.ofTensor())
    inputs = [rows, *weights.matrices(), none, *initial]
    peepholes = weights.peepholes()
    y, *last = g.op(
        operator.kind,
        *inputs,
        *([] if peepholes is None else [peepholes]),
        hidden_size_i=operator.units,
        direction_s="reverse" if reverse else "forward",
        outputs=1 + len(states),
        **_attributes(operator),
    )
    steps = g.op("Transpose", g.op("Squeeze", y, weights.ints(1)), perm_i=[1, 0, 2])
    final = [g.op("Squeeze", one, weights.ints(0)) for one in last]
    return g.op("prim::ListConstruct", steps, *final)


class _Weights:
    """The weights of an operator, put together from the tensors of a program by nodes that torch folds."""

    def __init__(self, g: Any, program: Program, operator: Operator, families: Sequence[Any]) -> None:
        self._g, self._program, self.operator, self._families = g, program, operator, families

    def ints(self, *values: int) -> Any:
        """Return a constant list of whole numbers."""
        return self._g.op("Constant", value_t=torch.tensor(values))

    def matrices(self) -> list[Any]:
        """Return W, R and B."""
        inputs, units = self._program.input_size, self.operator.units
        w, r, outside, inside = [], [], [], []
        for one in self.operator.gates:
            gate = Gate() if one is None else one
            sign = gate.sign
            w.append(self._part(gate.input, sign, (units, inputs)))
            if gate.diagonal:
                vector = self._part(gate.diagonal, sign, (units,))
                column = self._g.op("Unsqueeze", vector, self.ints(1))
                r.append(self._g.op("Mul", column, self._numbers(torch.eye(units))))
            else:
                r.append(self._part(gate.state, sign, (units, units)))
            biases = gate.bias
            first = self._sum(biases[:1], sign)
            if gate.shift:
                shift = torch.full((units,), gate.shift * sign)
                first = self._g.op("Add", first, self._numbers(shift))
            outside.append(first)
            inside.append(self._sum((*biases[1:], *gate.state_bias), sign))
        return [self._stacked(w), self._stacked(r), self._stacked([*outside, *inside])]

    def peepholes(self) -> Any:
        """Return P, in the order of the gates that have one; None without any."""
        gates = [Gate() if gate is None else gate for gate in self.operator.gates]
        if not any(gate.peephole for gate in gates):
            return None
        shape = (self.operator.units,)
        return self._stacked([self._part(gate.peephole, gate.sign, shape) for gate in gates[:3]])

    def _stacked(self, parts: Sequence[Any]) -> Any:
        joined = self._g.op("Concat", *parts, axis_i=0) if len(parts) > 1 else parts[0]
        return self._g.op("Unsqueeze", joined, self.ints(0))

    def _sum(self, names: Sequence[str], sign: float) -> Any:
        found = [self._part(name, sign, (self.operator.units,)) for name in names]
        total = found[0] if found else self._part(None, sign, (self.operator.units,))
        for one in found[1:]:
            total = self._g.op("Add", total, one)
        return total

    def _part(self, name: str | None, sign: float, shape: tuple[int, ...]) -> Any:
        """Return the rows of one gate in a tensor of the program; zeros without a name."""
        if not name:
            return self._numbers(torch.zeros(shape))
        family, rows = self._program.family_of(name)
        found = self._g.op(
            "Slice", self._families[family], self.ints(rows.start), self.ints(rows.stop), self.ints(0)
        )
        return found if sign == 1.0 else self._g.op("Neg", found)

    def _numbers(self, values: torch.Tensor) -> Any:
        return self._g.op("Constant", value_t=values)


def _attributes(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = {f"{name}_i": value for name, value in operator.attributes.items()}
    if operator.clip is not None:
        found["clip_f"] = operator.clip
    found["activations_s"] = [one.name for one in operator.activations]
    for name in ("alpha", "beta"):
        values = [getattr(one, name) for one in operator.activations if getattr(one, name) is not None]
        if values:
            found[f"activation_{name}_f"] = [float(value) for value in values]
    return found


def _constant(value: Any) -> Any:
    """Return a constant of torch's graph: text, a number or a flag."""
    node = value.node()
    kind = node.kindOf("value")
    return node.t("value").item() if kind == "t" else node.s("value") if kind == "s" else node.i("value")


def _parts(value: Any) -> list[Any]:
    return list(value.node().inputs())
