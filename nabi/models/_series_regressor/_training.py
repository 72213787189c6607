"""Training of a series regressor."""

from pathlib import Path

from torch import Tensor
from torch.nn import functional

from nabi.models._sequences._network import SequenceNetworks
from nabi.models._sequences._samples import SequenceBatch, SequenceSamples
from nabi.models._sequences._training import SequenceTraining
from nabi.models._series_regressor._settings import SeriesRegressorSettings

__all__ = ["NumberTraining"]


class NumberTraining(SequenceTraining):
    """One training of a series regressor, whose targets are standardized numbers."""

    kind = "series regressor training"
    material = "series or numbers"

    def __init__(
        self,
        networks: SequenceNetworks,
        train: SequenceSamples,
        validation: SequenceSamples,
        settings: SeriesRegressorSettings,
        checkpoint: Path | None,
    ) -> None:
        super().__init__(networks, train, validation, None, settings, checkpoint)
        self._is_huber = settings.loss == "huber"

    def loss_of_outputs(self, outputs: Tensor, lengths: Tensor, batch: SequenceBatch) -> Tensor:
        """Return the mean loss of what one network says of a batch."""
        if self._is_huber:
            return functional.huber_loss(outputs[:, 0], batch.targets)
        return functional.mse_loss(outputs[:, 0], batch.targets)

    def things_in(self, batch: SequenceBatch) -> int:
        """Return how many series there are: all of them have a number."""
        return len(batch.targets)
