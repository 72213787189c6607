"""Training of a model of notes, and how good it is then.

Pieces are read side by side, padded, each from its beginning.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from nabi.models._notes._network import END, NoteNetwork
from nabi.models._notes._pieces import Batch, Excerpt, Rolls, batch_of, excerpts, shifts_for
from nabi.models._notes._settings import NoteSettings
from nabi.models._task._described import Described
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["NoteReport", "NoteTraining", "nats_per_frame"]

_PIECES_AT_ONCE = 32
_PLACES_AT_ONCE = 512


@dataclass(frozen=True)
class NoteReport(Described):
    """What a model of notes says of pieces that it has not learnt from.

    `validation` and `test` are in nats per frame: the mean over all frames of the negative natural logarithm
    of the probability that the model gave to the keys that really sounded, and to all others to be silent.
    With the output "keys" these are 88 independent probabilities, the measure of Boulanger-Lewandowski et al.
    (2012) for networks without anything on top. None where nothing was held out.
    """

    _called: ClassVar[str] = "report"

    output: str
    """What the probabilities are: of "keys" by themselves, or of "chords"."""
    train_pieces: int
    train_frames: int
    """How many were learnt from."""
    validation_pieces: int
    validation_frames: int
    test_pieces: int
    test_frames: int
    validation: float | None
    test: float | None
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __str__(self) -> str:
        lines = []
        for name in ("validation", "test"):
            value = getattr(self, name)
            if value is not None:
                pieces, frames = getattr(self, f"{name}_pieces"), getattr(self, f"{name}_frames")
                lines.append(
                    f"{name}: {value:.3f} nats per frame ({frames:,} frames of {pieces:,} "
                    f"{'piece' if pieces == 1 else 'pieces'})"
                )
        return "\n".join(lines) or "nothing was held out"


def _losses(network: NoteNetwork, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Negative log probabilities: the sum over frames of their keys', and that over places of the end's."""
    keys = network.knowing(logits, batch.targets)
    each = functional.binary_cross_entropy_with_logits(keys, batch.targets, reduction="none")
    places = torch.arange(logits.shape[1]) < batch.lengths[:, None]
    end = functional.binary_cross_entropy_with_logits(logits[..., END], batch.ends, places, reduction="sum")
    return (each.sum(2) * batch.sounding).sum(), end


def nats_per_frame(network: NoteNetwork, rolls: Rolls, hearing: BatchCallbacks = ()) -> float:
    """Return the mean over all frames of the negative log probability of their keys.

    Each piece is read from its beginning to its end. `hearing` are called with the number of each group of
    pieces that is done.
    """
    # Pieces of like length side by side, or most of a batch would be padding.
    order = sorted(range(len(rolls.rolls)), key=lambda number: len(rolls.rolls[number]))
    total = 0.0
    with torch.no_grad():
        for number, at in enumerate(range(0, len(order), _PIECES_AT_ONCE)):
            chosen = order[at : at + _PIECES_AT_ONCE]
            states = network.start(len(chosen))
            for begin in range(0, max(len(rolls.rolls[piece]) for piece in chosen), _PLACES_AT_ONCE):
                parts = [_part(piece, len(rolls.rolls[piece]), begin) for piece in chosen]
                batch = batch_of(rolls, parts)
                logits, states = network(batch.frames, states, batch.labels, batch.lengths)
                total += float(_losses(network, logits, batch)[0].double())
            for hear in hearing:
                hear(number, {})
    return total / rolls.frames


def _part(piece: int, length: int, begin: int) -> Excerpt:
    return Excerpt(piece, min(begin, length + 1), min(begin + _PLACES_AT_ONCE, length + 1))


class NoteTraining(ResumableTraining):
    """One training of a network of notes.

    Args:
        network: what learns.
        train: pieces to learn from.
        validation: pieces that say after every epoch how good it is; the best weights are kept. May have
            none: then the last are.
        settings: how it is trained.
        checkpoint: the file that keeps where training stands, None for none.
    """

    kind: ClassVar[str] = "note model training"
    material: ClassVar[str] = "pieces"

    def __init__(
        self,
        network: NoteNetwork,
        train: Rolls,
        validation: Rolls,
        settings: NoteSettings,
        checkpoint: Path | None,
    ) -> None:
        fingerprint = hashlib.sha256(train.fingerprint() + validation.fingerprint()).hexdigest()
        super().__init__(network, settings, checkpoint, fingerprint)
        self._notes, self._asked = network, settings
        self._train, self._validation = train, validation
        self._lengths = [len(roll) for roll in train.rolls]

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        count = sum(math.ceil((length + 1) / self._asked.window) for length in self._lengths)
        return math.ceil(count / self._asked.batch_size)

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield the excerpts of the pieces in an order by chance, transposed by chance."""
        settings = self._asked
        # Of this epoch alone, so that a training that goes on within it finds the same.
        generator = torch.Generator().manual_seed((settings.seed * 1_000_003 + self.position.epoch) % 2**63)
        parts = excerpts(self._lengths, settings.window, generator)
        order = torch.randperm(len(parts), generator=generator).tolist()
        shifts = shifts_for(self._train, parts, settings.transpose, generator)
        for at in range(first * settings.batch_size, len(parts), settings.batch_size):
            chosen = order[at : at + settings.batch_size]
            yield batch_of(
                self._train, [parts[number] for number in chosen], [shifts[number] for number in chosen]
            )

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the mean of a frame's loss: its keys', and what the ends have cost."""
        states = self._notes.start(len(batch.lengths))
        logits, _ = self._notes(batch.frames, states, batch.labels, batch.lengths, self.generator)
        keys, end = _losses(self._notes, logits, batch)
        count = max(int(batch.sounding.sum()), 1)
        return (keys + end) / count, count

    @property
    def validation_share(self) -> float:
        """How many frames were held out, as a share of what an epoch learns from."""
        return self._validation.frames / self._train.frames

    @property
    def validates(self) -> bool:
        """Whether there are pieces to validate with."""
        return bool(self._validation.rolls)

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return the nats per frame of the validation pieces."""
        return nats_per_frame(self._notes, self._validation, hearing)
