"""Training of a tagger."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nabi.models._sequences._samples import NO_LABEL, SequenceBatch, SequenceSamples
from nabi.models._tagger._network import TaggerNetwork
from nabi.models._tagger._settings import TaggerSettings
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["BATCH_TO_READ", "TaggerTraining"]

BATCH_TO_READ = 128
"""Sentences that are read at once where nothing is learnt."""
# Where two epochs are equally good, the smaller loss decides: at the beginning no span may be found at all.
_TIE = 1e-6


class TaggerTraining(ResumableTraining):
    """One training of a tagger, whose validation measures what the tags are for.

    Args:
        network: what learns.
        train: what it learns from; batches hold sentences of about the same length.
        validation: what says after every epoch how good it is; the best weights are kept. May be empty.
        hidden: the probability with which each word is taken for unknown, by its code.
        decode: returns the tags of a batch for logits and lengths.
        judge: returns the F1 of spans, or the accuracy, of all tags of the validation.
        measured: the name of that figure, "f1" or "accuracy".
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none.
    """

    kind = "tagger training"
    material = "sentences or tags"

    def __init__(
        self,
        network: TaggerNetwork,
        train: SequenceSamples,
        validation: SequenceSamples,
        *,
        hidden: Tensor,
        decode: Callable[[Tensor, Tensor], list[list[int]]],
        judge: Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], float],
        measured: str,
        settings: TaggerSettings,
        checkpoint: Path | None,
    ) -> None:
        self._network, self._train, self._validation = network, train, validation
        self._hidden, self._decode, self._judge, self._measured = hidden, decode, judge, measured
        self._size, self._seed = settings.batch_size, settings.seed
        self._figures: dict[str, float] = {}
        fingerprint = hashlib.sha256(train.digest() + validation.digest()).hexdigest()
        super().__init__(network, settings, checkpoint, fingerprint)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self._train) // self._size)

    def batches(self, first: int) -> Iterator[SequenceBatch]:
        """Yield the batches of the epoch, in an order that follows from the seed and its number."""
        for rows in self._train.shuffled(self._size, [self._seed, self.position.epoch])[first:]:
            yield self._train.batch(rows)

    def loss(self, batch: SequenceBatch) -> tuple[Tensor, int]:
        """Return the mean cross-entropy of the tags of a batch, and how many tokens it has."""
        logits = self._network(batch.inputs, batch.lengths, self.generator, self._hidden)
        return _mean_loss(logits, batch)

    @property
    def validation_share(self) -> float:
        """How much was held out, as a share of what an epoch learns from."""
        return len(self._validation) / len(self._train)

    @property
    def validates(self) -> bool:
        """Whether anything was held out."""
        return len(self._validation) > 0

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return how much is missing to a perfect validation; `validation_logs` says what was measured."""
        total, count = 0.0, 0
        said: list[list[int]] = []
        right: list[list[int]] = []
        with torch.no_grad():
            for number, rows in enumerate(self._validation.by_length(BATCH_TO_READ)):
                batch = self._validation.batch(rows)
                logits = self._network(batch.inputs, batch.lengths)
                loss, tokens = _mean_loss(logits, batch)
                total, count = total + float(loss) * tokens, count + tokens
                said += self._decode(logits, batch.lengths)
                assert self._validation.targets is not None
                right += [self._validation.targets[row].tolist() for row in rows]
                for hear in hearing:
                    hear(number, {})
        figure = self._judge(said, right)
        self._figures = {"val_loss": total / count, f"val_{self._measured}": figure}
        return 1.0 - figure + _TIE * min(total / count, 1e3)

    def validation_logs(self, missing: float) -> dict[str, float]:
        """Return the loss of the validation, and its F1 or accuracy."""
        return self._figures


def _mean_loss(logits: Tensor, batch: SequenceBatch) -> tuple[Tensor, int]:
    targets = batch.targets.flatten()
    loss = functional.cross_entropy(logits.flatten(0, 1), targets, ignore_index=NO_LABEL)
    return loss, int((targets != NO_LABEL).sum())
