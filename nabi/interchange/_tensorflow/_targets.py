"""What weights of TensorFlow 1 are loaded into: one cell or layer, its widths, and how it takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nabi import layers, tf1
from nabi.errors import ArgumentError
from nabi.interchange._tensorflow._cells import BODIES, FoundCell

__all__ = ["Target", "roles", "targets_of"]

_EXPECTED = "a cell of nabi.tf1, or a SimpleRNN, LSTM or GRU(reset_after=False) of nabi.layers"


@dataclass(frozen=True)
class Target:
    """One cell of `nabi.tf1` or one layer of `nabi.layers`.

    Attributes:
        name: of the cell or the layer.
        kind: "rnn", "lstm" or "gru".
        units, outputs: its widths.
        inputs: the width of its input; None if it has no weights yet.
        peepholes, projection: whether an LSTM has them.
        forget_bias: what it adds to the forget gate at every step, beside its bias.
        holder: the cell or the layer.
    """

    name: str
    kind: str
    units: int
    outputs: int
    inputs: int | None
    peepholes: bool
    projection: bool
    forget_bias: float
    holder: Any

    @property
    def is_of_tf1(self) -> bool:
        """Whether it is a cell of `nabi.tf1`, which knows its forget bias."""
        return isinstance(self.holder, tf1.RNNCell)

    def misfit(self, found: FoundCell) -> str | None:
        """Say why a cell of a checkpoint does not fit; None if it does."""
        if found.kind != self.kind:
            return f"it is a cell of the kind {found.kind}, not {self.kind}"
        for name, own, there in (
            ("units", self.units, found.units),
            ("outputs", self.outputs, found.outputs),
            ("inputs", self.inputs, found.inputs),
        ):
            if own is not None and own != there:
                return f"expected {name} {own}, got {there}"
        for name, has, there in (
            ("peepholes", self.peepholes, found.has_peepholes),
            ("projection", self.projection, found.has_projection),
        ):
            if has != there:
                return f"it has {'a' if there else 'no'} {name}".replace("a peepholes", "peepholes")
        return None

    def take(self, found: FoundCell, values: Mapping[str, Tensor]) -> None:
        """Set the weights, which fit."""
        if self.is_of_tf1:
            if not self.holder.built:
                self.holder.build((None, found.inputs))
            own = dict(self.holder.named_parameters())
            with torch.no_grad():
                for role, value in values.items():
                    own[role].copy_(value)
            return
        if not self.holder.built:
            self.holder.build((None, None, found.inputs))
        self.holder.set_weights(_in_keras_layout(self.kind, found.inputs, values))


def _in_keras_layout(kind: str, inputs: int, values: Mapping[str, Tensor]) -> list[Tensor]:
    """Return kernel, recurrent kernel and bias with Keras' order of gates: i, f, c, o and z, r, h."""
    if kind == "gru":
        r, u = values["gates/kernel"].chunk(2, dim=1)
        r_bias, u_bias = values["gates/bias"].chunk(2)
        kernel = torch.cat([u, r, values["candidate/kernel"]], dim=1)
        bias = torch.cat([u_bias, r_bias, values["candidate/bias"]])
    else:
        kernel, bias = values["kernel"], values["bias"]
        if kind == "lstm":
            i, j, f, o = kernel.chunk(4, dim=1)
            kernel = torch.cat([i, f, j, o], dim=1)
            i, j, f, o = bias.chunk(4)
            bias = torch.cat([i, f, j, o])
    return [kernel[:inputs], kernel[inputs:], bias]


def targets_of(cell: Any) -> list[list[Target]]:
    """Return the cells of a stack from the input up, once for each direction.

    Raises:
        ArgumentError: for anything that weights of TensorFlow 1 cannot be loaded into.
    """
    if isinstance(cell, layers.Bidirectional):
        cell = (cell.forward_layer, cell.backward_layer)
    if isinstance(cell, tuple):
        if len(cell) != 2:
            raise ArgumentError(f"cell: expected a pair, forwards and backwards, got {len(cell)} members")
        return [_stack(one) for one in cell]
    return [_stack(cell)]


def _stack(cell: Any) -> list[Target]:
    if isinstance(cell, list):
        if not cell:
            raise ArgumentError(f"cell: expected {_EXPECTED}, got an empty list")
        return [target for one in cell for target in _stack(one)]
    if isinstance(cell, tf1.DropoutWrapper):
        return _stack(cell.cell)
    if isinstance(cell, tf1.MultiRNNCell):
        return [target for one in cell.layers for target in _stack(one)]
    if isinstance(cell, tf1.RNNCell):
        return [_of_tf1(cell)]
    return [_of_layers(cell)]


def _of_tf1(cell: Any) -> Target:
    kind = next(
        (
            kind
            for base, kind in ((tf1.BasicRNNCell, "rnn"), (tf1.LSTMCell, "lstm"), (tf1.GRUCell, "gru"))
            if isinstance(cell, base)
        ),
        None,
    )
    if kind is None:
        raise ArgumentError(
            f"cell: expected {_EXPECTED}, got {type(cell).__name__}, whose variables only its class knows; "
            "read_tensorflow_checkpoint gives the tensors by name"
        )
    kernel = dict(cell.named_parameters()).get("gates/kernel" if kind == "gru" else "kernel")
    equation = cell.equation
    return Target(
        name=cell.name,
        kind=kind,
        units=equation.units,
        outputs=cell.output_size,
        inputs=None if kernel is None else kernel.shape[0] - cell.output_size,
        peepholes=kind == "lstm" and equation.use_peepholes,
        projection=kind == "lstm" and equation.projection is not None,
        forget_bias=equation.forget_bias if kind == "lstm" else 0.0,
        holder=cell,
    )


def _of_layers(layer: Any) -> Target:
    kind = next(
        (
            kind
            for base, kind in ((layers.SimpleRNN, "rnn"), (layers.LSTM, "lstm"), (layers.GRU, "gru"))
            if isinstance(layer, base)
        ),
        None,
    )
    if kind is None:
        raise ArgumentError(f"cell: expected {_EXPECTED}, got {type(layer).__name__}")
    if kind == "gru" and layer.reset_after:
        raise ArgumentError(
            f"cell: expected GRU(reset_after=False) for {layer.name}, as TensorFlow 1 computes, got "
            "reset_after=True"
        )
    if not layer.use_bias:
        raise ArgumentError(f"cell: expected a layer with biases, as TensorFlow 1 has, got {layer.name}")
    return Target(
        name=layer.name,
        kind=kind,
        units=layer.units,
        outputs=layer.units,
        inputs=layer.weights[0].shape[0] if layer.built else None,
        peepholes=False,
        projection=False,
        forget_bias=0.0,
        holder=layer,
    )


def roles(target: Target) -> list[str]:
    """Return what a cell of a checkpoint must have for a target."""
    diagonals = ["w_f_diag", "w_i_diag", "w_o_diag"] if target.peepholes else []
    return [*BODIES[target.kind], *diagonals, *(["projection/kernel"] if target.projection else [])]
