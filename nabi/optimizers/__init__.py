"""Optimizers, as `keras.optimizers`, over `torch.optim`.

>>> from nabi.optimizers import Adam
>>> Adam(learning_rate=0.01, clipnorm=1.0)
<Adam, learning rate 0.01>
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.optimizers import schedules
from nabi.training._optimizers._classes import Optimizer
from nabi.training._optimizers._names import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Nadam,
    RMSprop,
    deserialize,
    get,
    serialize,
)

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
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
