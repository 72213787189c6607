"""`tf.nn.rnn_cell`: the cells."""

from nabi.tf1._basic import BasicRNNCell, GRUCell
from nabi.tf1._cell import RNNCell
from nabi.tf1._combine import DropoutWrapper, MultiRNNCell
from nabi.tf1._lstm import BasicLSTMCell, LSTMCell
from nabi.tf1._structure import LSTMStateTuple

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
]
