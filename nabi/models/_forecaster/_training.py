"""Training of a forecaster's networks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nabi._row_share import RowShare, row_share
from nabi.models._forecaster._network import QUANTILES, ForecastNetwork, Outlook
from nabi.models._forecaster._settings import ForecastSettings
from nabi.models._forecaster._windows import WindowBatch, Windows
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["ForecastTraining"]

_BATCH_TO_READ = 128
_ROBUST = 8.0  # an error of the mean beyond this, in units of the scale, counts in proportion


class ForecastTraining(ResumableTraining):
    """One training of all networks of a forecaster, which can be stopped after any batch and taken up again.

    Every network goes through the same batches. Those that are measured do not learn from targets that are
    held out, the others from all.

    Args:
        network: what learns.
        windows: what it learns from, and what is held out.
        settings: with `epochs`.
        of_mean: whether the mean is learnt, too, by its squared error.
        checkpoint: the file that keeps where training stands, None for none.
    """

    kind = "forecaster training"
    material = "series"

    def __init__(
        self,
        network: ForecastNetwork,
        windows: Windows,
        settings: ForecastSettings,
        of_mean: bool,
        checkpoint: Path | None,
    ) -> None:
        self._networks, self._windows, self._of_mean = network, windows, of_mean
        self._batch_size, self._seed = settings.batch_size, settings.seed
        self._levels = torch.tensor(QUANTILES)
        super().__init__(network, settings, checkpoint, windows.digest())

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-self._windows.rows // self._batch_size)

    def batches(self, first: int) -> Iterator[WindowBatch]:
        """Yield the batches of the epoch, in an order that follows from the seed and its number."""
        epoch = [self._seed, self.position.epoch]
        rows = self._windows.epoch(np.random.default_rng(epoch))
        for number in range(first, self.batches_per_epoch):
            begin = number * self._batch_size
            part = rows[begin : begin + self._batch_size]
            if part:
                yield self._windows.batch(part, np.random.default_rng([*epoch, number]))

    def own(self, batch: WindowBatch, share: RowShare) -> WindowBatch:
        """Return the rows of a batch that one of several workers computes."""
        return batch.own(share)

    def row_count(self, batch: WindowBatch) -> int:
        """Return how many rows a batch has."""
        return len(batch.x)

    def loss(self, batch: WindowBatch) -> tuple[Tensor, float]:
        """Return the sum of the networks' mean losses, and of how many forecasts they are the means."""
        generator, total, all_targets = self.generator, torch.zeros(()), batch.of_all
        for members, there, of_all in (
            (self._networks.measured, batch.there & ~batch.held_out, all_targets and all_targets.measured),
            (self._networks.again, batch.there, all_targets and all_targets.there),
        ):
            for member in members:
                outlook = member(batch.x, batch.methods, batch.lengths, batch.chosen, generator)
                total = total + self._loss(outlook, batch.targets, there, of_all)
        if all_targets is None or self.workers is None:
            return total, max(int(batch.there.sum()), 1)
        # Parts of the means of the whole batch, to be added up by workers that all count as much.
        share = row_share()
        parts = self.workers.count if share is None else min(self.workers.count, share.total)
        return total * parts, max(all_targets.there, 1) / parts

    def _loss(self, outlook: Outlook, targets: Tensor, there: Tensor, of_all: int | None = None) -> Tensor:
        missed = targets[..., None] - outlook.quantiles
        pinball = torch.maximum(self._levels * missed, (self._levels - 1) * missed).sum(-1)
        if self._of_mean:
            pinball = pinball + functional.huber_loss(outlook.mean, targets, reduction="none", delta=_ROBUST)
        count = there.sum().clamp(min=1) if of_all is None else max(of_all, 1)
        return torch.where(there, pinball, 0.0).sum() / count

    @property
    def validation_share(self) -> float:
        """How many rows have something held out, as a share of what an epoch learns from."""
        return float(np.mean(self._windows.held_out > 0))

    @property
    def validates(self) -> bool:
        """Whether anything was held out."""
        return bool(self._windows.held_out.any())

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return the mean loss of the averaged forecasts of what was held out."""
        total, count = 0.0, 0
        with torch.no_grad():
            for number, rows in enumerate(self._windows.validation(_BATCH_TO_READ)):
                batch = self._windows.held_out_batch(rows)
                there = batch.there & batch.held_out
                outlooks = [
                    member(batch.x, batch.methods, batch.lengths, batch.chosen)
                    for member in self._networks.measured
                ]
                loss = self._loss(self._networks.average(outlooks), batch.targets, there)
                total += float(loss) * int(there.sum())
                count += int(there.sum())
                for hear in hearing:
                    hear(number, {})
        return total / max(count, 1)
