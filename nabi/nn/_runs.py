"""What a recurrent module runs: the program and the weights of each direction of each layer."""

from torch import nn

from nabi.errors import ArgumentError
from nabi.ir import Cell
from nabi.nn._rnn import RNN
from nabi.nn._stack import Layers
from nabi.nn._torch_layers import GRU, LSTM, ElmanRNN

__all__ = ["runs_of"]


def runs_of(module: nn.Module) -> Layers:
    """Return program and weights of each direction of each layer, for inference.

    Raises:
        ArgumentError: if it is no recurrent module of nabi, or its step is torch code.

    >>> from nabi import cells, nn
    >>> [(program, weights)] = runs_of(nn.RNN(cells.GRU(5), input_size=3))
    >>> program.state_names, len(weights)
    (('h',), 4)
    """
    if isinstance(module, ElmanRNN | LSTM | GRU):
        return module._layers()
    if not isinstance(module, RNN):
        raise ArgumentError(f"module: expected a recurrent module of nabi.nn, got {type(module).__name__}")
    if not isinstance(module.cell, Cell):
        raise ArgumentError(
            f"module: its step {type(module.cell).__name__} is torch code and has no equations; write it as "
            "a cell of nabi.ir.Cell"
        )
    return module._layers(False)
