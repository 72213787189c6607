"""torch's recurrent weights as the families of a cell: other names, two biases, another order of gates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi.ir import Cell, Node, Program
from nabi.ir.functions import sigmoid, tanh

__all__ = ["families_of", "torch_cell"]


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
    if mode == "GRU":
        return TorchGRU(hidden_size, use_bias=bias)
    if mode == "LSTM" and proj_size:
        return cells.ProjectedLSTM(hidden_size, use_bias=bias, projection=proj_size)
    if mode == "LSTM":
        return cells.LSTM(hidden_size, use_bias=bias)
    return cells.SimpleRNN(hidden_size, activation=mode.removeprefix("RNN_").lower(), use_bias=bias)


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
    is_gru = isinstance(program.cell, TorchGRU)
    present = {
        name: value if value.dtype == dtype else value.to(dtype)
        for name, value in weights.items()
        if value is not None
    }
    found = {"W_x": present["weight_ih"], "W_h": present["weight_hh"]}
    if "weight_hr" in present:
        found["W_m"] = present["weight_hr"]
    if "bias_ih" in present:
        b_x, b_h = present["bias_ih"], present["bias_hh"]
        found.update({"b_x": b_x, "b_h": b_h} if is_gru else {"b": b_x + b_h})
    return tuple([found[family.name] for family in program.families])
