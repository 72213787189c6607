"""Texts as words and pairs of words, or as short runs of characters, weighted by TF-IDF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.data import Vocabulary
from nabi.errors import ArgumentError

__all__ = ["Place", "TextFeatures"]

# Codes of units in a run, and of the aspect before it, are packed into one number, the key of a feature.
_BITS = 16
_MOST_CODES = 1 << _BITS
# The rest of a longer text is not looked at. A feature is in at least this many texts.
_MOST_CHARACTERS = 100_000
_FEWEST_TEXTS = 2

Keys = npt.NDArray[np.int64]


class Place(NamedTuple):
    """A feature at one place of a text, from character `start` to `end`, with its share of the weight."""

    feature: int
    start: int
    end: int
    weight: float


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Which runs of words or characters texts are described by.

    The weight of a run that occurs n times in a text is `(1 + ln n) (1 + ln((1 + N) / (1 + d)))`, where d of
    the N texts learnt from have it; the weights of a text are then divided by the root of their sum of
    squares. Where texts come with an aspect, each run also counts together with its aspect, as a feature of
    its own, and so does the aspect alone.
    """

    vocabulary: Vocabulary
    """The words or characters."""
    runs: tuple[int, ...]
    """Lengths of the runs, such as 1 and 2 for words and pairs of words."""
    aspects: tuple[str, ...] | None
    """Aspects that are known; None where texts come without."""
    keys: Keys
    """Of the features, in ascending order `[F]`."""
    rarity: npt.NDArray[np.float32]
    """Weight of each feature by how few texts have it `[F]`."""

    @classmethod
    def learn(
        cls,
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        *,
        unit: str = "words",
        runs: Sequence[int] = (1, 2),
        most: int = 100_000,
    ) -> Self:
        """Find the features that at least two texts have.

        Args:
            texts: N texts.
            aspects: N texts, what each is asked about.
            unit: "words" or "characters".
            runs: lengths of the runs, up to 4; up to 3 where there are aspects.
            most: features at most; those that most texts have are kept.

        Raises:
            ArgumentError: where no two texts have anything in common.

        >>> features = TextFeatures.learn(["a good film", "a bad film", "good film"])
        >>> sorted(features.name(number) for number in range(len(features)))
        ['a', 'film', 'good', 'good film']
        """
        cut = [_beginning(text) for text in texts]
        vocabulary = Vocabulary.learn(cut, unit, size=_MOST_CODES, minimum_count=_FEWEST_TEXTS)
        known = None if aspects is None else tuple(sorted(set(aspects))[: _MOST_CODES // 2 - 1])
        bare = cls(vocabulary, tuple(runs), known, np.empty(0, np.int64), np.empty(0, np.float32))
        rows, keys = bare._keys(cut, aspects)
        every, column = np.unique(keys, return_inverse=True)
        # Once for each text: the number of texts that have a feature.
        once = np.unique(rows * len(every) + column) if len(every) else np.empty(0, np.int64)
        frequency = np.bincount(once % max(len(every), 1), minlength=len(every))
        kept = np.flatnonzero(frequency >= _FEWEST_TEXTS)
        if not len(kept):
            raise ArgumentError("texts: no two of them have a word in common")
        kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:most]])
        rarity = 1 + np.log((1 + len(texts)) / (1 + frequency[kept]))
        return cls(vocabulary, bare.runs, known, every[kept], rarity.astype(np.float32))

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, feature: int) -> str:
        """Return a feature as text, such as "good film"."""
        key = int(self.keys[feature])
        codes = [key >> shift & _MOST_CODES - 1 for shift in range(_BITS * 3, -1, -_BITS)]
        about = ""
        if self.aspects is not None:
            about = f"{self.aspects[codes[0] - 1]}: " if codes[0] else ""
            codes = codes[1:]
        return about + self.vocabulary.decode([code for code in codes if code])

    def __call__(self, texts: Sequence[str], aspects: Sequence[str] | None = None) -> Tensor:
        """Return the weights of texts, sparse `[N, F]` (COO), float32; a text of unknown words has none."""
        rows, columns, counts = self._counted(texts, aspects)
        values = (1 + np.log(counts)) * self.rarity[columns]
        norms = np.sqrt(np.bincount(rows, values**2, minlength=len(texts)))
        values = (values / norms[rows]).astype(np.float32)
        return torch.sparse_coo_tensor(
            torch.from_numpy(np.stack([rows, columns])),
            torch.from_numpy(values),
            (len(texts), len(self)),
            is_coalesced=True,
            check_invariants=False,
        )

    def places(self, text: str, aspect: str | None = None) -> list[Place]:
        """Return where in a text its features are, whose weights add up to those of the text.

        A feature without a place, the aspect alone, is at the empty place before the text.
        """
        weights = self([text], None if aspect is None else [aspect]).coalesce()
        value = dict(zip(weights.indices()[1].tolist(), weights.values().tolist(), strict=True))
        tokens = self.vocabulary.tokens(_beginning(text))
        found: list[tuple[int, int, int]] = []
        about = self._aspect_code(aspect) << 3 * _BITS
        for first in range(len(tokens)):
            for length in self.runs:
                run = tokens[first : first + length]
                if len(run) == length:
                    key = 0
                    for token in run:
                        key = key << _BITS | token.code
                    found += [(one, run[0].start, run[-1].end) for one in {key, key | about}]
        if about:
            found.append((about, 0, 0))
        numbers = {int(self.keys[feature]): feature for feature in value}
        there = [(numbers[key], start, end) for key, start, end in found if key in numbers]
        times = np.bincount([feature for feature, _, _ in there], minlength=1)
        return [
            Place(feature, start, end, value[feature] / int(times[feature])) for feature, start, end in there
        ]

    def _aspect_code(self, aspect: str | None) -> int:
        if aspect is None or self.aspects is None or aspect not in self.aspects:
            return 0
        return self.aspects.index(aspect) + 1

    def _counted(
        self, texts: Sequence[str], aspects: Sequence[str] | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return text, feature and count of all features in the texts, in ascending order."""
        rows, keys = self._keys(texts, aspects)
        columns = np.searchsorted(self.keys, keys)
        columns[columns == len(self)] = 0
        there = self.keys[columns] == keys
        pairs, counts = np.unique(rows[there] * len(self) + columns[there], return_counts=True)
        return pairs // len(self), pairs % len(self), counts

    def _keys(self, texts: Sequence[str], aspects: Sequence[str] | None) -> tuple[Keys, Keys]:
        """Return the text and the key of every run in the texts whose units are all known."""
        sequences = self.vocabulary.encode([_beginning(text) for text in texts])
        if not sequences:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        # Each begins with START, which no run may contain: so runs end with their text.
        codes = np.concatenate(sequences).astype(np.int64)
        owner = np.repeat(np.arange(len(texts)), [len(sequence) for sequence in sequences])
        known = codes > Vocabulary.SEPARATOR
        rows, keys = [], []
        for length in self.runs:
            count = max(len(codes) - length + 1, 0)
            key, whole = np.zeros(count, np.int64), np.ones(count, bool)
            for place in range(length):
                key = key << _BITS | codes[place : place + count]
                whole &= known[place : place + count]
            rows.append(owner[:count][whole])
            keys.append(key[whole])
        found, packed = np.concatenate(rows), np.concatenate(keys)
        if self.aspects is None or aspects is None:
            return found, packed
        numbers = {aspect: number for number, aspect in enumerate(self.aspects, 1)}
        about = np.array([numbers.get(aspect, 0) for aspect in aspects], np.int64) << 3 * _BITS
        asked = np.flatnonzero(about)
        crossed = about[found] != 0
        return (
            np.concatenate([found, found[crossed], asked]),
            np.concatenate([packed, (packed | about[found])[crossed], about[asked]]),
        )

    # Files --------------------------------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a file holds: a description that JSON can hold, and tensors by name."""
        described = {
            "vocabulary": self.vocabulary.to_dict(),
            "runs": list(self.runs),
            "aspects": None if self.aspects is None else list(self.aspects),
        }
        return described, {"keys": torch.from_numpy(self.keys), "rarity": torch.from_numpy(self.rarity)}

    @classmethod
    def from_file(cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Make the features that `to_file` described.

        Raises:
            ArgumentError, FileFormatError: for something else.
        """
        runs, aspects = described["runs"], described["aspects"]
        if not (isinstance(runs, list) and runs and all(type(run) is int and 1 <= run <= 4 for run in runs)):
            raise ArgumentError(f"runs: expected lengths from 1 to 4, got {repr(runs)[:80]}")
        if aspects is not None and not (
            isinstance(aspects, list)
            and len(aspects) < _MOST_CODES // 2
            and all(isinstance(aspect, str) for aspect in aspects)
        ):
            raise ArgumentError(f"aspects: expected a list of texts or none, got {repr(aspects)[:80]}")
        keys, rarity = tensors["keys"], tensors["rarity"]
        if (keys.dtype, rarity.dtype) != (torch.int64, torch.float32) or not (
            keys.dim() == rarity.dim() == 1 and len(keys) == len(rarity) > 0 and bool((keys.diff() > 0).all())
        ):
            raise ArgumentError("keys, rarity: expected a number for each feature, keys in ascending order")
        vocabulary = Vocabulary.from_dict(described["vocabulary"])
        return cls(
            vocabulary, tuple(runs), None if aspects is None else tuple(aspects), keys.numpy(), rarity.numpy()
        )


def _beginning(text: str) -> str:
    return text[:_MOST_CHARACTERS]
