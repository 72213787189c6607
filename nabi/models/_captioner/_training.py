"""Training of a captioner, and how good it is then.

Pictures come in another order in every epoch, captions are padded batch by batch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nabi.data import Vocabulary
from nabi.models._captioner._network import CaptionNetwork
from nabi.models._captioner._samples import CaptionSamples
from nabi.models._captioner._settings import CaptionSettings
from nabi.models._task._described import Described
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["CaptionReport", "CaptionTraining", "Captioned", "nats"]

_BATCH_TO_READ = 128


@dataclass(frozen=True)
class CaptionReport(Described):
    """What a captioner says of pictures that it has not learnt from.

    `validation` and `exact` are None where nothing was held out.
    """

    _called: ClassVar[str] = "report"

    train: int
    """Captions that were learnt from."""
    held_out: int
    """Captions that were held out."""
    validation: float | None
    """Of these: the mean of the negative logarithm of the probability of each word, in nats."""
    exact: float | None
    """Share of their pictures that it captions exactly so, always taking the most probable word."""
    seconds: float
    """How long training took."""
    skipped: tuple[str, ...] = ()
    """What is wrong with each picture that was passed over."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "skipped", tuple(self.skipped))

    def __str__(self) -> str:
        if self.validation is None or self.exact is None:
            return "nothing was held out"
        return (
            f"{self.held_out:,} captions held out: {self.validation:.4f} nats per word, "
            f"{self.exact:.1%} said exactly so"
        )


class Batch(NamedTuple):
    """Pictures and the codes of their captions."""

    images: Tensor
    """`[B, size, size, 3]`, uint8."""
    codes: Tensor
    """`[B, T]`, each row begins and ends with START, then padding."""


class Captioned:
    """Pictures with captions as codes."""

    def __init__(self, samples: CaptionSamples, vocabulary: Vocabulary) -> None:
        self._images, self._codes = torch.from_numpy(samples.images), samples.encode(vocabulary)

    def __len__(self) -> int:
        return len(self._codes)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return some of them."""
        codes = torch.nn.utils.rnn.pad_sequence(
            [self._codes[row] for row in rows], batch_first=True, padding_value=Vocabulary.PADDING
        )
        return Batch(self._images[list(rows)], codes)

    def digest(self) -> bytes:
        """Return what differs for other pictures or captions."""
        found = hashlib.sha256(self._images.numpy().tobytes())
        for codes in self._codes:
            found.update(codes.numpy().tobytes())
        return found.digest()


def nats(network: CaptionNetwork, captioned: Captioned, hearing: BatchCallbacks = ()) -> float:
    """Return the mean negative log probability of the codes of captions, their ends included."""
    total, count = 0.0, 0
    with torch.no_grad():
        for number, first in enumerate(range(0, len(captioned), _BATCH_TO_READ)):
            batch = captioned.batch(range(first, min(first + _BATCH_TO_READ, len(captioned))))
            loss, codes = _loss(network, batch, None)
            total += float(loss) * codes
            count += codes
            for hear in hearing:
                hear(number, {})
    return total / count


class CaptionTraining(ResumableTraining):
    """One training of a captioner, which can be stopped after any batch and taken up again.

    Args:
        network: what learns.
        train: what it learns from.
        validation: what says after every epoch how good it is; the best weights are kept. May be empty: then
            the last are.
        vocabulary: of the captions.
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none.
    """

    kind = "captioner training"
    material = "pictures or captions"

    def __init__(
        self,
        network: CaptionNetwork,
        train: CaptionSamples,
        validation: CaptionSamples,
        vocabulary: Vocabulary,
        settings: CaptionSettings,
        checkpoint: Path | None,
    ) -> None:
        self._captioner, self._batch_size, self._seed = network, settings.batch_size, settings.seed
        self._train, self._validation = Captioned(train, vocabulary), Captioned(validation, vocabulary)
        fingerprint = hashlib.sha256(self._train.digest() + self._validation.digest()).hexdigest()
        super().__init__(network, settings, checkpoint, fingerprint)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self._train) // self._batch_size)

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield the batches of the epoch, in an order that follows from the seed and its number."""
        order = np.random.default_rng([self._seed, self.position.epoch]).permutation(len(self._train))
        size = self._batch_size
        for begin in range(first * size, len(order), size):
            yield self._train.batch(order[begin : begin + size].tolist())

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the mean loss of the codes of a batch, and how many they are."""
        return _loss(self._captioner, batch, self.generator)

    @property
    def validation_share(self) -> float:
        """How much was held out, as a share of what an epoch learns from."""
        return len(self._validation) / len(self._train)

    @property
    def validates(self) -> bool:
        """Whether anything was held out."""
        return len(self._validation) > 0

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return the mean loss of the codes that were held out."""
        return nats(self._captioner, self._validation, hearing)


def _loss(network: CaptionNetwork, batch: Batch, generator: torch.Generator | None) -> tuple[Tensor, int]:
    logits = network(batch.images, batch.codes[:, :-1], generator)
    targets = batch.codes[:, 1:].flatten()
    loss = functional.cross_entropy(logits.flatten(0, 1), targets, ignore_index=Vocabulary.PADDING)
    return loss, int((targets != Vocabulary.PADDING).sum())
