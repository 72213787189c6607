"""Decoding: generating sequences with a model that predicts the probability of each next code.

`decode` returns whole sequences, `stream` yields one code at a time. The strategies are `Greedy`, `Sampling`
and `BeamSearch`; any object with the two methods of `Decodable` can be decoded.
"""

from nabi.decoding._decode import Decoded, Written, decode, stream
from nabi.decoding._model import Decodable, select_rows
from nabi.decoding._strategies import BeamSearch, Greedy, Sampling, Strategy

__all__ = [
    "BeamSearch",
    "Decodable",
    "Decoded",
    "Greedy",
    "Sampling",
    "Strategy",
    "Written",
    "decode",
    "select_rows",
    "stream",
]
