"""Batches for the text recipes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nabi.data import Labels, LengthGroups, Vocabulary, stratified_split
from nabi.models import Sequential

__all__ = ["Corpus", "Network", "Part", "Settings", "hold_out"]

Part = tuple[Sequence[str], Sequence[str]]
"""Texts and their label names."""
Network = Callable[[int, int], Sequential]
"""Makes a network for a number of words and a number of labels."""

_BATCH_TO_READ = 256  # batch size for inference


@dataclass(frozen=True)
class Settings:
    """Settings of the batches and of the training."""

    words: int
    """Maximum size of the vocabulary, including the four reserved codes; the most frequent words are kept."""
    maxlen: int
    """Maximum number of codes per text; the rest is cut off."""
    batch_size: int
    learning_rate: float
    patience: int
    """Epochs without improvement before training stops."""
    decay: float = 1.0
    """Factor of the learning rate after each epoch."""
    monitor: str = "val_accuracy"
    """The validation metric that has to improve."""
    validation_share: float = 0.1
    """Of the training part, for data without a validation part."""
    truncating: str = "post"
    """Which end of a long text is cut off."""
    unit: str = "words"
    """What the codes stand for: "words", "characters", or "pieces" of words."""
    minimum_count: int = 2
    """Rarer words are unknown words, so that the network learns to handle these."""
    grouped: bool = True
    """Whether to batch texts of similar length, padded to the batch's longest, not to the overall longest."""
    padding: str = "post"
    """Which end of a short text is padded with zeros."""


def hold_out(part: Part, share: float, seed: int) -> tuple[Part, Part]:
    """Split a part into a kept part and a held-out share, stratified by label."""
    texts, labels = part
    kept, held_out = (
        ([texts[row] for row in rows], [labels[row] for row in rows])
        for rows in stratified_split(labels, share, seed=seed)
    )
    return kept, held_out


class Corpus:
    """Texts as batches of codes, for training, validation and test.

    The vocabulary is learned from the training part only.
    """

    def __init__(
        self,
        names: Sequence[str],
        training: Part,
        validation: Part,
        test: Part,
        settings: Settings,
        seed: int,
    ) -> None:
        self.labels, self.settings = Labels(names), settings
        self.vocabulary = Vocabulary.learn(
            training[0], settings.unit, size=settings.words, minimum_count=settings.minimum_count
        )
        self.test_texts, self.test_targets = test[0], self.labels.encode(test[1])
        targets = self.labels.encode(training[1])
        self.shares: list[float] = (np.bincount(targets, minlength=len(names)) / len(targets)).tolist()
        self.training = self._batches(training, shuffle=True, seed=seed)
        self.validation = self._batches(validation)
        self.test = self._batches(test)

    def _batches(self, part: Part, shuffle: bool = False, seed: int = 0) -> LengthGroups:
        settings = self.settings
        return LengthGroups(
            self.vocabulary.encode(part[0], maxlen=settings.maxlen, truncating=settings.truncating),
            self.labels.encode(part[1]),
            batch_size=settings.batch_size if shuffle else _BATCH_TO_READ,
            shuffle=shuffle,
            seed=seed,
            padding=settings.padding,
            grouped=settings.grouped,
        )
