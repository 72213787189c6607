"""Splitting samples into a training part and a held-out part."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["stratified_split"]

Indices = npt.NDArray[np.int64]


@public
def stratified_split(labels: Any, share: float, *, seed: int = 0) -> tuple[Indices, Indices]:
    """Split samples so that every class has about the same share in both parts.

    Args:
        labels: of N samples: one each, `[N]` of any hashable values; or several each, `[N, C]` of 0 and 1 or
            a list of lists.
        share: of the samples to hold out, between 0 and 1.
        seed: of the choice; the same seed gives the same parts.

    Returns the indices of the samples kept and of those held out, each in ascending order.

    A class with at least two samples is in both parts, so with many small classes more than `share` is held
    out; a class with a single sample is kept. Samples with several labels are assigned rarest label first,
    each to the part that needs more of that label (Sechidis, Tsoumakas and Vlahavas 2011, "On the
    stratification of multi-label data"); if labels occur together, a label with few samples may still end up
    in only one part.

    Raises `ArgumentError` for fewer than two samples, a share that is not between 0 and 1, a negative seed,
    and if every class has one sample, so that nothing can be held out.

    >>> kept, held_out = stratified_split(["a", "b", "a", "b", "a", "a"], 0.4)
    >>> len(kept), len(held_out)
    (3, 3)
    """
    share = _checks.real("share", share, above=0, below=1)
    seed = _checks.seed("seed", seed)
    rows = _rows(labels)
    if len(rows) < 2:
        raise ArgumentError(f"labels: expected at least two, got {len(rows)}")
    random = np.random.default_rng(seed)
    if all(len(row) == 1 for row in rows):
        held_out = _one_label(rows, share, random)
    else:
        held_out = _several_labels(rows, share, random)
    if not held_out.any():
        raise ArgumentError("labels: expected a class with two samples or more, got one of each")
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _rows(labels: Any) -> list[tuple[Hashable, ...]]:
    """Return the labels of each sample; samples without labels form a class of their own."""
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ArgumentError(f"labels: expected a label for each sample, got {labels!r}")
    array = labels if isinstance(labels, np.ndarray) else None
    if array is None and hasattr(labels, "__array__"):
        array = np.asarray(labels)
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array is not None and array.ndim not in (1, 2):
        raise ArgumentError(f"labels: expected the shape [N] or [N, C], got {array.shape}")
    if array is not None and array.ndim == 2:
        return [tuple(np.flatnonzero(row).tolist()) or (None,) for row in array]
    rows = []
    for position, value in enumerate(list(labels) if array is None else array.tolist()):
        if isinstance(value, set | frozenset):
            # The order of a set of strings differs between processes.
            value = sorted(value, key=str)
        several = isinstance(value, list | tuple)
        try:
            rows.append(tuple(dict.fromkeys(value)) or (None,) if several else (value,))
            hash(rows[-1])
        except TypeError:
            raise ArgumentError(f"labels[{position}]: expected a label, got {value!r}") from None
    return rows


def _wanted(count: int, share: float) -> int:
    """Return how many of a class with `count` samples to hold out."""
    return 0 if count < 2 else min(max(round(count * share), 1), count - 1)


def _samples_of(rows: list[tuple[Hashable, ...]]) -> dict[Hashable, list[int]]:
    samples: dict[Hashable, list[int]] = {}
    for position, row in enumerate(rows):
        for label in row:
            samples.setdefault(label, []).append(position)
    return samples


def _one_label(
    rows: list[tuple[Hashable, ...]], share: float, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    held_out = np.zeros(len(rows), dtype=bool)
    for samples in _samples_of(rows).values():
        held_out[random.permutation(samples)[: _wanted(len(samples), share)]] = True
    return held_out


def _several_labels(
    rows: list[tuple[Hashable, ...]], share: float, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    held_out = np.zeros(len(rows), dtype=bool)
    left = {label: set(samples) for label, samples in _samples_of(rows).items()}
    # How many samples of each label each part still wants; negative once it has too many.
    wants = {label: _wanted(len(samples), share) for label, samples in left.items()}
    keeps = {label: len(samples) - wants[label] for label, samples in left.items()}
    wants_any, keeps_any = len(rows) * share, len(rows) * (1 - share)
    while left:
        rarest = min(left, key=lambda label: len(left[label]))
        for sample in random.permutation(sorted(left[rarest])):
            hold = (wants[rarest], wants_any) > (keeps[rarest], keeps_any)
            held_out[sample] = hold
            for label in rows[sample]:
                (wants if hold else keeps)[label] -= 1
                if label in left:
                    left[label].discard(int(sample))
            wants_any, keeps_any = wants_any - hold, keeps_any - (not hold)
        left = {label: samples for label, samples in left.items() if samples}
    return held_out
