"""Training of networks that estimate a number for a sequence."""

from pathlib import Path

from torch import Tensor
from torch.nn import functional

from nabi.models._sequences._network import SequenceNetworks
from nabi.models._sequences._number_settings import NumberSettings
from nabi.models._sequences._samples import SequenceBatch, SequenceSamples
from nabi.models._sequences._training import SequenceTraining

__all__ = ["NumberTraining"]


class NumberTraining(SequenceTraining):
    """One training whose targets are standardized numbers."""

    material = "sequences or numbers"

    def __init__(
        self,
        networks: SequenceNetworks,
        train: SequenceSamples,
        validation: SequenceSamples,
        settings: NumberSettings,
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
        """Return how many sequences there are: all of them have a number."""
        return len(batch.targets)
