"""Training of networks on sequences."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ArgumentError
from nabi.models._sequences._network import BLANK, SequenceNetworks
from nabi.models._sequences._samples import NO_LABEL, SequenceBatch, SequenceSamples
from nabi.models._sequences._settings import SequenceNetworkSettings, SequenceSettings
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = [
    "BATCH_TO_READ",
    "SequenceTraining",
    "balanced_weights",
    "check_frames",
    "sequence_loss",
    "usual_epochs",
]

BATCH_TO_READ = 128
"""Sequences that are read at once where nothing is learnt."""
# A training sees about so many sequences unless it is told otherwise.
_SEQUENCES_TO_SEE = 30_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 10, 200


def usual_epochs(count: int) -> int:
    """Return how often so many sequences are gone through, if nothing else is said."""
    return min(max(round(_SEQUENCES_TO_SEE / count), _FEWEST_EPOCHS), _MOST_EPOCHS)


class SequenceTraining(ResumableTraining):
    """One training of networks on sequences, which can be stopped after any batch and taken up again.

    A system gives `kind`, the kind of its checkpoints. Batches hold sequences of about the same length.

    Args:
        networks: what learns.
        train: what it learns from.
        validation: what says after every epoch how good it is; the best weights are kept. May be empty: then
            the last are.
        classes: how many there are; None for numbers.
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none.
    """

    material: ClassVar[str] = "sequences or labels"

    def __init__(
        self,
        networks: SequenceNetworks,
        train: SequenceSamples,
        validation: SequenceSamples,
        classes: int | None,
        settings: SequenceNetworkSettings,
        checkpoint: Path | None,
    ) -> None:
        self._networks, self._train, self._validation = networks, train, validation
        self._size, self._seed = settings.batch_size, settings.seed
        self._class_weights: Tensor | None = None
        weighted = isinstance(settings, SequenceSettings) and settings.class_weight is not None
        if weighted and classes is not None:
            self._class_weights = balanced_weights(train, classes)
        fingerprint = hashlib.sha256(train.digest() + validation.digest()).hexdigest()
        super().__init__(networks, settings, checkpoint, fingerprint)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self._train) // self._size)

    def batches(self, first: int) -> Iterator[SequenceBatch]:
        """Yield the batches of the epoch, in an order that follows from the seed and its number."""
        for rows in self._train.shuffled(self._size, [self._seed, self.position.epoch])[first:]:
            yield self._train.batch(rows)

    def loss(self, batch: SequenceBatch) -> tuple[Tensor, int]:
        """Return the mean loss of a batch, and of how many sequences, steps or strings it is the mean."""
        return self._mean_loss(batch, self.generator)

    @property
    def validation_share(self) -> float:
        """How much was held out, as a share of what an epoch learns from."""
        return len(self._validation) / len(self._train)

    @property
    def validates(self) -> bool:
        """Whether anything was held out."""
        return len(self._validation) > 0

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return the mean loss of what was held out."""
        total, count = 0.0, 0
        with torch.no_grad():
            for number, rows in enumerate(self._validation.by_length(BATCH_TO_READ)):
                batch = self._validation.batch(rows)
                loss, things = self._mean_loss(batch, None)
                total += float(loss) * things
                count += things
                for hear in hearing:
                    hear(number, {})
        return total / count

    def _mean_loss(self, batch: SequenceBatch, generator: torch.Generator | None) -> tuple[Tensor, int]:
        losses = [
            self.loss_of_outputs(outputs, lengths, batch)
            for outputs, lengths in self._networks(batch.inputs, batch.lengths, generator)
        ]
        return torch.stack(losses).mean(), self.things_in(batch)

    def loss_of_outputs(self, outputs: Tensor, lengths: Tensor, batch: SequenceBatch) -> Tensor:
        """Return the mean loss of what one network says of a batch; by default that of classes."""
        return sequence_loss(self._networks.answer, outputs, lengths, batch, self._class_weights)

    def things_in(self, batch: SequenceBatch) -> int:
        """Return of how many things that is the mean: labelled sequences or steps, or strings."""
        answered = batch.targets if self._networks.answer != "string" else batch.target_lengths
        return max(int((answered != NO_LABEL).sum()), 1)


def sequence_loss(
    answer: str, logits: Tensor, lengths: Tensor, batch: SequenceBatch, class_weights: Tensor | None
) -> Tensor:
    """Return the mean loss of a batch.

    For a class, or one a step, it is the cross-entropy, of steps that have a label; for a string the CTC loss
    (Graves et al. 2006) divided by the length of the string.
    """
    if answer == "string":
        labels = (batch.targets + 1)[batch.targets != NO_LABEL]
        return functional.ctc_loss(
            logits.log_softmax(2).transpose(0, 1),
            labels,
            lengths,
            batch.target_lengths,
            blank=BLANK,
            zero_infinity=True,
        )
    targets = batch.targets.flatten()
    loss = functional.cross_entropy(
        logits.flatten(0, -2), targets, class_weights, ignore_index=NO_LABEL, reduction="sum"
    )
    labelled = targets[targets != NO_LABEL]
    total = len(labelled) if class_weights is None else class_weights[labelled].sum()
    return loss / max(total, 1e-12)


def balanced_weights(samples: SequenceSamples, classes: int) -> Tensor:
    """Return a weight for each class, so that all count the same; the mean over the labels is 1."""
    targets: npt.NDArray[np.int64] = np.concatenate(
        [np.atleast_1d(np.asarray(one, np.int64)) for one in samples.targets or ()]
    )
    counts = np.bincount(targets[targets != NO_LABEL], minlength=classes)
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


def check_frames(networks: SequenceNetworks, samples: SequenceSamples) -> None:
    """Refuse strings that are too long for their sequences: CTC needs a step for each label, and one more
    between two labels that are the same.

    Raises:
        ArgumentError: for such a sequence, with its name.
    """
    frames = networks.networks[0].frames(torch.from_numpy(samples.lengths)).tolist()
    for name, length, target in zip(samples.names, frames, samples.targets or (), strict=True):
        repeats = int((target[1:] == target[:-1]).sum())
        if length < len(target) + repeats:
            between = f" and {repeats} blanks between equal labels" if repeats else ""
            raise ArgumentError(
                f"{name}: expected {len(target) + repeats} steps or more, for {len(target)} labels{between}, "
                f"got {length}; use a smaller stride or a longer sequence"
            )
