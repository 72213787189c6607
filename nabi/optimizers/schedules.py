"""Learning rates that change from step to step, as `keras.optimizers.schedules`.

>>> from nabi.optimizers import Adam, schedules
>>> Adam(schedules.ExponentialDecay(0.01, decay_steps=1000, decay_rate=0.9)).learning_rate
0.01
"""

from nabi.training._optimizers._schedule_classes import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
    deserialize,
    serialize,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
