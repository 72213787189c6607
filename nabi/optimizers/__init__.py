"""Optimizers, as `keras.optimizers`, over `torch.optim`.

>>> from nabi.optimizers import Adam
>>> Adam(learning_rate=0.01, clipnorm=1.0)
<Adam, learning rate 0.01>
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
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
else:
    # Few programs have schedules.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.training._optimizers._classes": ["Optimizer"],
            "nabi.training._optimizers._names": [
                "SGD",
                "Adadelta",
                "Adagrad",
                "Adam",
                "Adamax",
                "AdamW",
                "Nadam",
                "RMSprop",
                "deserialize",
                "get",
                "serialize",
            ],
        },
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
