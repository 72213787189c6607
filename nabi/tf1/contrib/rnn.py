"""`tf.contrib.rnn`: the cells of `tf.nn.rnn_cell` and the unrolled networks, under their older names."""

from nabi.tf1._basic import BasicRNNCell, GRUCell
from nabi.tf1._cell import RNNCell
from nabi.tf1._combine import DropoutWrapper, MultiRNNCell
from nabi.tf1._lstm import BasicLSTMCell, LSTMCell
from nabi.tf1._structure import LSTMStateTuple
from nabi.tf1._unroll import static_bidirectional_rnn, static_rnn

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "static_bidirectional_rnn",
    "static_rnn",
]
