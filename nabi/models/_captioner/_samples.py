"""Pictures and captions as a training takes them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi.data import Vocabulary, fit_images, keep_readable
from nabi.errors import ArgumentError, ShapeError

__all__ = ["CaptionSamples", "check_captions", "check_images", "read_samples"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CaptionSamples:
    """Pictures with their captions, in the order of each other."""

    images: Pixels
    captions: list[str]
    skipped: tuple[str, ...] = ()
    """What is wrong with each that was passed over."""

    def __len__(self) -> int:
        return len(self.captions)

    def take(self, rows: npt.NDArray[np.int64]) -> "CaptionSamples":
        """Return some of them."""
        return CaptionSamples(self.images[rows], [self.captions[row] for row in rows], self.skipped)

    def divided(self, share: float, seed: int) -> tuple["CaptionSamples", "CaptionSamples"]:
        """Return what is learnt from, and a share of the pictures, each with all its captions, held out.

        Raises:
            ArgumentError: for a share that cannot be or leaves nothing to learn from.
        """
        _checks.rate("validation_share", share)
        numbers: dict[bytes, int] = {}
        pictures = np.array([numbers.setdefault(image.tobytes(), len(numbers)) for image in self.images])
        count = round(share * len(numbers))
        if share and (not count or count == len(numbers)):
            raise ArgumentError(
                f"validation_share: {share} of {len(numbers)} pictures cannot be held out; take another "
                "share, 0 for none"
            )
        held = np.random.default_rng(seed).permutation(len(numbers))[:count]
        out = np.isin(pictures, held)
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))

    def encode(self, vocabulary: Vocabulary) -> list[Tensor]:
        """Return the codes of each caption: START, its words, and START again, which says that it ended."""
        return [
            torch.from_numpy(np.append(codes, Vocabulary.START).astype(np.int64))
            for codes in vocabulary.encode(self.captions)
        ]


def check_images(images: Any, size: int) -> Pixels:
    """Return pictures, which are arrays or files, in one size.

    Raises:
        ArgumentError, ShapeError: for what are no pictures.
        MissingFileError, FileFormatError: for a file that is not there or no picture.
    """
    from nabi.data import read_image

    paths = _as_paths(images)
    if paths is None:
        return fit_images(images, size)
    pictures = [read_image(path, size) for path in paths]
    return np.stack(pictures) if pictures else np.empty((0, size, size, 3), np.uint8)


def read_samples(name: str, images: Any, captions: Any, size: int) -> CaptionSamples:
    """Return pictures with captions; files that cannot be read are passed over, unless they are half or more.

    Raises:
        ArgumentError, ShapeError: for what are no pictures or captions, none of them, or not as many of one
            as of the other; for a caption with nothing in it.
    """
    texts = check_captions(captions)
    paths = _as_paths(images)
    count = len(paths) if paths is not None else _count(images)
    if count >= 0 and count != len(texts):
        raise ArgumentError(f"{name}: {count} pictures and {len(texts)} captions were given")
    if not texts:
        raise ArgumentError(f"{name}: expected at least one image with a caption, got none")
    for row, text in enumerate(texts):
        if not text.strip():
            raise ArgumentError(f"captions[{row}]: expected text, got an empty string")
    if paths is None:
        return CaptionSamples(fit_images(images, size), texts)
    kept = keep_readable(paths, texts, size, name)
    return CaptionSamples(kept.images, kept.captions, kept.skipped)


def check_captions(captions: Any) -> list[str]:
    """Return captions as a list of texts.

    Raises:
        ArgumentError: for something else.
    """
    if isinstance(captions, str) or not isinstance(captions, Sequence | np.ndarray):
        raise ArgumentError(f"captions: expected a list of texts, got {captions!r}")
    for row, text in enumerate(captions):
        if not isinstance(text, str):
            raise ArgumentError(f"captions[{row}]: expected a text, got {text!r}")
    return [str(text) for text in captions]


def _count(images: Any) -> int:
    """How many pictures there are; -1 where that cannot be known."""
    return len(images) if hasattr(images, "__len__") and np.ndim(images) else -1


def _as_paths(images: Any) -> list[Path] | None:
    """Names of files, if that is what was given."""
    if isinstance(images, str | os.PathLike):
        raise ArgumentError(f"images: expected a list of files or an array, got {os.fspath(images)!r}")
    if isinstance(images, np.ndarray) and images.dtype.kind != "U":
        return None
    if isinstance(images, Sequence | np.ndarray):
        named = [isinstance(one, str | os.PathLike) for one in images]
        if all(named):
            return [_checks.path(f"images[{place}]", one) for place, one in enumerate(images)]
        if any(named):
            raise ArgumentError("images: expected file names only or arrays only, got both")
        try:
            shapes = {np.shape(one) for one in images}
        except ValueError:
            raise ShapeError("images: expected an array or files, got rows of several lengths") from None
        if len(shapes) > 1:
            raise ShapeError(f"images: expected images of one shape, or files, got {len(shapes)} shapes")
    return None
