"""The order of numbers, without sorting: for each two of them, which comes first."""

from nabi.ir import Node
from nabi.ir.functions import equal, less, not_equal, split, vector

__all__ = ["different", "precedes"]


def precedes(a: Node, n: int, *heads: int) -> Node:
    """Return 1 where the second of two numbers comes before the first in ascending order, else 0.

    Equal numbers stay in their order.

    Args:
        a: `n` numbers, for each of the heads if there are any.
        n: how many.
        *heads: 1, where the state has an axis of one head in front.
    """
    earlier = less(_second(_places(n), n, *heads), _first(_places(n), n, *heads))
    one, other = _first(a, n, *heads), _second(a, n, *heads)
    return less(other, one) | (equal(other, one) & earlier)


def different(n: int, *heads: int) -> Node:
    """Return 0 on the diagonal of an n × n matrix, else 1."""
    return not_equal(_first(_places(n), n, *heads), _second(_places(n), n, *heads))


def _places(n: int) -> Node:
    return vector(*map(float, range(n)))


def _first(a: Node, n: int, *heads: int) -> Node:
    return split(a, *heads, n, 1)


def _second(a: Node, n: int, *heads: int) -> Node:
    return split(a, *heads, 1, n)
