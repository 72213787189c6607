"""Decoding: from a model that gives the probability of each next code to the sequence that it writes.

`decode` gives whole sequences, `stream` one code after the other, as it is chosen. How codes are chosen is
`Greedy`, `Sampling` or `BeamSearch`; what can be decoded is any object with the two methods of `Decodable`.
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
