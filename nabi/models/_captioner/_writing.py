"""What a captioner writes, and where it looks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import Vocabulary
from nabi.decoding import BeamSearch, Greedy, decode
from nabi.errors import ArgumentError
from nabi.models._captioner._network import CaptionNetwork
from nabi.models._networks._decoder_steps import NEVER_WRITTEN, DecoderSteps
from nabi.models._task._written_text import Joiner

__all__ = ["Caption", "CaptionAttention", "join", "look", "write"]

_AT_ONCE = 128  # pictures


class Caption(NamedTuple):
    """What is said of a picture."""

    text: str
    log_probability: float
    """Of all its words together, its end included."""
    score: float
    """What captions were compared by in a beam search."""
    ended: bool
    """Whether it came to its end before the greatest length."""
    others: "tuple[Caption, ...]" = ()
    """The next best of the same picture, where several were asked for."""


class CaptionAttention(NamedTuple):
    """Where a captioner looks while it writes each word."""

    words: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    """`[words, rows, columns]`: how much each region of the picture counts, 1 together for each word."""


def write(
    network: CaptionNetwork,
    vocabulary: Vocabulary,
    images: npt.NDArray[np.uint8],
    *,
    beam: int,
    length_penalty: float,
    best: int,
    maxlen: int,
) -> list[Caption]:
    """Return a caption of each picture, with the next best ones."""
    strategy = Greedy() if beam == best == 1 else BeamSearch(beam, best, length_penalty=length_penalty)
    steps = DecoderSteps(network.decoder, NEVER_WRITTEN)
    found = []
    for begin in range(0, len(images), _AT_ONCE):
        with torch.no_grad():
            memory = network.encoder(torch.from_numpy(images[begin : begin + _AT_ONCE]))
        starts = [Vocabulary.START] * len(memory.values)
        state = steps.start(memory)
        found += decode(steps, state, starts, strategy, end=Vocabulary.START, maxlen=maxlen)
    captions = []
    for row in found:
        first, *others = (
            Caption(join(vocabulary, one.codes), one.log_probability, one.score, one.ended) for one in row
        )
        captions.append(first._replace(others=tuple(others)))
    return captions


def join(vocabulary: Vocabulary, codes: tuple[int, ...]) -> str:
    """Return the text of codes, with spaces where a reader expects them."""
    joiner = Joiner(vocabulary, "")
    return "".join(joiner.text(code) for code in codes)


def look(
    network: CaptionNetwork, vocabulary: Vocabulary, image: npt.NDArray[np.uint8], text: str
) -> CaptionAttention:
    """Return where the network looks in a picture `[1, size, size, 3]` while it writes a text."""
    codes = vocabulary.encode([text])[0]
    if len(codes) < 2:
        raise ArgumentError(f"caption: {text!r} has no words")
    with torch.no_grad():
        memory = network.encoder(torch.from_numpy(image))
        read = torch.from_numpy(codes[None, :-1].astype(np.int64))
        weights = network.decoder.attend(memory, read)[0].numpy()
    across = round(weights.shape[1] ** 0.5)
    words = tuple(vocabulary.words[code] for code in codes[1:].tolist())
    return CaptionAttention(words, weights.reshape(len(weights), across, across))
