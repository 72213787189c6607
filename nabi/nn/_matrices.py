"""The weight matrices of torch modules: what is most of a model, and can be stored in fewer bits."""

import torch
from torch import nn

from nabi.ir import Cell
from nabi.nn._rnn import RNN
from nabi.nn._torch_layers import GRU, LSTM, ElmanRNN

__all__ = ["matrices_of"]


def matrices_of(module: nn.Module) -> dict[str, int]:
    """Return the names of a module's own weight matrices, each with the axis of its outputs.

    Those of recurrent modules, linear maps, tables and convolutions; none of other modules.

    >>> from nabi import cells
    >>> matrices_of(RNN(cells.GRU(5), input_size=3))
    {'W_x_l0': 0, 'W_h_l0': 0}
    """
    if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d | nn.Conv2d):
        return {"weight": 0}
    if isinstance(module, ElmanRNN | LSTM | GRU) or (
        isinstance(module, RNN) and isinstance(module.cell, Cell)
    ):
        names = [name for group in module._names for name in group]
        weights = {name: module._parameters.get(name) for name in names}
        return {
            name: 0
            for name, weight in weights.items()
            if isinstance(weight, torch.Tensor) and weight.dim() == 2
        }
    return {}
