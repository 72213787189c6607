"""The name under which Keras 2 had `to_categorical`.

>>> from nabi.utils.np_utils import to_categorical
>>> to_categorical([1, 0]).shape
(2, 2)
"""

from nabi.training import to_categorical

__all__ = ["to_categorical"]
