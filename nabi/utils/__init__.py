"""Helpers, as `keras.utils`; `np_utils` is the name that `to_categorical` once was under.

>>> from nabi.utils import np_utils
>>> np_utils.to_categorical([1, 0]).shape
(2, 2)
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.backend import clear_session
from nabi.data import pad_sequences, timeseries_dataset_from_array
from nabi.training import PyDataset, set_random_seed, to_categorical
from nabi.utils import np_utils

Sequence = PyDataset

__all__ = [
    "PyDataset",
    "Sequence",
    "clear_session",
    "np_utils",
    "pad_sequences",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
