"""What one part outside the loop computes that a later part needs as well."""

from collections.abc import Iterable
from functools import lru_cache

from nabi.ir import LEAVES, Node

__all__ = ["computed", "shared"]

_FREE = frozenset({"view", "expand", "part", "constant", "matrix"})


def computed(wanted: Iterable[Node], there: Iterable[Node]) -> dict[int, Node]:
    """Return the values that are computed for these, by index, where others are there."""
    known = {node.index for node in there}
    found: dict[int, Node] = {}
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node.index not in known and node.index not in found and node.operation not in LEAVES:
            found[node.index] = node
            waiting.extend(node.arguments)
    return found


@lru_cache(maxsize=512)
def shared(
    there: tuple[Node, ...], wanted: tuple[Node, ...], later: tuple[Node, ...], until: tuple[Node, ...]
) -> tuple[Node, ...]:
    """Return the wanted values, and what is computed for them and would be computed once more.

    Args:
        there: what is there.
        wanted: what is computed next.
        later: what is computed after that.
        until: what will be there in the meantime.
    """
    now = computed(wanted, there)
    then = computed(later, (*there, *wanted, *until))
    read = {node.index for node in later}
    read.update(a.index for i, node in then.items() if i not in now for a in node.arguments)
    both = {i: node for i, node in now.items() if i in then and i in read and node.operation not in _FREE}
    found = {node.index: node for node in wanted}
    return (*wanted, *(both[i] for i in sorted(both) if i not in found))
