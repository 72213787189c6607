"""Padding and windows under Keras' names.

>>> pad_sequences([[1, 2], [3]], padding="post")
array([[1, 2],
       [3, 0]], dtype=int32)
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.data import TimeseriesGenerator, pad_sequences

__all__ = ["TimeseriesGenerator", "pad_sequences"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
