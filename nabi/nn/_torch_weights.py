"""torch's recurrent weights as the families of cells that have its two biases and its order of gates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi.ir import Cell, Node, Program
from nabi.ir.derived import Derived
from nabi.ir.functions import sigmoid, tanh

__all__ = ["families_of", "torch_cell", "weight_names"]


class _TwoBiases(Cell):
    """Gates as torch writes them: a bias with the input and one with the state, of which one would do."""

    def affine(
        self,
        gate: str,
        *operands: Node,
        bias: bool | str = True,
        units: int | None = None,
        init: Mapping[str, Any] | None = None,
        trained: bool | Mapping[str, bool] = True,
        derived: Mapping[str, Derived] | None = None,
        **named: Node,
    ) -> Node:
        """As `Cell.affine`; what reads both the input and the state has both biases."""
        if len(operands) != 2:
            return super().affine(
                gate, *operands, bias=bias, units=units, init=init, trained=trained, derived=derived, **named
            )
        x, h = operands
        return super().affine(gate, x, bias="x") + super().affine(gate, h, bias="h")


class TorchSimpleRNN(_TwoBiases, cells.SimpleRNN):
    """`nabi.cells.SimpleRNN` on torch's weights as they are."""


class TorchLSTM(_TwoBiases, cells.LSTM):
    """`nabi.cells.LSTM` on torch's weights as they are."""


class TorchProjectedLSTM(_TwoBiases, cells.ProjectedLSTM):
    """`nabi.cells.ProjectedLSTM` on torch's weights as they are."""


class TorchGRU(cells.GRU):
    """`nabi.cells.GRU` with its gates in torch's order, so that torch's weights serve as they are."""

    def step(self, x: Node, h: Node) -> Any:
        """As `GRU`; the gate that an equation names first has the first rows: r, z, n."""
        r_t = sigmoid(self.affine("r", x, bias="x") + self.affine("r", h, bias="h"))
        z_t = sigmoid(self.affine("z", x, bias="x") + self.affine("z", h, bias="h"))
        n_t = tanh(self.affine("n", x, bias="x") + r_t * self.affine("n", h, bias="h"))
        return z_t * h + (1 - z_t) * n_t


def torch_cell(mode: str, hidden_size: int, bias: bool, proj_size: int = 0) -> Cell:
    """Return the cell behind a torch module of this mode (`RNN_TANH`, `RNN_RELU`, `LSTM`, `GRU`)."""
    bias = bool(bias)  # torch takes whatever counts as true
    if mode == "GRU":
        return TorchGRU(hidden_size, use_bias=bias)
    if mode == "LSTM" and proj_size:
        return TorchProjectedLSTM(hidden_size, use_bias=bias, projection=proj_size)
    if mode == "LSTM":
        return TorchLSTM(hidden_size, use_bias=bias)
    return TorchSimpleRNN(hidden_size, activation=mode.removeprefix("RNN_").lower(), use_bias=bias)


def families_of(
    program: Program, weights: Mapping[str, Tensor | None], dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Return the tensors that a program takes, in its order, from torch's; differentiable.

    Args:
        program: of a cell made by `torch_cell`.
        weights: by torch's name without layer and direction: `weight_ih`, `weight_hh`, `bias_ih`,
            `bias_hh`, `weight_hr`.
        dtype: which they are brought to.
    """
    present = {
        _FAMILIES[name]: value if value.dtype == dtype else value.to(dtype)
        for name, value in weights.items()
        if value is not None
    }
    return tuple([present[family.name] for family in program.families])


def weight_names(program: Program, suffix: str) -> tuple[str, ...]:
    """Return torch's names of the tensors that a program takes, in its order."""
    names = {family: name for name, family in _FAMILIES.items()}
    return tuple([names[family.name] + suffix for family in program.families])


_FAMILIES = {"weight_ih": "W_x", "weight_hh": "W_h", "weight_hr": "W_m", "bias_ih": "b_x", "bias_hh": "b_h"}
