"""DNA made by a hidden Markov model: sequences with a label for every base, whose best reading is known.

Because the model that made a sequence is known, the forward-backward algorithm gives the exact probability of
each label at each base. Nothing that sees the sequence alone can be right more often than the most probable
label: a network's distance from that is its distance from the optimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._dna._bases import DNA_LETTERS, encode_dna
from nabi.errors import ArgumentError, ShapeError

__all__ = ["HiddenMarkovDNA", "MadeDNA", "cpg_islands", "split_genes"]

_Array = npt.NDArray[np.float64]
_ONE = 1e-8  # how far probabilities may be from a sum of one


@dataclass(frozen=True)
class MadeDNA:
    """Sequences of one length that were made, and the label of every base."""

    sequences: list[str]
    labels: list[list[str]]


@dataclass(frozen=True)
class HiddenMarkovDNA:
    """A hidden Markov model of DNA (Rabiner 1989, "A tutorial on hidden Markov models").

    Attributes:
        starts: `[S]`, probability of each state at the first base.
        moves: `[S, S]`, from the state of the row to that of the column.
        bases: `[S, 4]`, probability of A, C, G and T in each state.
        labels: of each state; several states may have the same.

    >>> model = cpg_islands()
    >>> made = model.make(2, 50, seed=1)
    >>> len(made.sequences), len(made.labels[0])
    (2, 50)
    >>> model.label_names
    ('island', 'other')
    >>> model.posterior(made.sequences).shape
    (2, 50, 2)
    """

    starts: _Array
    moves: _Array
    bases: _Array
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        states = len(self.labels)
        for name, shape in (("starts", (states,)), ("moves", (states, states)), ("bases", (states, 4))):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            if given.shape != shape:
                raise ShapeError(f"{name}: expected the shape {shape}, got {given.shape}")
            if not (np.all(given >= 0) and np.allclose(given.sum(-1), 1, atol=_ONE, rtol=0)):
                raise ArgumentError(f"{name}: expected probabilities that sum to 1, got {given.tolist()}")
            object.__setattr__(self, name, given)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The different labels, in alphabetical order."""
        return tuple(sorted(set(self.labels)))

    @public
    def make(self, count: int, length: int, *, seed: int = 0) -> MadeDNA:
        """Return so many sequences of so many bases; the same seed gives the same ones."""
        count, length = _checks.whole("count", count), _checks.whole("length", length)
        random = np.random.default_rng(_checks.seed("seed", seed))
        states = np.empty((count, length), dtype=np.int64)
        letters = np.empty((count, length), dtype=np.int64)
        to_state, to_base = self.moves.cumsum(1), self.bases.cumsum(1)
        for step in range(length):
            borders = self.starts.cumsum()[None] if step == 0 else to_state[states[:, step - 1]]
            states[:, step] = _drawn(random, borders, count)
            letters[:, step] = _drawn(random, to_base[states[:, step]], count)
        names = np.array(self.labels)
        return MadeDNA(
            ["".join(DNA_LETTERS[code] for code in row) for row in letters],
            [row.tolist() for row in names[states]],
        )

    @public
    def posterior(self, sequences: Sequence[str]) -> _Array:
        """Return the probability of each label at each base, given the whole sequence: forward-backward.

        Args:
            sequences: N texts of the bases A, C, G and T, all of the same length T.

        Returns `[N, T, labels]`, the labels in the order of `label_names`.

        Raises:
            ArgumentError: for other letters, different lengths, and a sequence that the model cannot make.
        """
        codes = _same_length(sequences)
        emitted = self.bases.T[codes]  # [N, T, S]
        count, length, states = emitted.shape
        before = np.empty_like(emitted)
        now = np.broadcast_to(self.starts, (count, states))
        for step in range(length):
            now = (now if step == 0 else now @ self.moves) * emitted[:, step]
            total = now.sum(1, keepdims=True)
            if not np.all(total > 0):
                number = int(np.flatnonzero(total[:, 0] == 0)[0])
                raise ArgumentError(f"sequences[{number}]: this model cannot make the base {step + 1}")
            now = before[:, step] = now / total
        after = np.ones((count, states))
        found = np.empty_like(emitted)
        for step in reversed(range(length)):
            found[:, step] = before[:, step] * after
            after = (after * emitted[:, step]) @ self.moves.T
            after /= after.sum(1, keepdims=True)
        found /= found.sum(2, keepdims=True)
        return np.stack(
            [found[..., [one == name for one in self.labels]].sum(2) for name in self.label_names], axis=2
        )

    @public
    def best_labels(self, sequences: Sequence[str]) -> list[list[str]]:
        """Return the most probable label of every base; no reader of the sequences is right more often."""
        names = np.array(self.label_names)
        return [row.tolist() for row in names[self.posterior(sequences).argmax(2)]]


def _drawn(random: np.random.Generator, borders: _Array, count: int) -> npt.NDArray[np.int64]:
    """Return a state or base for each row whose probabilities add up to these borders."""
    found: npt.NDArray[np.int64] = (random.random((count, 1)) >= borders).sum(1)
    return found.clip(max=borders.shape[1] - 1)


