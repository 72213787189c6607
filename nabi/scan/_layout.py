"""From a batch with lengths, masks, resets, reversal or packed data to packed rows, and back."""

from functools import lru_cache

import torch
from torch import Tensor

from nabi.targets import Rows

__all__ = ["batch_rows", "from_rows", "hand_out", "packed_rows", "to_rows"]


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
    if resets is None and (truncate is None or truncate >= time):
        if mask is not None:
            return _uncut(mask, reverse)
        return _reversed(batch, time, device) if reverse else _plain(batch, time)
    if mask is None:
        mask = torch.ones((batch, time), dtype=torch.bool, device=device)
    valid = (mask.flip(1) if reverse else mask).nonzero()
    sequence, step = valid[:, 0], valid[:, 1]
    if reverse:
        step = time - 1 - step
    counts = mask.sum(1)
    return _rows(sequence, step, counts, time, resets, reverse, truncate)


def packed_rows(batch_sizes: Tensor, *, reverse: bool, device: torch.device) -> Rows:
    """Lay out packed data whose step k has `batch_sizes[k]` rows, as in PackedSequence."""
    active = batch_sizes.tolist()
    batch = active[0] if active else 0
    if not reverse:
        return Rows(active, batch)
    # Turned round, every sequence still has as many steps, so the sizes stay: only places change.
    lengths = (batch_sizes[:, None] > torch.arange(batch)[None, :]).sum(0)
    offsets = torch.cumsum(batch_sizes, 0) - batch_sizes
    sequence = torch.cat([torch.arange(size) for size in active]) if active else lengths
    rank = torch.repeat_interleave(torch.arange(len(active)), batch_sizes)
    place = offsets[lengths[sequence] - 1 - rank] + sequence
    return Rows(active, batch, place=place.to(device))


def to_rows(values: Tensor, rows: Rows) -> Tensor:
    """Bring a batch `[B, T, width]`, or packed data `[N, width]`, into rows `[N, width]`."""
    if values.dim() == 2:
        return values if rows.place is None else values.index_select(0, rows.place)
    batch, time, width = values.shape
    if rows.place is None:
        if batch == 1:
            return values.view(time, width) if values.is_contiguous() else values.reshape(time, width)
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


def hand_out(values: Tensor, rows: Rows, shape: torch.Size) -> Tensor:
    """As `from_rows`, but never a view: rows that need no copy are given in a tensor of the same memory.

    autograd forbids changing a view that a function made, and a view would keep its graph alive for ever.
    """
    if rows.place is not None:
        return from_rows(values, rows, shape)
    width = values.shape[1]
    size, stride = (shape[0], width), (width, 1)
    if len(shape) == 3:
        size, stride = (shape[0], shape[1], width), (width, shape[0] * width, 1)  # type: ignore[assignment]
    return values.new_empty(0).set_(values.untyped_storage(), 0, size, stride)


@lru_cache(maxsize=256)
def _plain(batch: int, time: int) -> Rows:
    return Rows([batch] * time, batch)


@lru_cache(maxsize=16)
def _reversed(batch: int, time: int, device: torch.device) -> Rows:
    with torch.inference_mode(False):
        return _uncut(torch.ones((batch, time), dtype=torch.bool, device=device), reverse=True)


def _uncut(mask: Tensor, reverse: bool) -> Rows:
    """Lay out the valid steps where the states of a sequence go on from its first step to its last."""
    batch, time = mask.shape
    counts = mask.sum(1)
    order = torch.argsort(counts, descending=True, stable=True)
    sizes = counts[order]
    ranks = torch.arange(int(sizes[0]) if batch else 0, device=mask.device).unsqueeze(1)
    valid = ranks < sizes
    ranks = sizes - 1 - ranks if reverse else ranks
    if not bool((mask[:, 1:] <= mask[:, :-1]).all()):
        # Which step is the first valid one of a sequence, the second, ...
        place = torch.where(mask, mask.cumsum(1) - 1, time)
        steps = torch.arange(time, device=mask.device).expand(batch, time)
        table = steps.new_empty(batch, time + 1).scatter_(1, place, steps)
        ranks = table[order].t().gather(0, ranks.clamp(min=0).expand(valid.shape))
    place = (order * time + ranks)[valid]
    in_order = bool((order == torch.arange(batch, device=mask.device)).all())
    return Rows(valid.sum(1).tolist(), batch, None if in_order else order, place)


def _rows(
    sequence: Tensor,
    step: Tensor,
    counts: Tensor,
    time: int,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
) -> Rows:
    """Sort the valid steps (given sequence by sequence, in the order of computation) into rows."""
    batch, count, device = len(counts), len(sequence), counts.device
    order = torch.argsort(counts, descending=True, stable=True)
    rank_of = torch.empty_like(order)
    rank_of[order] = torch.arange(batch, device=device)
    first = torch.cumsum(counts, 0) - counts
    rank = torch.arange(count, device=device) - first[sequence]
    by_row = torch.argsort(rank * max(batch, 1) + rank_of[sequence])
    active = torch.bincount(rank).tolist() if count else []
    zero = cut = None
    if resets is not None or truncate is not None:
        zero, cut = _cuts(sequence, step, rank, time, resets, reverse, truncate)
        zero, cut = (zero[by_row] if zero is not None else None), cut[by_row]
    place = sequence[by_row] * time + step[by_row]
    in_order = bool((order == torch.arange(batch, device=device)).all())
    return Rows(active, batch, None if in_order else order, place, zero, cut)


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
