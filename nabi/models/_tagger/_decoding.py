"""The best tags of a sentence, of those that mark spans as their scheme does."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["best_tags", "forbidden"]

_NEVER = -1e9


def forbidden(names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return what tags of BIO forbid: `[L]` at the beginning, `[L, L]` after another tag, 0 or very low.

    `I-X` may only follow `B-X` or `I-X`.

    >>> first, after = forbidden(["B-A", "I-A", "O"])
    >>> (first < 0).tolist(), (after < 0)[:, 1].tolist()
    ([False, True, False], [False, False, True])
    """
    first, after = torch.zeros(len(names)), torch.zeros(len(names), len(names))
    for place, name in enumerate(names):
        if name.startswith("I-"):
            first[place] = _NEVER
            for before, other in enumerate(names):
                if other == "O" or other[2:] != name[2:]:
                    after[before, place] = _NEVER
    return first, after


def best_tags(
    scores: Tensor, lengths: Tensor, forbids: tuple[Tensor, Tensor] | None = None
) -> list[list[int]]:
    """Return the tags of each sentence whose scores have the largest sum.

    Args:
        scores: logarithms of probabilities `[B, T, L]`.
        lengths: `[B]`, of the sentences, from 1 to T.
        forbids: of `forbidden`; None where each token's tag is free, so that the most probable one is taken.
            The path is found by dynamic programming (Viterbi 1967).
    """
    sizes = lengths.tolist()
    if forbids is None:
        chosen = scores.argmax(2).tolist()
        return [row[:size] for row, size in zip(chosen, sizes, strict=True)]
    first, after = forbids
    best, froms = scores[:, 0] + first, []
    same = torch.arange(scores.shape[2]).expand(len(scores), -1)
    for step in range(1, scores.shape[1]):
        found, before = (best[:, :, None] + after).max(1)
        inside = (step < lengths)[:, None]
        best = torch.where(inside, found + scores[:, step], best)
        froms.append(torch.where(inside, before, same))
    now = best.argmax(1, keepdim=True)
    path = [now]
    for before in reversed(froms):
        now = before.gather(1, now)
        path.append(now)
    chosen = torch.cat(path[::-1], 1).tolist()
    return [row[:size] for row, size in zip(chosen, sizes, strict=True)]
