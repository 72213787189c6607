"""The loops of a step of one head: values of the same shape share a loop where they can.

A value is *kept* if it lies in memory: inputs of the loop, states, and what another loop reads. Cheap values
of large shapes are not kept but computed again by every loop that reads them, and views and broadcasts are
only other ways to look at a value.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from nabi.ir import Node
from nabi.targets.llvm._heads._shapes import PRODUCTS, REDUCTIONS, Heads

__all__ = ["Loop", "Schedule", "is_item", "make_schedule", "reads_of", "source_of"]

_LIGHT = frozenset(
    {
        "add",
        "sub",
        "mul",
        "neg",
        "select",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
    }
)
_LARGE = 2
"""Axes of a head's share from which on cheap values are computed again instead of kept."""


@dataclass(eq=False)
class Loop:
    """One loop nest over a shape.

    Attributes:
        shape: what it runs over.
        items: the values that it computes, in order; a reduction runs over the shape of its argument.
        product: of products of weights, what they multiply, and no loop nest: those of one value are one.
    """

    shape: tuple[int, ...]
    items: list[Node] = field(default_factory=list)
    product: int | None = None


@dataclass(frozen=True, eq=False)
class Schedule:
    """The loops of a step.

    Attributes:
        loops: in order.
        given: values that lie in memory before the first loop.
        kept: values that a loop writes to memory.
    """

    heads: Heads
    loops: tuple[Loop, ...]
    given: frozenset[int]
    kept: frozenset[int]

    def is_item(self, node: Node) -> bool:
        """Return whether a loop computes a value by itself."""
        return is_item(node, self.heads, self.given)


def source_of(node: Node, given: Container[int] = ()) -> Node:
    """Return the value in whose memory a view looks; the value itself if it is no view, or is given."""
    while node.operation == "view" and node.index not in given:
        node = node.arguments[0]
    return node


def is_item(node: Node, heads: Heads, given: frozenset[int]) -> bool:
    """Return whether a value gets a place in a loop, rather than being computed where it is read."""
    if node.index in given or node.operation in ("constant", "view", "expand"):
        return False
    light = node.operation in _LIGHT and len(heads.shape(node)) >= _LARGE
    return not light


def make_schedule(heads: Heads, wanted: Sequence[Node], given: frozenset[int]) -> Schedule:
    """Divide what the wanted values need into loops.

    Args:
        heads: how values are divided.
        wanted: values that must be in memory afterwards: no views, and none that is given.
        given: values in memory, by index.
    """
    forced = {node.index for node in wanted}
    nodes = _needed(wanted, given)

    def item(node: Node) -> bool:
        return node.index not in given and (node.index in forced or is_item(node, heads, given))

    # What is read other than number by number in its own loop must be kept.
    kept = set(forced)
    for node in nodes:
        for argument in node.arguments:
            if argument.operation in ("constant", "matrix") or argument.index in given:
                continue
            if node.operation in ("expand", "part", *PRODUCTS) or (
                node.operation == "view" and heads.shape(node) != heads.shape(argument)
            ):
                found = source_of(argument, given)
                if found.index not in given:
                    kept.add(found.index)
    items = [node for node in nodes if item(node) or node.index in kept]
    chosen = {node.index for node in items}
    loops: list[Loop] = []
    ready: dict[int, int] = {}
    own: dict[int, int] = {}
    for node in items:
        over_argument = node.operation in REDUCTIONS or node.operation == "pad"
        product = _product(node)
        shape = () if product is not None else heads.shape(node.arguments[0] if over_argument else node)
        first = 0
        for read, alike in _reads(node, heads, chosen, given):
            if read.index not in chosen:
                continue
            same = alike and read.index in own and loops[own[read.index]].shape == shape
            first = max(first, own[read.index] if same else ready[read.index])
        fits = (i for i in range(first, len(loops)) if (loops[i].shape, loops[i].product) == (shape, product))
        place = next(fits, None)
        if place is None:
            place = len(loops)
            loops.append(Loop(shape, product=product))
        loops[place].items.append(node)
        ready[node.index] = place + 1
        if node.operation not in REDUCTIONS and node.operation != "pad" and product is None:
            own[node.index] = place
    # Also kept: what another loop reads, and results of reductions.
    where = {node.index: i for i, loop in enumerate(loops) for node in loop.items}
    for i, loop in enumerate(loops):
        for node in loop.items:
            if node.operation in REDUCTIONS or node.operation == "pad" or loop.product is not None:
                kept.add(node.index)
            for read, alike in _reads(node, heads, chosen, given):
                if read.index in chosen and (where[read.index] != i or not alike):
                    kept.add(read.index)
    return Schedule(heads, tuple(loops), given, frozenset(kept))


def reads_of(node: Node, schedule: Schedule) -> list[tuple[Node, bool]]:
    """Return what an item reads from memory or from its own loop, and whether number by number."""
    chosen = {item.index for loop in schedule.loops for item in loop.items}
    return _reads(node, schedule.heads, chosen, schedule.given)


def _reads(node: Node, heads: Heads, chosen: set[int], given: frozenset[int]) -> list[tuple[Node, bool]]:
    """Return the values in memory or in loops that a value reads, and whether number by number."""
    found: list[tuple[Node, bool]] = []
    plain = node.operation not in ("part", *PRODUCTS)
    waiting = [(one, plain and not _is_spread(one, node, heads)) for one in node.arguments]
    while waiting:
        read, alike = waiting.pop()
        if read.operation in ("constant", "matrix"):
            continue
        if read.index in chosen or read.index in given or not read.arguments:
            found.append((read, alike))
            continue
        if read.operation == "view":
            same = heads.shape(read) == heads.shape(read.arguments[0])
            waiting.append((read.arguments[0], alike and same))
        elif read.operation == "expand":
            waiting.append((read.arguments[0], False))
        else:
            waiting.extend((one, alike and not _is_spread(one, read, heads)) for one in read.arguments)
    return found


def _is_spread(argument: Node, node: Node, heads: Heads) -> bool:
    """Return whether a value reads one number for all places of a vector."""
    return heads.is_number(argument) and heads.shape(node) != ()


def _product(node: Node) -> int | None:
    """Return by what a product of weights shares a pass with others, None if it is none."""
    if node.operation not in PRODUCTS:
        return None
    return node.arguments[1].index if node.operation == "linear" else node.index


def _needed(wanted: Iterable[Node], given: frozenset[int]) -> list[Node]:
    found: dict[int, Node] = {}
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node.index in found or node.index in given or node.operation in ("constant", "matrix"):
            continue
        found[node.index] = node
        waiting.extend(node.arguments)
    return [found[index] for index in sorted(found)]
