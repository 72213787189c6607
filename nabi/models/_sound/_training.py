"""Trainings of systems that listen."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nabi.models._sequences._network import BLANK, SequenceNetworks
from nabi.models._sequences._samples import SequenceBatch, SequenceSamples
from nabi.models._sequences._training import SequenceTraining
from nabi.models._sound._front import SoundFront
from nabi.models._sound._log_mel import FRAME, LogMel
from nabi.models._sound._samples import SoundSamples, with_ending
from nabi.models._sound._strings import join_bands, made_strings, noise_bands

__all__ = ["SoundTraining", "SpeechTraining"]

# Shares of the epochs: until the first, strings are single recordings, from the second as long as wanted.
_SINGLE, _ALL = 0.25, 0.5
# A single recording is followed by a pause of so many seconds. Its label is said while these are left, and
# nothing until the word has ended, and again at the end of the pause.
_ENDING = 0.30
_TOLD, _BLANK_AGAIN = (0.24, 0.12), 0.08
_NOISE_FRAMES = 6000


def in_bands(samples: SequenceSamples, networks: SequenceNetworks) -> SequenceSamples:
    """Return recordings as the power of their bands `[T, mels]`, which are computed once for all epochs."""
    log_mel = _log_mel(networks)
    return replace(samples, inputs=[log_mel.bands(log_mel.power(one)) for one in samples.inputs])


def _log_mel(networks: SequenceNetworks) -> LogMel:
    front = networks.networks[0].front
    assert isinstance(front, SoundFront)
    return front.log_mel


class SoundTraining(SequenceTraining):
    """Of a classifier of recordings, whose bands are computed once."""

    kind = "sound classifier training"
    material = "recordings or labels"

    def __init__(
        self,
        networks: SequenceNetworks,
        train: SequenceSamples,
        validation: SequenceSamples,
        classes: int,
        settings: Any,
        checkpoint: Path | None,
    ) -> None:
        train, validation = (in_bands(one, networks) for one in (train, validation))
        super().__init__(networks, train, validation, classes, settings, checkpoint)


class SpeechTraining(SequenceTraining):
    """Of a recogniser; where `settings.joined` is above 1, on strings that are made anew in every epoch.

    In the first quarter of the epochs they are single recordings, and the network learns to say which one it
    was just after its end, and nothing before; then they become longer until the half of the epochs, and the
    loss is that of CTC. With CTC from the start, a network that reads in one direction says its labels where
    words begin, when it cannot know yet which they are, and does not get away from there for many epochs.
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
        # Strings that are made end with pauses of their own.
        heard = in_bands(with_ending(train) if settings.joined == 1 else train, networks)
        white = _log_mel(networks).white_noise(_NOISE_FRAMES)
        self._join = partial(join_bands, white=white)
        self._wordless = partial(noise_bands, white=white)
        self._words, self._joined = heard, settings.joined
        self._epochs: float = settings.epochs
        """As planned when the present epoch began."""
        self._count = max(round(2 * len(train) / (settings.joined + 1)), 1)
        # Single recordings are so much shorter than strings that an epoch has more of them.
        self._more = max((settings.joined + 1) // 2, 1)
        self._step = FRAME * settings.stride ** len(settings.convolutions or ())
        if self._joined > 1:
            heard = self._made(settings.seed, self._epochs)
        held_out = in_bands(with_ending(validation), networks)
        super().__init__(networks, heard, held_out, classes, settings, checkpoint)

    def _is_of_words(self, epoch: int) -> bool:
        """Whether an epoch has single recordings, of one word each."""
        return self._joined > 1 and epoch < _SINGLE * self._epochs and self._are_words

    @cached_property
    def _are_words(self) -> bool:
        targets: Any = self._words.targets
        return all(len(one) == 1 for one in targets)

    def batches(self, first: int) -> Iterator[SequenceBatch]:
        """Yield the batches of the epoch, which follow from the seed and its number."""
        if self._joined == 1:
            yield from super().batches(first)
            return
        epoch, self._epochs = self.position.epoch, self.planned_epochs
        strings = self._made(self._seed, epoch)
        size = self._size * (self._more if self._is_of_words(epoch) else 1)
        for rows in strings.shuffled(size, [self._seed, epoch])[first:]:
            yield strings.batch(rows)

    def loss(self, batch: SequenceBatch) -> tuple[Tensor, int]:
        """Return the mean loss of a batch, and of how many labels it is the mean."""
        if not self._is_of_words(self.position.epoch):
            return super().loss(batch)
        losses = []
        for logits, lengths in self._networks(batch.inputs, batch.lengths, self.generator):
            # How many seconds before the end of the string a step is.
            left = (lengths[:, None] - torch.arange(logits.shape[1])) * self._step
            told = (left <= _TOLD[0]) & (left > _TOLD[1])
            blank = ((left > _ENDING) | (left <= _BLANK_AGAIN)) & (left > 0)
            labels = (batch.targets[:, :1] + 1).expand(-1, logits.shape[1])
            losses.append(functional.cross_entropy(logits[told], labels[told]))
            losses.append(functional.cross_entropy(logits[blank], torch.full_like(labels, BLANK)[blank]))
        return torch.stack(losses).sum() / len(self._networks.networks), len(batch.targets)

    def _made(self, seed: int, epoch: int) -> SequenceSamples:
        """Return the strings of an epoch, always as many."""
        random = np.random.default_rng([seed, epoch, 1])
        if self._is_of_words(epoch):
            return made_strings(self._words, self._join, 1, random, self._count * self._more, _ENDING)
        grown = (epoch / self._epochs - _SINGLE) / (_ALL - _SINGLE)
        longest = 1 + round((self._joined - 1) * min(max(grown, 0.0), 1.0))
        return made_strings(self._words, self._join, longest, random, self._count, wordless=self._wordless)
