"""The names of Keras at the places where Keras has them: `from nabi import keras`.

For programs that begin with `from tensorflow import keras`, `from tensorflow.keras.layers import LSTM`, or
`from keras.layers import LSTM`: put `nabi` in place of `tensorflow`, or in front of `keras`. `nabi.tf1.keras`
is the same package. All of it is `nabi` itself: `nabi.keras.layers` is the module `nabi.layers`, not a copy.

>>> from nabi import keras
>>> from nabi.keras.layers import Dense, SimpleRNN
>>> model = keras.Sequential([SimpleRNN(units=10, input_shape=[4, 1]), Dense(1)])
>>> model.count_params()
131
"""

import sys
from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked as _loaded_when_asked
from nabi._version import __version__ as __version__
from nabi.keras._other_names import OtherNames as _OtherNames

if TYPE_CHECKING:
    from nabi import (
        Initializer,
        Input,
        Layer,
        Loss,
        Metric,
        Model,
        Optimizer,
        Regularizer,
        Sequential,
        activations,
        backend,
        callbacks,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        regularizers,
        utils,
    )
else:
    __getattr__, __dir__ = _loaded_when_asked(
        __name__,
        {
            "nabi": [
                "Initializer",
                "Input",
                "Layer",
                "Loss",
                "Metric",
                "Model",
                "Optimizer",
                "Regularizer",
                "Sequential",
                "activations",
                "backend",
                "callbacks",
                "datasets",
                "initializers",
                "layers",
                "losses",
                "metrics",
                "models",
                "optimizers",
                "preprocessing",
                "regularizers",
                "utils",
            ],
        },
    )

__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
]

# Before the others: Python would look for `nabi.keras.utils.np_utils` in the folder of `nabi.utils`, and load
# a second copy of it.
sys.meta_path.insert(0, _OtherNames(__all__))
