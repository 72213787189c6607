"""Measuring in turns: nabi, a peer, nabi, the next peer, ... round after round."""

import statistics
from collections.abc import Callable, Sequence

from benchmarks.layers.crew import Seat, Turns

__all__ = ["alternate"]


def alternate(
    turn: Callable[[Seat], Sequence[float]],
    own: Seat,
    peers: Sequence[Seat],
    rounds: int,
) -> dict[Seat, Turns]:
    """Let `own` and each of the peers take turns.

    Every peer's turn stands between two of `own`. The order of the peers moves on by one in each round, so
    that none always comes after the same other one.

    Args:
        turn: lets a seat work for a while and returns the times of its calls.
        own: who all the others are compared with.
        peers: the others.
        rounds: how many times each peer has its turn.
    """
    found = {peer: Turns() for peer in peers}
    before = statistics.median(turn(own))
    for number in range(rounds):
        start = number % len(peers) if peers else 0
        for peer in (*peers[start:], *peers[:start]):
            theirs = statistics.median(turn(peer))
            after = statistics.median(turn(own))
            found[peer].peer.append(theirs)
            found[peer].own.append((before, after))
            before = after
    return found
