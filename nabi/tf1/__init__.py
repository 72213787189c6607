"""TensorFlow-1 names, eager: `import nabi.tf1 as tf`.

Cells and the functions that run them over time, with TensorFlow's arguments, return values and weight layout,
on NumPy arrays or torch tensors: arrays in, arrays out; tensors in, tensors out, with gradients.
Placeholders,
sessions and variable scopes are not imitated: every line computes immediately, and accessing one of these
names raises an error that says what to write instead.

>>> import numpy as np
>>> import nabi.tf1 as tf
>>> X = np.array([[[0, 1, 2], [9, 8, 7]], [[3, 4, 5], [0, 0, 0]],
...               [[6, 7, 8], [6, 5, 4]], [[9, 0, 1], [3, 2, 1]]])
>>> cell = tf.nn.rnn_cell.BasicRNNCell(num_units=5)
>>> outputs, states = tf.nn.dynamic_rnn(cell, X, dtype=tf.float32, sequence_length=[2, 1, 2, 2])
>>> outputs.shape, states.shape
((4, 2, 5), (4, 5))
>>> outputs[1, 1].tolist()
[0.0, 0.0, 0.0, 0.0, 0.0]

`tf.keras` is `nabi.keras`:

>>> tf.keras.Sequential([tf.keras.layers.SimpleRNN(units=2, input_shape=[4, 1])]).count_params()
8
"""

from nabi import keras
from nabi.tf1 import contrib, nn
from nabi.tf1._activations import sigmoid, tanh
from nabi.tf1._arrays import float16, float32, float64, int32, int64, stack, transpose, unstack
from nabi.tf1._missing import MissingNameError, getter as _getter
from nabi.tf1._unroll import bidirectional_dynamic_rnn, dynamic_rnn, static_bidirectional_rnn, static_rnn
from nabi.tf1.nn.rnn_cell import (
    BasicLSTMCell,
    BasicRNNCell,
    DropoutWrapper,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    RNNCell,
)

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MissingNameError",
    "MultiRNNCell",
    "RNNCell",
    "bidirectional_dynamic_rnn",
    "contrib",
    "dynamic_rnn",
    "float16",
    "float32",
    "float64",
    "int32",
    "int64",
    "keras",
    "nn",
    "sigmoid",
    "stack",
    "static_bidirectional_rnn",
    "static_rnn",
    "tanh",
    "transpose",
    "unstack",
]

__getattr__ = _getter("", __all__)
