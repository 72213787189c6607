"""Padding and windows under Keras' names.

>>> pad_sequences([[1, 2], [3]], padding="post")
array([[1, 2],
       [3, 0]], dtype=int32)
"""

from nabi.data import TimeseriesGenerator, pad_sequences

__all__ = ["TimeseriesGenerator", "pad_sequences"]
