"""Measurement in turns: nabi, a peer, nabi, the next peer, ... round after round."""

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

    Every peer's turn is between two of `own`. The order of the peers rotates by one in each round, so that no
    peer always follows the same other one.

    Args:
        turn: runs a seat for a while and returns the times of its calls.
        own: the reference for all others.
        peers: the others.
        rounds: number of turns of each peer.
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
