"""Sequences of different lengths in one array."""

from collections.abc import Iterable, Sized
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError

__all__ = ["pad_sequences"]


@public
def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float | str = 0.0,
) -> npt.NDArray[Any]:
    """Pad or cut sequences to one length, `[B, maxlen]` or, for steps with features, `[B, maxlen, ...]`.

    Args:
        sequences: B sequences, each a list or array of steps.
        maxlen: the common length; that of the longest by default.
        dtype: of the result. For text, `object` or a string dtype.
        padding: `"pre"` fills a short sequence at its beginning, `"post"` at its end.
        truncating: `"pre"` cuts a long sequence at its beginning, `"post"` at its end.
        value: the padding value.

    The arguments are those of Keras. Raises `UnknownNameError` for an unknown `padding` or `truncating`,
    `ArgumentError` for something that is not a list of sequences, for text in an array of numbers, and for
    an unknown `dtype`, `ShapeError` if steps have different features.

    >>> pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", truncating="post", value=-1)
    array([[ 1,  2],
           [ 4, -1]], dtype=int32)
    """
    for argument, side in (("padding", padding), ("truncating", truncating)):
        _checks.choice(argument, side, ("pre", "post"))
    if maxlen is not None:
        maxlen = _checks.whole("maxlen", maxlen, 0, otherwise=" or None")
    if isinstance(sequences, str) or not isinstance(sequences, Iterable):
        raise ArgumentError(f"sequences: expected a list of sequences, got {sequences!r}")
    every = list(sequences)
    for position, sequence in enumerate(every):
        if not isinstance(sequence, Sized):
            raise ArgumentError(f"sequences[{position}]: expected a sequence, got {sequence!r}")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ArgumentError(f"dtype: expected a NumPy type such as 'int32', got {dtype!r}") from None
    if isinstance(value, str) and kind.kind not in "OU":
        raise ArgumentError(f"value: expected a number of {kind}, got {value!r}; text needs dtype=object")

    length = max((len(sequence) for sequence in every), default=0) if maxlen is None else maxlen
    features = next((np.asarray(sequence).shape[1:] for sequence in every if len(sequence)), ())
    try:
        with np.errstate(invalid="raise"):
            padded = np.full((len(every), length, *features), value, dtype=kind)
    except (TypeError, ValueError, OverflowError, FloatingPointError):
        raise ArgumentError(f"value: expected one that fits {kind}, got {_checks.short(value)}") from None
    for position, sequence in enumerate(every):
        if not len(sequence) or not length:
            continue
        kept = sequence[-length:] if truncating == "pre" else sequence[:length]
        try:
            steps = np.asarray(kept, dtype=kind)
        except (TypeError, ValueError, OverflowError) as problem:
            raise ArgumentError(f"sequences[{position}]: expected numbers of {kind}, got {problem}") from None
        if steps.shape[1:] != features:
            raise ShapeError(
                f"sequences[{position}]: expected steps of shape {features} as in the first sequence, "
                f"got {steps.shape[1:]}"
            )
        if padding == "post":
            padded[position, : len(steps)] = steps
        else:
            padded[position, -len(steps) :] = steps
    return padded
