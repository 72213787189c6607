"""Training of a translator: the decoder reads the right target, and says what comes next."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nabi.data import Vocabulary
from nabi.models._translator._network import TranslatorNetwork
from nabi.models._translator._pair_batches import PairBatch, PairBatches
from nabi.models._translator._settings import TranslatorSettings
from nabi.training import Hearing, ResumableTraining

__all__ = ["TranslatorTraining", "nats"]


def nats(network: TranslatorNetwork, pairs: PairBatches, hearing: Hearing = ()) -> float:
    """Return the mean negative log probability of the codes of targets and their ends.

    `hearing` are called with the number of each batch that is done.
    """
    total, count = 0.0, 0
    with torch.no_grad():
        for number, rows in enumerate(pairs.ordered()):
            batch = pairs.batch(rows)
            total += float(_cross_entropy(network(batch), batch.said, "sum"))
            count += int(batch.target_lengths.sum())
            for hear in hearing:
                hear(number, {})
    return total / count


class TranslatorTraining(ResumableTraining):
    """One training of a translator, which can be stopped after any batch and taken up again.

    Args:
        network: what learns.
        train: pairs to learn from.
        validation: pairs that say after every epoch how good it is; the best weights are kept. None: then the
            last are.
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none.
        texts: what it learns from and how it is divided, for a checkpoint to know it again.
    """

    kind = "translator training"
    network: TranslatorNetwork
    settings: TranslatorSettings

    def __init__(
        self,
        network: TranslatorNetwork,
        train: PairBatches,
        validation: PairBatches | None,
        settings: TranslatorSettings,
        checkpoint: Path | None,
        texts: Sequence[Sequence[str]],
    ) -> None:
        told = hashlib.sha256()
        for part in texts:
            told.update(f"{len(part)}\n".encode())
            for text in part:
                told.update(f"{len(text)} {text}\n".encode(errors="surrogatepass"))
        super().__init__(network, settings, checkpoint, told.hexdigest())
        self._train, self._validation = train, validation

    @property
    def batches_per_epoch(self) -> int:
        """How many batches every epoch has."""
        return len(self._train)

    def batches(self, first: int) -> Iterator[PairBatch]:
        """Yield batches, in an order that follows from the seed and the epoch."""
        for rows in self._train.shuffled(self.settings.seed, self.position.epoch)[first:]:
            yield self._train.batch(rows)

    def loss(self, batch: PairBatch) -> tuple[Tensor, int]:
        """Return the cross-entropy of a batch, with label smoothing (Szegedy et al. 2016).

        The probability of scheduled sampling (Bengio et al. 2015) rises evenly over the whole training.
        """
        sampled = self.settings.scheduled_sampling * self.position.step / self.steps
        logits = self.network(batch, self.generator, sampled)
        smoothing = self.settings.label_smoothing
        return _cross_entropy(logits, batch.said, "mean", smoothing), int(batch.target_lengths.sum())

    @property
    def validates(self) -> bool:
        """Whether pairs were held out."""
        return self._validation is not None

    def validate(self, hearing: Hearing) -> float:
        """Return the nats per code of the pairs that were held out, without smoothing."""
        assert self._validation is not None
        return nats(self.network, self._validation, hearing)


def _cross_entropy(logits: Tensor, said: Tensor, reduction: str, smoothing: float = 0.0) -> Tensor:
    return functional.cross_entropy(
        logits.flatten(0, 1),
        said.flatten(),
        ignore_index=Vocabulary.PADDING,
        reduction=reduction,
        label_smoothing=smoothing,
    )
