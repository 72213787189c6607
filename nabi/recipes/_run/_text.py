"""How the recipes for text turn it into batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nabi.data import Labels, LengthGroups, Vocabulary, stratified_split
from nabi.models import Sequential

__all__ = ["Corpus", "Network", "Part", "Settings", "hold_out"]

Part = tuple[Sequence[str], Sequence[str]]
"""Texts, and the name of the label of each."""
Network = Callable[[int, int], Sequential]
"""Makes a network for so many words and so many labels."""

_BATCH_TO_READ = 256  # texts at a time where nothing is learned from them


@dataclass(frozen=True)
class Settings:
    """How texts become batches, and when to stop learning from them."""

    words: int
    """Codes at most, the four reserved ones among them; the most frequent words have them."""
    maxlen: int
    """Codes of a text at most; the rest is cut off."""
    batch_size: int
    learning_rate: float
    patience: int
    """Epochs without improvement before the training stops."""
    decay: float = 1.0
    """What the learning rate is multiplied by after each epoch."""
    monitor: str = "val_accuracy"
    """What has to improve, measured on the validation part."""
    validation_share: float = 0.1
    """Of the training part, where the data have no validation part of their own."""
    truncating: str = "post"
    """Which end of a long text is cut off."""
    unit: str = "words"
    """What has a code: "words", "characters", or "pieces" of words."""
    minimum_count: int = 2
    """Words seen less often are unknown words: so a network learns what one is like."""
    grouped: bool = True
    """Whether a batch has texts of like length, padded to its own longest; if not, to the longest of all."""
    padding: str = "post"
    """Where a short text is filled with zeros."""


def hold_out(part: Part, share: float, seed: int) -> tuple[Part, Part]:
    """Divide a part into what is kept and a share that is held out, of every label as much."""
    texts, labels = part
    kept, held_out = (
        ([texts[row] for row in rows], [labels[row] for row in rows])
        for rows in stratified_split(labels, share, seed=seed)
    )
    return kept, held_out


class Corpus:
    """Texts as batches of codes: what is learned from, what says when to stop, and what is looked at once.

    The vocabulary is learned from the training part alone: a word that is only elsewhere is unknown.
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
