"""`tf.contrib`: recurrent networks only."""

from nabi.tf1._missing import getter as _getter
from nabi.tf1.contrib import rnn

__all__ = ["rnn"]

__getattr__ = _getter("contrib.", __all__)
