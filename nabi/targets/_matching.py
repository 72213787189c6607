"""Reading equations in any order of terms and factors, to find those of another library in them."""

from collections.abc import Iterator

from nabi.ir import Node

__all__ = ["commuted", "terms"]


def commuted(node: Node, operation: str) -> Iterator[tuple[Node, Node]]:
    """Return the arguments of an operation that commutes, in both orders; none of another operation."""
    if node.operation == operation:
        first, second = node.arguments
        yield first, second
        if first is not second:
            yield second, first


def terms(node: Node) -> list[Node]:
    """Return the terms of a sum, however it is bracketed; a node that is no sum is its only term."""
    if node.operation != "add":
        return [node]
    return [term for argument in node.arguments for term in terms(argument)]
