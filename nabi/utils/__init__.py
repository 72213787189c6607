"""Helpers, as `keras.utils`; `np_utils` is the name that `to_categorical` once was under.

>>> from nabi.utils import np_utils
>>> np_utils.to_categorical([1, 0]).shape
(2, 2)
"""

from nabi.backend import clear_session
from nabi.training import set_random_seed, to_categorical
from nabi.utils import np_utils

__all__ = ["clear_session", "np_utils", "set_random_seed", "to_categorical"]
