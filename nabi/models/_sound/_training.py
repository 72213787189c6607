"""Trainings of systems that listen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nabi.models._sequences._network import SequenceNetworks
from nabi.models._sequences._samples import SequenceBatch
from nabi.models._sequences._training import SequenceTraining
from nabi.models._sound._samples import SoundSamples
from nabi.models._sound._strings import made_strings

__all__ = ["SoundTraining", "SpeechTraining"]


class SoundTraining(SequenceTraining):
    """Of a classifier of recordings."""

    kind = "sound classifier training"
    material = "recordings or labels"


class SpeechTraining(SequenceTraining):
    """Of a recogniser; where `settings.joined` is above 1, on strings that are made anew in every epoch.

    They are single recordings at first, and become longer over the first third of the epochs: with long ones
    from the start, a network says nothing but blanks for many epochs.
    """

    kind = "speech recognizer training"
    material = "recordings or texts"

    def __init__(
        self,
        networks: SequenceNetworks,
        train: SoundSamples,
        validation: SoundSamples,
        classes: int,
        settings: Any,
        checkpoint: Path | None,
    ) -> None:
        self._words, self._joined, self._epochs = train, settings.joined, settings.epochs
        self._count = max(round(2 * len(train) / (settings.joined + 1)), 1)
        if self._joined > 1:
            train = self._made(settings.seed, 0)
        super().__init__(networks, train, validation, classes, settings, checkpoint)

    def batches(self, first: int) -> Iterator[SequenceBatch]:
        """Yield the batches of the epoch, which follow from the seed and its number."""
        if self._joined > 1:
            self._train = self._made(self._seed, self.position.epoch)
        yield from super().batches(first)

    def _made(self, seed: int, epoch: int) -> SoundSamples:
        """Return the strings of an epoch, always as many."""
        longest = 1 + round((self._joined - 1) * min(1.0, 3 * epoch / self._epochs))
        random = np.random.default_rng([seed, epoch, 1])
        return made_strings(self._words, longest, random, self._count)
