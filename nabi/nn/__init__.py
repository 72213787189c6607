"""PyTorch modules: `RNN` for any cell, and drop-ins for torch's recurrent modules."""

# `name as name`: for the rooms above. Users have what `__all__` lists.
from nabi.nn import initializers
from nabi.nn._as_torch import as_torch
from nabi.nn._graph_leaf import is_proxy as is_proxy, leaf as leaf, refuse_script as refuse_script
from nabi.nn._rnn import RNN
from nabi.nn._torch_cells import GRUCell, LSTMCell, RNNCell
from nabi.nn._torch_layers import GRU, LSTM, ElmanRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ElmanRNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "as_torch",
    "initializers",
]
