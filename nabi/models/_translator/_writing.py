"""A translator that writes: translations by beam search, and where it looked while it wrote."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import CONTINUED, SPACE, Vocabulary
from nabi.decoding import BeamSearch, Decoded, decode
from nabi.models._networks._decoder_steps import NEVER_WRITTEN, DecoderSteps
from nabi.models._networks._memory import Memory
from nabi.models._task._written_text import Joiner
from nabi.models._translator._network import TranslatorNetwork
from nabi.models._translator._pair_batches import padded

__all__ = ["AttentionWeights", "Translation", "look", "pieces_read", "pieces_written", "text_of", "write"]

Codes = npt.NDArray[np.int32]

# Sources that are translated at once; each is followed as often as the beam is wide.
_ROWS = 32
# Sources whose lengths, rounded up to this, are the same may have translations of the same length.
_STEP = 8
_LEAST_ROOM = 10


@dataclass(frozen=True)
class Translation:
    """A text that a translator wrote for another."""

    text: str
    log_probability: float
    """Of all its codes together, the end's included where it ended."""
    score: float
    """What translations were compared by: `log_probability / length ** length_penalty`."""
    ended: bool
    """Whether it came to its end before `maxlen`."""
    others: tuple["Translation", ...] = ()
    """The next best, where more than one was wanted."""


@dataclass(frozen=True)
class AttentionWeights:
    """Where a translator looked while it wrote.

    Of subwords and pieces, one that begins a word has ▁ before it.
    """

    source: tuple[str, ...]
    """The S pieces that it read."""
    target: tuple[str, ...]
    """The T pieces that it wrote."""
    weights: npt.NDArray[np.float32]
    """How much each written piece looked at each that was read, `[T, S]`; the rows sum to 1."""


def write(
    network: TranslatorNetwork,
    sources: Sequence[Codes],
    strategy: BeamSearch,
    maxlen: int | None,
    room: int,
) -> list[list[Decoded]]:
    """Return, for each source, the best sequences of codes that a beam search finds.

    Args:
        network: what is asked.
        sources: codes, none empty.
        strategy: of the search.
        maxlen: codes at most, with the end; by default twice those of the source (rounded up to eights, so
            that it does not depend on what is translated beside it), and `room`.
        room: how many more, but ten at least.
    """
    steps = DecoderSteps(network.decoder, NEVER_WRITTEN)
    groups: dict[int, list[int]] = {}
    for place in sorted(range(len(sources)), key=lambda place: len(sources[place])):
        rounded = -(-len(sources[place]) // _STEP) * _STEP
        groups.setdefault(maxlen or 2 * rounded + max(room, _LEAST_ROOM), []).append(place)
    found: list[list[Decoded]] = [[] for _ in sources]
    for limit, places in groups.items():
        for start in range(0, len(places), _ROWS):
            rows = places[start : start + _ROWS]
            state = steps.start(_memory(network, [sources[place] for place in rows]))
            first = torch.full((len(rows),), Vocabulary.START)
            written = decode(steps, state, first, strategy, end=Vocabulary.START, maxlen=limit)
            for place, sequences in zip(rows, written, strict=True):
                found[place] = sequences
    return found


def look(network: TranslatorNetwork, source: Codes, target: Codes) -> npt.NDArray[np.float32]:
    """Return where each step that writes a code of the target looks, `[T, S]`."""
    read = np.concatenate([[Vocabulary.START], target[:-1]]).astype(np.int64)
    weights = network.decoder.attend(_memory(network, [source]), torch.from_numpy(read)[None])
    return weights[0].numpy()


def _memory(network: TranslatorNetwork, sources: Sequence[Codes]) -> Memory:
    with torch.no_grad():
        memory: Memory = network.encoder(*padded(sources))
    return memory


def text_of(vocabulary: Vocabulary, codes: Sequence[int]) -> str:
    """Return what a reader sees of codes: words with spaces where they are expected."""
    if vocabulary.unit in ("subwords", "characters"):
        return vocabulary.decode(codes)
    joiner = Joiner(vocabulary, "")
    return "".join(map(joiner.text, codes))


def pieces_read(vocabulary: Vocabulary, text: str) -> tuple[str, ...]:
    """Return what a text is cut into; see `AttentionWeights` for the mark of what begins a word."""
    tokens = vocabulary.tokens(text)
    if vocabulary.unit not in ("subwords", "pieces"):
        return tuple(token.text for token in tokens)
    return tuple(
        SPACE + token.text if not token.start or text[token.start - 1].isspace() else token.text
        for token in tokens
    )


def pieces_written(vocabulary: Vocabulary, codes: Sequence[int]) -> tuple[str, ...]:
    """Return the pieces of codes, marked likewise."""
    words = [vocabulary.words[code] for code in codes]
    if vocabulary.unit == "pieces":
        return tuple(
            word.removeprefix(CONTINUED) if word.startswith(CONTINUED) else SPACE + word for word in words
        )
    if vocabulary.unit == "subwords":
        # A space may be a piece of its own: what follows it begins a word.
        before = ["", *words[:-1]]
        return tuple(
            SPACE + word if last == SPACE and word != SPACE else word
            for word, last in zip(words, before, strict=True)
        )
    return tuple(words)
