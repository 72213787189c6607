"""Recordings as a training takes them."""

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import Recordings, read_sound, resample
from nabi.errors import ArgumentError, ShapeError
from nabi.models._sequences._samples import SequenceSamples

__all__ = ["ENDING", "SoundSamples", "listen", "read_samples", "with_ending"]

ENDING = 0.2
"""Seconds of silence that a recogniser hears after a recording."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SoundSamples(SequenceSamples):
    """Recordings of one rate: each an array `[N]` from -1 to 1."""

    rate: int = 0
    """Samples per second."""


def with_ending(samples: SoundSamples) -> SoundSamples:
    """Return recordings and silence after them: a network that reads forwards says a word after its end."""
    silence = np.zeros(round(ENDING * samples.rate), np.float32)
    return replace(samples, inputs=[np.concatenate([one, silence]) for one in samples.inputs])


def read_samples(
    recordings: Any, labels: Any, rate: int | None, groups: Any, wanted: int | None
) -> tuple[SoundSamples, list[Any]]:
    """Return recordings at one rate, and the labels, as they were given or as the recordings have them.

    Args:
        recordings: `Recordings`, or a list of files, or of arrays `[N]`.
        labels: one for each; None with `Recordings`.
        rate: samples per second of arrays.
        groups: of each, or None.
        wanted: samples per second wanted; None for those of the recordings.

    Raises:
        ArgumentError, ShapeError: for something else, naming the recording.
        MissingFileError, FileFormatError: for a file that is not there or cannot be read.
    """
    if isinstance(recordings, Recordings):
        if labels is not None or groups is not None or rate is not None:
            raise ArgumentError("labels, groups, rate: expected None, the recordings have them")
        rate, labels, groups = recordings.rate, recordings.labels, recordings.groups
        names: Sequence[str] = [str(path) for path in recordings.files]
        arrays, skipped = recordings.samples, recordings.skipped
        if wanted is not None and wanted != rate:
            arrays = [resample(one, rate, wanted) for one in arrays]
    else:
        if labels is None:
            raise ArgumentError("labels: expected one for each recording, got None")
        names, arrays, rate = listen(recordings, rate, wanted)
        skipped = ()
    found = SoundSamples(
        list(arrays),
        None,
        tuple(names),
        None if groups is None else _groups(groups),
        tuple(skipped),
        wanted or rate,
    )
    if not len(found):
        raise ArgumentError("recordings: expected at least one, got none")
    if isinstance(labels, str) or not isinstance(labels, Sequence | np.ndarray):
        raise ArgumentError(f"labels: expected a list, got {_checks.short(labels)}")
    return found, list(labels)


def listen(recordings: Any, rate: int | None, wanted: int | None) -> tuple[list[str], list[Samples], int]:
    """Return names, samples at the rate wanted, and that rate; the first file's rate where none is wanted.

    Raises:
        ArgumentError, ShapeError: for what are neither files nor arrays, arrays without a rate, values that
            are not finite, and recordings without samples.
        MissingFileError, FileFormatError: for a file that is not there or cannot be read.
    """
    if isinstance(recordings, str | os.PathLike) or not isinstance(recordings, Sequence | np.ndarray):
        raise ArgumentError(
            f"recordings: expected a list of files or of arrays [N], got {_checks.short(recordings)}"
        )
    if rate is not None:
        rate = _checks.whole("rate", rate, otherwise=" or None")
    names: list[str] = []
    arrays: list[Samples] = []
    for number, one in enumerate(recordings):
        if isinstance(one, str | os.PathLike):
            sound = read_sound(Path(one), wanted)
            wanted = sound.rate
            names.append(str(one))
            arrays.append(sound.samples)
            continue
        name = f"recordings[{number}]"
        if rate is None:
            raise ArgumentError("rate: expected samples per second of the arrays, got None")
        array = _checked(name, one)
        wanted = wanted or rate
        names.append(name)
        arrays.append(array if wanted == rate else resample(array, rate, wanted))
    if wanted is None:
        raise ArgumentError("recordings: expected at least one, got none")
    return names, arrays, wanted


def _checked(name: str, values: Any) -> Samples:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name}: expected samples [N], got rows of several lengths") from None
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ShapeError(f"{name}: expected numbers [N] of one channel, got {array.dtype} {array.shape}")
    if array.dtype.kind in "iu":
        raise ArgumentError(
            f"{name}: expected real numbers from -1 to 1, got {array.dtype}; divide 16-bit samples by 32768"
        )
    if not len(array):
        raise ArgumentError(f"{name}: expected samples, got a recording of length 0")
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name}: expected finite samples, got NaN or infinity")
    return array.astype(np.float32)


def _groups(groups: Any) -> tuple[Hashable, ...]:
    if isinstance(groups, str) or not isinstance(groups, Sequence | np.ndarray):
        raise ArgumentError(f"groups: expected a list or None, got {_checks.short(groups)}")
    return tuple(groups)
