"""What says which steps of a batch are valid and how a program goes over them, and the rows that follow."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows, remembered, rows_of_lengths, rows_of_mask

__all__ = ["PLAIN", "Layout", "Options", "batch_rows", "mask_of", "packed_rows"]

_REMEMBERED = 1 << 17
"""Steps of a batch up to which its layout is kept for the next one with the same lengths."""


@dataclass(frozen=True)
class Options:
    """How a program is run over time; see `nabi.scan.scan`."""

    reverse: bool = False
    truncate: int | None = None
    all_states: bool = False
    recompute: int | None = None
    only_finals: bool = False

    def kept(self, program: Program) -> tuple[int, ...]:
        """The states whose value at every step is returned; none with `only_finals`."""
        if self.only_finals:
            return ()
        return tuple(range(len(program.state_names))) if self.all_states else (0,)


PLAIN = Options()


@dataclass(frozen=True, eq=False)
class Layout:
    """What says which steps are valid: at most one of `mask`, `batch_sizes` and `lengths`.

    With `alike` the initial states of all sequences are the same, so that their order does not matter.
    """

    mask: Tensor | None
    resets: Tensor | None
    batch_sizes: Tensor | None
    lengths: tuple[int, ...] | None = None
    alike: bool = False

    @property
    def is_full(self) -> bool:
        """Whether every sequence of a batch has every step, from its first to its last."""
        given = self.mask, self.resets, self.batch_sizes, self.lengths
        return all(one is None for one in given)

    def mask_for(self, x: Tensor) -> Tensor | None:
        """The mask `[B, T]` of a batch, from lengths where these were given."""
        return self.mask if self.lengths is None else mask_of(self.lengths, x.shape[1], x.device)

    def rows(self, x: Tensor, options: Options) -> Rows:
        """The rows in which a batch `[B, T, D]`, or packed data `[N, D]`, is computed."""
        if self.batch_sizes is not None:
            return packed_rows(self.batch_sizes, reverse=options.reverse, device=x.device)
        return batch_rows(
            x.shape[0], x.shape[1], mask=self.mask, resets=self.resets, reverse=options.reverse,
            truncate=options.truncate, device=x.device, lengths=self.lengths,
        )  # fmt: skip


def batch_rows(
    batch: int,
    time: int,
    *,
    mask: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
    device: torch.device,
    lengths: tuple[int, ...] | None = None,
) -> Rows:
    """Lay out a batch `[B, T]`.

    Args:
        batch, time: B and T.
        mask: `[B, T]`, whether a step is valid, or None when all are.
        resets: `[B, T]`, whether the state becomes zero before a step, or None.
        reverse: from the last step to the first.
        truncate: length of the pieces between which gradients are cut, or None.
        device: where index tensors go.
        lengths: how many steps of each sequence are valid, the first ones; instead of `mask`.
    """
    if resets is None and (truncate is None or truncate >= time):
        if mask is not None:
            return _of_mask(mask, reverse)
        return _of_lengths((time,) * batch if lengths is None else lengths, time, reverse, device)
    if lengths is not None:
        mask = mask_of(lengths, time, device)
    if mask is None:
        mask = torch.ones((batch, time), dtype=torch.bool, device=device)
    valid = (mask.flip(1) if reverse else mask).nonzero()
    sequence, step = valid[:, 0], valid[:, 1]
    if reverse:
        step = time - 1 - step
    counts = mask.sum(1)
    return _rows(sequence, step, counts, time, resets, reverse, truncate)


def mask_of(lengths: tuple[int, ...], time: int, device: torch.device) -> Tensor:
    """Return the mask `[B, T]` of the first steps of sequences."""
    found: Tensor = torch.arange(time, device=device) < torch.tensor(lengths, device=device)[:, None]
    return found


def packed_rows(batch_sizes: Tensor, *, reverse: bool, device: torch.device) -> Rows:
    """Lay out packed data whose step k has `batch_sizes[k]` rows, as in PackedSequence."""
    active = tuple(batch_sizes.tolist())
    if sum(active) > _REMEMBERED:
        return _packed.__wrapped__(active, reverse, device)
    return _packed(active, reverse, device)


@remembered(at=1)
def _plain(batch: int, time: int) -> Rows:
    return Rows([batch] * time, batch)


@lru_cache(maxsize=8)
def _packed(active: tuple[int, ...], reverse: bool, device: torch.device) -> Rows:
    batch = active[0] if active else 0
    if not reverse:
        return Rows(list(active), batch)
    with torch.inference_mode(False):
        batch_sizes = torch.tensor(active, dtype=torch.int64)
        # Turned round, every sequence still has as many steps, so the sizes stay: only places change.
        lengths = (batch_sizes[:, None] > torch.arange(batch)[None, :]).sum(0)
        offsets = torch.cumsum(batch_sizes, 0) - batch_sizes
        sequence = torch.cat([torch.arange(size) for size in active]) if active else lengths
        rank = torch.repeat_interleave(torch.arange(len(active)), batch_sizes)
        place = offsets[lengths[sequence] - 1 - rank] + sequence
        return Rows(list(active), batch, place=place.to(device))


def _of_lengths(lengths: tuple[int, ...], time: int, reverse: bool, device: torch.device) -> Rows:
    """Lay out the first steps of sequences; what one layer asked for, the next one asks for as well."""
    batch = len(lengths)
    if not reverse and (not batch or min(lengths) == time):
        return _plain(batch, time)
    make = _sorted if batch * time <= _REMEMBERED else _sorted.__wrapped__
    return make(lengths, time, reverse, device)


@lru_cache(maxsize=16)
def _sorted(lengths: tuple[int, ...], time: int, reverse: bool, device: torch.device) -> Rows:
    found = rows_of_lengths(lengths, time, reverse, device)
    if found is not None:
        return found
    # A tensor made in inference mode could not be used outside it.
    with torch.inference_mode(False):
        return _uncut(mask_of(lengths, time, device), reverse)


def _of_mask(mask: Tensor, reverse: bool) -> Rows:
    """Lay out the valid steps that a mask tells, as those of a full batch where all are."""
    found = rows_of_mask(mask, reverse)
    if found is None:
        found = _uncut(mask, reverse)
    if found.count < mask.numel():
        return found
    batch, time = mask.shape
    return _of_lengths((time,) * batch, time, reverse, mask.device)


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
