"""Penalties on weights, as `keras.regularizers`.

>>> import torch
>>> from nabi import regularizers
>>> regularizers.l2(0.5)(torch.tensor([1.0, 2.0]))
tensor(2.5000)
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.layers._layer._regularizers import L1, L1L2, L2, Regularizer, deserialize, get, serialize

l1 = L1
l2 = L2


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Return `L1L2` with both factors 0.01 by default, like Keras' function of this name."""
    return L1L2(l1, l2)


__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2", "serialize"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
