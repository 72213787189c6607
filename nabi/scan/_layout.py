"""From a batch with lengths, masks, resets, reversal or packed data to packed rows, and back."""

from functools import lru_cache

import torch
from torch import Tensor

from nabi.targets import Rows

__all__ = ["batch_rows", "from_rows", "packed_rows", "to_rows"]


def batch_rows(
    batch: int,
    time: int,
    *,
    mask: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
    device: torch.device,
) -> Rows:
    """Lay out a batch `[B, T]`.

    Args:
        batch, time: B and T.
        mask: `[B, T]`, whether a step is valid, or None when all are.
        resets: `[B, T]`, whether the state becomes zero before a step, or None.
        reverse: from the last step to the first.
        truncate: length of the pieces between which gradients are cut, or None.
        device: where index tensors go.
    """
    if mask is not None and bool(mask.all()):
        mask = None
    plain = mask is None and not reverse and resets is None and (truncate is None or truncate >= time)
    if plain:
        return _plain(batch, time)
    if mask is None:
        mask = torch.ones((batch, time), dtype=torch.bool, device=device)
    valid = (mask.flip(1) if reverse else mask).nonzero()
    sequence, step = valid[:, 0], valid[:, 1]
    if reverse:
        step = time - 1 - step
    counts = mask.sum(1)
    order: Tensor | None = torch.argsort(counts, descending=True, stable=True)
    return _rows(sequence, step, counts, order, time, resets, reverse, truncate, stride=time)


def packed_rows(batch_sizes: Tensor, *, reverse: bool, device: torch.device) -> Rows:
    """Lay out packed data whose step k has `batch_sizes[k]` rows, as in PackedSequence."""
    active = batch_sizes.tolist()
    batch = active[0] if active else 0
    if not reverse:
        if all(size == batch for size in active):
            return _plain(batch, len(active))
        lengths = _lengths(batch_sizes)
        offsets = torch.cumsum(batch_sizes, 0) - batch_sizes
        sequence = torch.cat([torch.arange(size) for size in active])
        step = torch.repeat_interleave(torch.arange(len(active)), batch_sizes)
        before = torch.where(step > 0, batch + offsets[(step - 1).clamp(min=0)] + sequence, sequence)
        return Rows(active, batch, previous=before.to(device))
    lengths = _lengths(batch_sizes)
    offsets = torch.cumsum(batch_sizes, 0) - batch_sizes
    sequence = torch.repeat_interleave(torch.arange(batch), lengths)
    first = torch.cumsum(lengths, 0) - lengths
    rank = torch.arange(len(sequence)) - first[sequence]
    step = lengths[sequence] - 1 - rank
    rows = _rows(sequence, step, lengths, torch.arange(batch), len(active), None, True, None, stride=0)
    # Sequences come from the longest to the shortest already, and rows lie where packing put them.
    by_row = torch.argsort(rank * batch + sequence)
    place = offsets[step[by_row]] + sequence[by_row]
    return Rows(rows.active, batch, None, place.to(device), _to(rows.previous, device))


def to_rows(values: Tensor, rows: Rows) -> Tensor:
    """Bring a batch `[B, T, width]`, or packed data `[N, width]`, into rows `[N, width]`."""
    if values.dim() == 2:
        return values if rows.place is None else values.index_select(0, rows.place)
    batch, time, width = values.shape
    if rows.place is None:
        return values.transpose(0, 1).reshape(batch * time, width)
    return values.reshape(batch * time, width).index_select(0, rows.place)


def from_rows(values: Tensor, rows: Rows, shape: torch.Size) -> Tensor:
    """Bring rows back to a batch `[B, T, width]`, zero where a step is not valid, or to packed data."""
    if rows.place is None:
        if len(shape) == 2:
            return values
        return values.view(shape[1], shape[0], values.shape[1]).transpose(0, 1)
    count = shape[0] * shape[1] if len(shape) == 3 else shape[0]
    target = values.new_zeros((count, values.shape[1])).index_copy_(0, rows.place, values)
    return target.view(*shape[:-1], values.shape[1])


@lru_cache(maxsize=256)
def _plain(batch: int, time: int) -> Rows:
    return Rows([batch] * time, batch)


def _lengths(batch_sizes: Tensor) -> Tensor:
    """Length of each sequence, the longest first."""
    batch = int(batch_sizes[0]) if len(batch_sizes) else 0
    return (batch_sizes[:, None] > torch.arange(batch)[None, :]).sum(0)


def _rows(
    sequence: Tensor,
    step: Tensor,
    counts: Tensor,
    order: Tensor | None,
    time: int,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
    stride: int,
) -> Rows:
    """Sort the valid steps (given sequence by sequence, in the order of computation) into rows."""
    assert order is not None
    batch, count, device = len(counts), len(sequence), counts.device
    rank_of = torch.empty_like(order)
    rank_of[order] = torch.arange(batch, device=device)
    first = torch.cumsum(counts, 0) - counts
    rank = torch.arange(count, device=device) - first[sequence]
    by_row = torch.argsort(rank * max(batch, 1) + rank_of[sequence])
    active = torch.bincount(rank).tolist() if count else []
    offsets = torch.tensor([0, *active], device=device).cumsum(0)
    k, column = rank[by_row], rank_of[sequence[by_row]]
    previous = torch.where(k > 0, batch + offsets[(k - 1).clamp(min=0)] + column, column)
    zero = cut = None
    if resets is not None or truncate is not None:
        zero, cut = _cuts(sequence, step, rank, time, resets, reverse, truncate)
        zero, cut = (zero[by_row] if zero is not None else None), cut[by_row]
    place = sequence[by_row] * stride + step[by_row]
    in_order = bool((order == torch.arange(batch, device=device)).all())
    even = all(size == batch for size in active)
    return Rows(active, batch, None if in_order else order, place, None if even else previous, zero, cut)


def _cuts(
    sequence: Tensor,
    step: Tensor,
    rank: Tensor,
    time: int,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
) -> tuple[Tensor | None, Tensor]:
    """Where the state becomes zero before a step, and where gradients are cut before it."""
    before = torch.cat((step[:1], step[:-1]))
    zero = None
    cut = torch.zeros_like(step, dtype=torch.bool)
    if resets is not None:
        # In reverse a reset of step t lies between t and the step that is computed after it.
        zero = (rank > 0) & resets[sequence, before] if reverse else resets[sequence, step]
        cut = cut | zero
    if truncate is not None:
        start = torch.where(rank > 0, before, torch.full_like(step, time - 1 if reverse else 0))
        cut = cut | (start // truncate != step // truncate)
    return zero, cut


def _to(values: Tensor | None, device: torch.device) -> Tensor | None:
    return values if values is None else values.to(device)
