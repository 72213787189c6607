"""Decoding: generating sequences with a model that predicts the probability of each next code.

`decode` returns whole sequences, `stream` yields one code at a time. The strategies are `Greedy`, `Sampling`
and `BeamSearch`; any object with the two methods of `Decodable` can be decoded. `ctc_greedy` and
`ctc_beam_search` read labels from the outputs of a network that was trained with CTC.
"""

from nabi.decoding._ctc import (
    CTCBeam,
    CTCGreedy,
    CTCLabels,
    ctc_beam_search,
    ctc_greedy,
    ctc_steps_needed,
)
from nabi.decoding._decode import Decoded, Written, decode, stream
from nabi.decoding._model import Decodable, select_rows
from nabi.decoding._strategies import BeamSearch, Greedy, Sampling, Strategy

__all__ = [
    "BeamSearch",
    "CTCBeam",
    "CTCGreedy",
    "CTCLabels",
    "Decodable",
    "Decoded",
    "Greedy",
    "Sampling",
    "Strategy",
    "Written",
    "ctc_beam_search",
    "ctc_greedy",
    "ctc_steps_needed",
    "decode",
    "select_rows",
    "stream",
]
