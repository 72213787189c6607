"""How network and simple model decide together, and how far decisions move towards rare labels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.models._classifier._scores import loss_of, rate_rows

__all__ = ["Decision", "Decisions", "as_logits", "as_probabilities", "has_rare_label"]

Floats = npt.NDArray[np.floating[Any]]

_SHARES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5)
_SHARE_WITHOUT_ROWS = 0.5
_MOVES = tuple(step / 10 for step in range(11))
# What a move may cost of the accuracy, and what it has to add to the macro F1.
_MOST_LOST, _LEAST_GAINED = 0.01, 0.005
# A label is rare if it has less than this part of the rows that it would have if all had as many.
_RARE = 0.1
# Probabilities closer to 1 or 0 are taken to be this close.
_TINY, _LEAST = 1e-7, 1e-30


@dataclass(frozen=True)
class Decision:
    """What is added up to the logits of a label."""

    network: float
    """Share of the network's logits."""
    simple: float
    """Share of the simple model's logits."""
    move: float = 0.0
    """Towards rare labels: 0 leaves probabilities as they are, 1 takes labels to be equally frequent."""

    def logits(self, network: Floats, simple: Floats | None, shares: Floats, several: bool) -> Floats:
        """Return the logits of rows `[N, labels]`.

        Args:
            network: the network's `[N, labels]`.
            simple: the simple model's; None where there is none.
            shares: of the labels among the rows learnt from.
            several: whether a row has several labels at once.
        """
        # Menon and others 2021, "Long-tail learning via logit adjustment", equation 9.
        found = self.network * network - self.move * _log_odds(shares, several)
        return found if simple is None else found + self.simple * simple


@dataclass(frozen=True)
class Decisions:
    """How each decides by itself, and both together; chosen on the validation rows."""

    network: Decision
    simple: Decision | None
    together: Decision
    rare: bool
    """Whether a label is so rare that the macro F1 says more than the accuracy."""

    @classmethod
    def choose(
        cls,
        network: Floats | None,
        simple: Floats | None,
        truth: npt.NDArray[Any] | None,
        shares: Floats,
        *,
        several: bool,
        moving: bool,
        has_simple: bool,
    ) -> Self:
        """Choose by the loss how much both count, then by the macro F1 how far to move.

        Args:
            network: logits of the validation rows `[N, labels]`; None where there are no such rows.
            simple: likewise, of the simple model.
            truth: the right labels.
            shares: of the labels among the rows learnt from.
            several: whether a row has several labels at once.
            moving: whether decisions may move towards rare labels.
            has_simple: whether there is a simple model.
        """
        rare = has_rare_label(shares, several)
        if network is None or truth is None:
            half = Decision(_SHARE_WITHOUT_ROWS, _SHARE_WITHOUT_ROWS)
            alone = Decision(1.0, 0.0)
            return cls(alone, Decision(0.0, 1.0) if has_simple else None, half if has_simple else alone, rare)
        known, right = network, truth

        def moved(one: Decision) -> Decision:
            return _moved(one, known, simple, right, shares, several) if rare and moving else one

        alone = moved(Decision(1.0, 0.0))
        if simple is None:
            return cls(alone, None, alone, rare)
        best = min(
            (Decision(one, other) for one, other in product(_SHARES, _SHARES) if one or other),
            key=lambda one: loss_of(one.logits(known, simple, shares, several), right, several),
        )
        return cls(alone, moved(Decision(0.0, 1.0)), moved(best), rare)

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Make what `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        try:
            three = [described[name] for name in ("network", "simple", "together")]
            network, simple, together = (None if one is None else _decision(one) for one in three)
            rare = described["rare"]
            if network is None or together is None or not isinstance(rare, bool):
                raise ValueError("something is missing")
        except (KeyError, TypeError, ValueError) as problem:
            raise ArgumentError(f"decisions: expected shares and moves ({problem})") from problem
        return cls(network, simple, together, rare)


def _decision(described: Any) -> Decision:
    one = Decision(**described)
    for value in (one.network, one.simple, one.move):
        if type(value) not in (int, float) or not 0 <= value <= max(_SHARES):
            raise ValueError(f"{value!r} is no share")
    return one


def has_rare_label(shares: Floats, several: bool) -> bool:
    """Whether a label has less than a tenth of the rows that it would have if all had as many."""
    equal = 0.5 if several else 1 / len(shares)
    present = shares[shares > 0]
    return bool(len(present)) and float(present.min()) < _RARE * equal


def _moved(
    one: Decision,
    network: Floats,
    simple: Floats | None,
    truth: npt.NDArray[Any],
    shares: Floats,
    several: bool,
) -> Decision:
    """Return the decision with the move that has the best macro F1 without costing much accuracy."""
    tried = [Decision(one.network, one.simple, move) for move in _MOVES]
    scores = [rate_rows(each.logits(network, simple, shares, several), truth, several) for each in tried]
    first = scores[0]
    allowed = [place for place, score in enumerate(scores) if score.main >= first.main - _MOST_LOST]
    best = max(allowed, key=lambda place: scores[place].macro_f1)
    return tried[best] if scores[best].macro_f1 >= first.macro_f1 + _LEAST_GAINED else one


def _log_odds(shares: Floats, several: bool) -> Floats:
    known = shares.astype(np.float64).clip(_LEAST, 1 - _TINY)
    odds: Floats = np.log(known) - np.log1p(-known) if several else np.log(known)
    return odds


def as_logits(probabilities: Floats, several: bool) -> Floats:
    """Return the logits of probabilities: their logarithms, with several labels at once their log-odds."""
    if several:
        return _log_odds(probabilities, True)
    logits: Floats = np.log(probabilities.astype(np.float64).clip(_LEAST, 1))
    return logits


def as_probabilities(logits: Floats, several: bool) -> npt.NDArray[np.float32]:
    """Return the probabilities of logits, softmax or with several labels at once sigmoid."""
    if several:
        found = (1 / (1 + np.exp(-logits))).clip(_LEAST, 1 - _TINY)
    else:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found = powers / powers.sum(1, keepdims=True)
    result: npt.NDArray[np.float32] = found.astype(np.float32)
    return result
