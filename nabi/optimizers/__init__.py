"""Optimizers, as `keras.optimizers`, over `torch.optim`.

>>> from nabi.optimizers import Adam
>>> Adam(learning_rate=0.01, clipnorm=1.0)
<Adam, learning rate 0.01>
"""

from nabi.optimizers import schedules
from nabi.training._optimizer_names import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Nadam, RMSprop, get
from nabi.training._optimizers import Optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]
