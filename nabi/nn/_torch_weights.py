"""torch's recurrent weights as the families of a cell: other names, two biases, another order of gates."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nabi import cells
from nabi.ir import Cell, Program

__all__ = ["families_of", "torch_cell"]


def torch_cell(mode: str, hidden_size: int, bias: bool, proj_size: int = 0) -> Cell:
    """Return the cell behind a torch module of this mode (`RNN_TANH`, `RNN_RELU`, `LSTM`, `GRU`)."""
    if mode == "GRU":
        return cells.GRU(hidden_size, use_bias=bias)
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
    is_gru = isinstance(program.cell, cells.GRU)
    present: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value is not None:
            present[name] = value if value.dtype == dtype else value.to(dtype)
            if is_gru:
                # r, z, n in torch; z, r, h in the cell.
                present[name] = _swap_first_two_of_three(present[name])
    found = {"W_x": present["weight_ih"], "W_h": present["weight_hh"]}
    if "weight_hr" in present:
        found["W_m"] = present["weight_hr"]
    if "bias_ih" in present:
        b_x, b_h = present["bias_ih"], present["bias_hh"]
        found.update({"b_x": b_x, "b_h": b_h} if is_gru else {"b": b_x + b_h})
    return tuple([found[family.name] for family in program.families])


def _swap_first_two_of_three(value: Tensor) -> Tensor:
    first, second, third = value.chunk(3)
    return torch.cat((second, first, third))
