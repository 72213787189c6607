"""Figures of logits that are computed often, while something is chosen: fast, and from arrays alone."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Scores", "balanced_weights", "loss_of", "margin_of", "rate_rows"]

Floats = npt.NDArray[np.floating[Any]]
_DRAWS = 200


class Scores(NamedTuple):
    """Figures from 0 to 1."""

    main: float
    """The accuracy; with several labels at once, the F1 of all decisions together."""
    macro_f1: float
    """Mean of the F1 of all labels that are there or said."""


def said_of(logits: Floats, several: bool) -> npt.NDArray[np.int64]:
    """Return the label that each row is given `[N]`; with several at once 0 or 1 for each `[N, labels]`."""
    return (logits >= 0).astype(np.int64) if several else logits.argmax(1)


def rate_rows(logits: Floats, truth: npt.NDArray[Any], several: bool) -> Scores:
    """Compare logits `[N, labels]` with the right labels `[N]`, or 0 and 1 for each `[N, labels]`."""
    counts = _counts(said_of(logits, several), truth, logits.shape[1])
    found = counts.sum(0)
    return Scores(float(_f1(found.sum(0))), float(_macro(found)))


def _counts(said: npt.NDArray[Any], truth: npt.NDArray[Any], labels: int) -> npt.NDArray[np.float64]:
    """Return for each row and label: rightly said, there, said `[N, labels, 3]`."""
    if said.ndim == 1:
        each = np.eye(labels)
        said, truth = each[said], each[truth.astype(np.int64)]
    return np.stack([said * truth, truth, said], -1).astype(np.float64)


def _f1(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    right, there, said = np.moveaxis(counts, -1, 0)
    f1: npt.NDArray[np.float64] = 2 * right / np.maximum(there + said, 1)
    return f1


def _macro(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean over labels of `[..., labels, 3]`, without those that are neither there nor said."""
    present = counts[..., 1:].sum(-1) > 0
    mean: npt.NDArray[np.float64] = _f1(counts).sum(-1) / np.maximum(present.sum(-1), 1)
    return mean


def loss_of(logits: Floats, truth: npt.NDArray[Any], several: bool) -> float:
    """Return the mean cross-entropy, as if a row of N + 2 had each label alike.

    By that, N rows that are all right do not ask for probabilities of 1 (Laplace's rule of succession).
    """
    logits = logits.astype(np.float64)
    doubt = 1 / (len(logits) + 2)
    if several:
        wanted = truth * (1 - doubt) + doubt / 2
        return float((np.logaddexp(0, logits) - wanted * logits).mean())
    highest = logits.max(1, keepdims=True)
    total = np.log(np.exp(logits - highest).sum(1)) + highest[:, 0]
    said = (1 - doubt) * logits[np.arange(len(logits)), truth] + doubt * logits.mean(1)
    return float((total - said).mean())


def margin_of(first: Floats, second: Floats, truth: npt.NDArray[Any], several: bool) -> Scores:
    """Return the standard error of the difference of two scores on the same rows, by drawing rows anew."""
    draw = np.random.default_rng(0)
    one, other = (_counts(said_of(logits, several), truth, logits.shape[1]) for logits in (first, second))
    count, labels, _ = one.shape
    flat = np.concatenate([one, other], -1).reshape(count, -1)
    gaps = []
    for _ in range(_DRAWS):
        times = np.bincount(draw.integers(count, size=count), minlength=count).astype(np.float64)
        found = (times @ flat).reshape(labels, 6)
        sums = found.sum(0)
        gaps.append((_f1(sums[:3]) - _f1(sums[3:]), _macro(found[:, :3]) - _macro(found[:, 3:])))
    main, macro_f1 = np.std(gaps, 0).tolist()
    return Scores(main, macro_f1)


def balanced_weights(targets: npt.NDArray[Any], labels: int) -> npt.NDArray[np.float32]:
    """Return the weight of each label, so that all labels together weigh the same, and a row 1 on average."""
    counts = np.bincount(targets, minlength=labels)
    present = int((counts > 0).sum())
    weights: npt.NDArray[np.float32] = (len(targets) / (present * np.maximum(counts, 1))).astype(np.float32)
    return weights
