"""From letters of DNA to vectors: ambiguity, hidden bases, the other strand, words, places."""

import torch
from torch import Tensor

from nabi.data import COMPLEMENT, SHARES, UNKNOWN_BASE
from nabi.models._sequences._fronts import Front

__all__ = ["PLACE_WIDTH", "DNAFront", "other_strand"]

PLACE_WIDTH = 8
"""Features of the vector of a place."""
_BASES = 4


class DNAFront(Front):
    """Gives how much there is of each base, or of each word of several bases, at every step.

    Args:
        size: bases of a word; 1 for single bases.
        centred: whether there is a word for every base, with N beyond both ends, as labels of bases need.
            Otherwise a word begins at every base but the last `size - 1`.
        places: length of the sequences if each place has a vector of its own, else None.
        hidden: share of the bases that are N in training.
        either_strand: whether a sequence is read on a random strand in training.
    """

    shares: Tensor
    complement: Tensor

    def __init__(
        self, *, size: int, centred: bool, places: int | None, hidden: float, either_strand: bool
    ) -> None:
        """Make a front; the vectors of places come from torch's random numbers."""
        super().__init__()
        self.size, self.centred = size, centred
        self.hidden, self.either_strand = hidden, either_strand
        self.width = _BASES**size
        self.register_buffer("shares", torch.tensor(SHARES.tolist()), persistent=False)
        self.register_buffer("complement", torch.tensor(COMPLEMENT.tolist()), persistent=False)
        self.places = None
        if places is not None:
            steps = int(self.frames(torch.tensor(places, device="cpu")))
            self.places = torch.nn.Parameter(torch.randn(steps, PLACE_WIDTH) / 2)
            self.placed = PLACE_WIDTH

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many words sequences of these lengths have; one at least."""
        return lengths if self.centred else (lengths - (self.size - 1)).clamp(min=1)

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return `[B, T', width]` and how many steps of each row count, for codes of letters `[B, T]`."""
        codes = x.long()
        if generator is not None:
            if self.either_strand:
                turned = torch.rand(len(codes), 1, generator=generator) < 0.5
                codes = torch.where(turned, other_strand(codes, lengths, self.complement), codes)
            if self.hidden:
                hidden = torch.rand(codes.shape, generator=generator) < self.hidden
                codes = codes.masked_fill(hidden, UNKNOWN_BASE)
        codes = codes.masked_fill(~_inside(codes, lengths), UNKNOWN_BASE)
        lengths = self.frames(lengths)
        before = (self.size - 1) // 2 if self.centred else 0
        after = self.size - 1 - before if self.centred else max(self.size - codes.shape[1], 0)
        codes = torch.nn.functional.pad(codes, (before, after), value=UNKNOWN_BASE)
        return _words(self.shares[codes], self.size), lengths

    def place(self, x: Tensor) -> Tensor:
        """Put the vector of each place beside what the convolutions have found there."""
        return x if self.places is None else torch.cat([x, self.places.expand(len(x), -1, -1)], 2)


def other_strand(codes: Tensor, lengths: Tensor, complement: Tensor) -> Tensor:
    """Return the reverse complement of each row `[B, T]`; padding stays at the end."""
    places = torch.arange(codes.shape[1])
    turned = (lengths[:, None] - 1 - places).clamp(min=0)
    return torch.where(_inside(codes, lengths), complement[codes.gather(1, turned)], codes)


def _words(bases: Tensor, size: int) -> Tensor:
    """Return `[B, T - size + 1, 4 ** size]` for the shares of bases `[B, T, 4]`."""
    count = bases.shape[1] - (size - 1)
    found = bases[:, :count]
    for place in range(1, size):
        following = bases[:, place : place + count]
        found = (found[:, :, :, None] * following[:, :, None]).flatten(2)
    return found


def _inside(codes: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(codes.shape[1]) < lengths[:, None]
