"""Series and their columns, checked; the same for whatever is learnt from them."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nabi.data import is_ts_file
from nabi.errors import ArgumentError, ShapeError
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._series._reading import Series, SeriesColumns

__all__ = ["check_channels", "check_like", "columns_for", "named_columns"]


def named_columns(
    id: str | None,
    time: str | None,
    channels: Sequence[str] | None,
    group: str | None,
    **wanted: str | None,
) -> SeriesColumns | None:
    """Return the columns of a table, None where no table is meant.

    Args:
        id, time, channels, group: columns as `fit` takes them.
        **wanted: the column to learn, by the name of its argument: `label` or `target`.

    Raises:
        ArgumentError: for other columns without `id`.
    """
    [what] = wanted.values()
    if id is None:
        for name, one in {"time": time, "channels": channels, **wanted, "group": group}.items():
            if one is not None:
                raise ArgumentError(f"{name}: it is a column of a table, which needs id as well")
        return None
    return SeriesColumns(id, tuple(channels or ()), time, what, group)


def columns_for(source: Any, columns: SeriesColumns | None) -> SeriesColumns | None:
    """Return the columns where the source is a table, None where it is arrays or a `.ts` file."""
    return columns if isinstance(source, str | os.PathLike) and not is_ts_file(source) else None


def check_channels(samples: SequenceSamples, columns: SeriesColumns | None) -> None:
    """Refuse a channel in which nothing was observed."""
    seen = np.any([(~np.isnan(one)).any(0) for one in samples.inputs], axis=0)
    if not seen.all():
        place = int(np.argmin(seen))
        name = f"channel {place + 1}" if columns is None else f"column {columns.channels[place]}"
        raise ArgumentError(f"{name}: it has no value in any series; leave it out")


def check_like(step: tuple[int, ...], found: Series) -> None:
    """Refuse series whose steps have another shape than those that were learnt from."""
    for name, one in zip(found.names, found.inputs, strict=True):
        if one.shape[1:] != step:
            raise ShapeError(f"{name}: expected {step[0]} channels, as in training, got {one.shape[1]}")
