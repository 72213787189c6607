"""Training of a translator, and how good it is then.

The decoder reads the right target, and says what comes next.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from nabi.data import Vocabulary
from nabi.models._task._described import Described
from nabi.models._translator._network import TranslatorNetwork
from nabi.models._translator._pair_batches import PairBatch, PairBatches
from nabi.models._translator._settings import TranslatorSettings
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["TranslatorReport", "TranslatorTraining", "nats"]


@dataclass(frozen=True)
class TranslatorReport(Described):
    """What a translator says of pairs that it has not learnt from.

    `validation` is in nats per code of the targets, their ends among them: the mean of the negative natural
    logarithm of the probability that it gave to what really came next, after the right beginning. None where
    nothing was held out.
    """

    _called: ClassVar[str] = "report"

    unit: str
    """What a code is: "subwords", "words", "characters" or "pieces"."""
    train_pairs: int
    """How many were learnt from."""
    validation_pairs: int
    source_codes: int
    """How many the vocabulary of the sources has, without the reserved ones."""
    target_codes: int
    unknown_source: float
    """Share of the codes of the sources that are unknown, where pairs were held out of those, else of all."""
    unknown_target: float
    left_out: int
    """Pairs that were left out, since one side was empty or too long."""
    first_left_out: list[str]
    """Which these are and why, the first few."""
    validation: float | None
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __str__(self) -> str:
        lines = [f"pairs: {self.train_pairs:,} to learn from, {self.validation_pairs:,} for validation"]
        if self.left_out:
            more = "" if self.left_out == len(self.first_left_out) else ", ..."
            lines.append(f"left out: {self.left_out:,} ({'; '.join(self.first_left_out)}{more})")
        lines.append(
            f"known: {self.source_codes:,} {self.unit} of the sources ({self.unknown_source:.2%} unknown), "
            f"{self.target_codes:,} of the targets ({self.unknown_target:.2%} unknown)"
        )
        if self.validation is None:
            lines.append("nothing was held out")
        else:
            lines.append(
                f"validation: {self.validation:.4f} nats per {self.unit.removesuffix('s')} "
                f"(perplexity {math.exp(min(self.validation, 700)):,.2f})"
            )
        return "\n".join(lines)


def nats(network: TranslatorNetwork, pairs: PairBatches, hearing: BatchCallbacks = ()) -> float:
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
        sampled = self.settings.scheduled_sampling * self.position.step / self.planned_steps
        logits = self.network(batch, self.generator, sampled)
        smoothing = self.settings.label_smoothing
        return _cross_entropy(logits, batch.said, "mean", smoothing), int(batch.target_lengths.sum())

    @property
    def validation_share(self) -> float:
        """How much was held out, as a share of what an epoch learns from."""
        return len(self._validation or ()) / len(self._train)

    @property
    def validates(self) -> bool:
        """Whether pairs were held out."""
        return self._validation is not None

    def validate(self, hearing: BatchCallbacks) -> float:
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