def _same_length(sequences: Any) -> npt.NDArray[np.uint8]:
    if isinstance(sequences, str) or not len(sequences):
        raise ArgumentError(f"sequences: expected a list of texts, got {_checks.short(sequences)}")
    codes = [encode_dna(one) for one in sequences]
    if len({len(one) for one in codes}) > 1 or not len(codes[0]):
        lengths = sorted({len(one) for one in codes})
        raise ArgumentError(
            f"sequences: expected texts of one length, got lengths from {lengths[0]} to {lengths[-1]}"
        )
    stacked = np.stack(codes)
    if stacked.max() > 3:
        raise ArgumentError("sequences: expected the bases A, C, G and T, got an ambiguity code")
    return stacked


# Models -----------------------------------------------------------------------------------------------------


@public
def cpg_islands(*, leave_island: float = 0.01, enter_island: float = 0.0025) -> HiddenMarkovDNA:
    """Return the model of CpG islands of Durbin et al. (1998), "Biological sequence analysis", section 3.2.

    In an island and outside, each base follows the one before with other probabilities: C is seldom followed
    by G outside. The eight states are a base inside or outside.

    Args:
        leave_island: probability at each base of an island that the next is outside; islands have a mean
            length of its reciprocal.
        enter_island: probability at each base outside that the next is in an island.

    Raises `ArgumentError` for a probability that is not between 0 and 1.
    """
    leave = _checks.real("leave_island", leave_island, above=0, below=1)
    enter = _checks.real("enter_island", enter_island, above=0, below=1)
    inside = np.array(
        [
            [0.180, 0.274, 0.426, 0.120],
            [0.171, 0.368, 0.274, 0.187],
            [0.161, 0.339, 0.375, 0.125],
            [0.079, 0.355, 0.384, 0.182],
        ]
    )
    outside = np.array(
        [
            [0.300, 0.205, 0.285, 0.210],
            [0.322, 0.298, 0.078, 0.302],
            [0.248, 0.246, 0.298, 0.208],
            [0.177, 0.239, 0.292, 0.292],
        ]
    )
    # The next base is drawn from the table of where it will be.
    moves = np.block([[(1 - leave) * inside, leave * outside], [enter * inside, (1 - enter) * outside]])
    share = enter / (enter + leave)
    starts = np.concatenate([np.full(4, share / 4), np.full(4, (1 - share) / 4)])
    bases = np.concatenate([np.eye(4), np.eye(4)])
    return HiddenMarkovDNA(starts, moves, bases, ("island",) * 4 + ("other",) * 4)


# A donor site, an acceptor site and the codons of an exon, as probabilities of A, C, G and T. They resemble
# human genes in their tendencies; the numbers are round and made up.
_DONOR = (
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
    (0.6, 0.05, 0.3, 0.05),
    (0.7, 0.1, 0.1, 0.1),
    (0.1, 0.05, 0.8, 0.05),
)
_PYRIMIDINES = ((0.1, 0.35, 0.1, 0.45),) * 6
_ACCEPTOR = (*_PYRIMIDINES, (0.05, 0.7, 0.0, 0.25), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
_CODON = ((0.28, 0.24, 0.33, 0.15), (0.3, 0.24, 0.2, 0.26), (0.14, 0.34, 0.33, 0.19))
_INTRON = (0.28, 0.19, 0.2, 0.33)


@public
def split_genes(*, end_exon: float = 0.02, end_intron: float = 0.02) -> HiddenMarkovDNA:
    """Return a model of genes that are split: exons of codons, and introns between a donor and an acceptor.

    The labels are "exon", "intron" and "boundary", the five bases from GT that begin an intron and the nine
    up to AG that end it.

    Args:
        end_exon: probability after each base of an exon that an intron begins.
        end_intron: probability after each base of an intron that its acceptor begins.

    Raises `ArgumentError` for a probability that is not between 0 and 1.
    """
    ends_exon = _checks.real("end_exon", end_exon, above=0, below=1)
    ends_intron = _checks.real("end_intron", end_intron, above=0, below=1)
    bases = np.array([*_CODON, *_DONOR, _INTRON, *_ACCEPTOR])
    donor, intron = len(_CODON), len(_CODON) + len(_DONOR)
    acceptor, states = intron + 1, len(bases)
    moves = np.zeros((states, states))
    for place in range(donor):
        moves[place, [(place + 1) % donor, donor]] = 1 - ends_exon, ends_exon
    for place in (*range(donor, intron), *range(acceptor, states - 1)):
        moves[place, place + 1] = 1
    moves[intron, [intron, acceptor]] = 1 - ends_intron, ends_intron
    moves[-1, :donor] = 1 / donor
    starts = np.zeros(states)
    starts[:donor] = 1 / donor
    labels = ("exon",) * donor + ("boundary",) * len(_DONOR) + ("intron",) + ("boundary",) * len(_ACCEPTOR)
    return HiddenMarkovDNA(starts, moves, bases, labels)
