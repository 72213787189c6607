"""What weights of TensorFlow 1 are loaded into: one cell or layer, its widths, and how it takes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nabi import layers, nn, tf1
from nabi.errors import ArgumentError
from nabi.interchange._tensorflow._cells import BODIES, FoundCell

__all__ = ["Target", "roles", "targets_of"]

_EXPECTED = (
    "a cell of nabi.tf1, a SimpleRNN, LSTM or GRU(reset_after=False) of nabi.layers, or an LSTM or ElmanRNN "
    "of nabi.nn"
)
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Target:
    """One cell of `nabi.tf1`, or one layer of `nabi.layers` or `nabi.nn`.

    Attributes:
        name: of the cell or the layer.
        kind: "rnn", "lstm" or "gru".
        units, outputs: its widths.
        inputs: the width of its input; None if it has no weights yet.
        take: sets the weights, which fit; given the width of the input and tensors by what they are.
        peepholes, projection: whether an LSTM has them.
        forget_bias: what it adds to the forget gate at every step, beside its bias.
        trained_with: what TensorFlow added there, if nobody says otherwise.
    """

    name: str
    kind: str
    units: int
    outputs: int
    inputs: int | None
    take: Callable[[int, Weights], None]
    peepholes: bool = False
    projection: bool = False
    forget_bias: float = 0.0
    trained_with: float = 1.0  # TensorFlow's default

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
                return f"expected {name}, got none" if has else f"expected no {name}, got some"
        return None


def targets_of(cell: Any) -> list[list[Target]]:
    """Return the cells of a stack from the input up, once for each direction.

    Raises:
        ArgumentError: for anything that weights of TensorFlow 1 cannot be loaded into.
    """
    if isinstance(cell, layers.Bidirectional):
        cell = (cell.forward_layer, cell.backward_layer)
    if isinstance(cell, nn.LSTM | nn.ElmanRNN):
        return _of_nn(cell)
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
    if isinstance(cell, nn.LSTM | nn.ElmanRNN) and not cell.bidirectional:
        return _of_nn(cell)[0]
    return [_of_layers(cell)]


def _kind_of(cell: Any, rnn: type, lstm: type, gru: type) -> str | None:
    for base, kind in ((rnn, "rnn"), (lstm, "lstm"), (gru, "gru")):
        if isinstance(cell, base):
            return kind
    return None


# Cells of nabi.tf1: the same variables ----------------------------------------------------------------------


def _of_tf1(cell: Any) -> Target:
    kind = _kind_of(cell, tf1.BasicRNNCell, tf1.LSTMCell, tf1.GRUCell)
    if kind is None:
        raise ArgumentError(
            f"cell: expected {_EXPECTED}, got {type(cell).__name__}, whose variables only its class knows; "
            "read_tensorflow_checkpoint gives the tensors by name"
        )
    kernel = dict(cell.named_parameters()).get("gates/kernel" if kind == "gru" else "kernel")
    equation = cell.equation
    added = equation.forget_bias if kind == "lstm" else 0.0
    return Target(
        name=cell.name,
        kind=kind,
        units=equation.units,
        outputs=cell.output_size,
        inputs=None if kernel is None else kernel.shape[0] - cell.output_size,
        take=partial(_set_variables, cell),
        peepholes=kind == "lstm" and equation.use_peepholes,
        projection=kind == "lstm" and equation.projection is not None,
        forget_bias=added,
        trained_with=added,
    )


def _set_variables(cell: Any, inputs: int, values: Weights) -> None:
    if not cell.built:
        cell.build((None, inputs))
    own = dict(cell.named_parameters())
    with torch.no_grad():
        for role, value in values.items():
            own[role].copy_(value)


# Layers of nabi.layers: Keras' layout -----------------------------------------------------------------------


def _of_layers(layer: Any) -> Target:
    kind = _kind_of(layer, layers.SimpleRNN, layers.LSTM, layers.GRU)
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
        take=partial(_set_layer, layer, kind),
    )


def _set_layer(layer: Any, kind: str, inputs: int, values: Weights) -> None:
    """Set kernel, recurrent kernel and bias in Keras' order of gates: i, f, c, o and z, r, h."""
    if kind == "gru":
        r, u = values["gates/kernel"].chunk(2, dim=1)
        r_bias, u_bias = values["gates/bias"].chunk(2)
        kernel = torch.cat([u, r, values["candidate/kernel"]], dim=1)
        bias = torch.cat([u_bias, r_bias, values["candidate/bias"]])
    else:
        kernel, bias = _gates_ifgo(kind, values)
    if not layer.built:
        layer.build((None, None, inputs))
    layer.set_weights([kernel[:inputs], kernel[inputs:], bias])


def _gates_ifgo(kind: str, values: Weights) -> tuple[Tensor, Tensor]:
    """Return kernel and bias with the gates in the order of Keras and torch; TensorFlow's is i, j, f, o."""
    kernel, bias = values["kernel"], values["bias"]
    if kind == "lstm":
        i, j, f, o = kernel.chunk(4, dim=1)
        kernel = torch.cat([i, f, j, o], dim=1)
        i, j, f, o = bias.chunk(4)
        bias = torch.cat([i, f, j, o])
    return kernel, bias


# Modules of nabi.nn: torch's layout -------------------------------------------------------------------------


def _of_nn(module: Any) -> list[list[Target]]:
    """Return a module's layers. torch's GRU has the reset gate after the product, TensorFlow 1's before."""
    if not module.bias:
        raise ArgumentError("cell: expected a module with biases, as TensorFlow 1 has, got bias=False")
    if module.bidirectional and module.num_layers > 1:
        raise ArgumentError(
            f"cell: expected one layer for two directions, got {module.num_layers}: in torch each layer "
            "reads both directions of the one below, in TensorFlow 1 a direction is a stack of its own"
        )
    kind = "lstm" if isinstance(module, nn.LSTM) else "rnn"
    outputs = module.proj_size or module.hidden_size
    return [
        [
            Target(
                name=f"l{layer}{suffix}",
                kind=kind,
                units=module.hidden_size,
                outputs=outputs,
                inputs=module.input_size if layer == 0 else outputs,
                take=partial(_set_torch_layer, module, kind, f"_l{layer}{suffix}"),
                projection=module.proj_size > 0,
            )
            for layer in range(module.num_layers)
        ]
        for suffix in (("", "_reverse") if module.bidirectional else ("",))
    ]


def _set_torch_layer(module: Any, kind: str, suffix: str, inputs: int, values: Weights) -> None:
    """Set the weights of one layer, one row for each output; of the two biases the second is zero."""
    kernel, bias = _gates_ifgo(kind, values)
    new = {"weight_ih": kernel[:inputs].T, "weight_hh": kernel[inputs:].T, "bias_ih": bias}
    new["bias_hh"] = torch.zeros_like(bias)
    if "projection/kernel" in values:
        new["weight_hr"] = values["projection/kernel"].T
    with torch.no_grad():
        for name, value in new.items():
            getattr(module, name + suffix).copy_(value)


def roles(target: Target) -> list[str]:
    """Return what a cell of a checkpoint must have for a target."""
    diagonals = ["w_f_diag", "w_i_diag", "w_o_diag"] if target.peepholes else []
    return [*BODIES[target.kind], *diagonals, *(["projection/kernel"] if target.projection else [])]
