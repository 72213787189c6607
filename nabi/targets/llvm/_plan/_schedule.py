"""The order of a step's native computations: passes over tiles of units, and what runs along whole rows.

A pass computes all values of one width for one tile of units at a time: the products that are ready, in
registers, then the values that follow from them. A value needs a later pass if it reads a product whose
operand must be complete first (`W (r ∘ h)` after `r`), a reduction over the units, or a value whose units
read other units (a cumulative sum): these two run row by row between passes. Sums of products share
one accumulator. A value of an earlier pass is stored for a later one, or recomputed if that is cheaper.

A step and its derivative are scheduled alike; they differ in the values available before the first pass.
"""

from collections.abc import Callable, Sequence

from nabi._once import cached_property
from nabi._record import record
from nabi.ir import LEAVES, OPERATIONS, Node

__all__ = [
    "Pass", "Reductions", "Schedule", "Sum", "is_across", "is_cheap", "is_product", "is_reduction",
    "make_schedule",
]  # fmt: skip


@record
class Sum:
    """Products that are summed in one accumulator.

    Attributes:
        node: the node whose value is the accumulator plus `others`.
        terms: pairs (matrix, operand); for a transposed product, the operand is a cotangent.
        others: further terms of the sum.
    """

    node: Node
    terms: tuple[tuple[Node, Node], ...]
    others: tuple[Node, ...]

    @property
    def transposed(self) -> bool:
        """Whether the matrices of the products are transposed."""
        return any(operand.reads_cotangent for _, operand in self.terms)


class Pass:
    """The computations for one width once all earlier ones are complete.

    Attributes:
        level: its position in the order.
        width: the width of all values computed in it.
        sums: the accumulators.
        stores: nodes whose values are stored.
    """

    def __init__(self, level: int, width: int) -> None:
        self.level, self.width = level, width
        self.sums: list[Sum] = []
        self.stores: list[Node] = []

    @property
    def operands(self) -> list[Node]:
        """The operands of the products, each once, in order."""
        found: dict[int, Node] = {}
        for total in self.sums:
            for _, operand in total.terms:
                found.setdefault(operand.index, operand)
        return list(found.values())


@record
class Reductions:
    """Reductions over units, and values whose units read other units, computed together row by row before the
    passes of their level.
    """

    level: int
    nodes: tuple[Node, ...]


@record
class Schedule:
    """Passes and reductions in order.

    Attributes:
        order: passes and reductions in execution order.
        stored: nodes that a pass stores for a later one, in the order found.
        at_hand: whether a node is available without computation.
        sums: accumulators by the index of their node.
        levels: the level of every node that is computed.
    """

    order: tuple[Pass | Reductions, ...]
    stored: tuple[Node, ...]
    at_hand: Callable[[Node], bool]
    sums: dict[int, Sum]
    levels: dict[int, int]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes without the reductions."""
        return tuple(item for item in self.order if isinstance(item, Pass))

    @cached_property
    def _stored(self) -> frozenset[int]:
        return frozenset(node.index for node in self.stored)

    def is_loaded(self, node: Node, level: int, between: bool = False) -> bool:
        """Tell whether a value is loaded rather than computed.

        Args:
            node: the value.
            level: the level that reads it.
            between: whether reductions read it, which run before the passes of their level.
        """
        if self.at_hand(node) or is_reduction(node) or is_across(node):
            return True
        return node.index in self._stored and (between or self.levels[node.index] < level)

    def loaded(self, roots: Sequence[Node], level: int, between: bool = False) -> list[Node]:
        """Return what is loaded to compute `roots`: leaves too, but not the operands of products."""
        found: dict[int, Node] = {}
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            if node.index in seen:
                continue
            seen.add(node.index)
            if self.is_loaded(node, level, between):
                found[node.index] = node
            else:
                total = self.sums.get(node.index)
                waiting.extend(total.others if total is not None else node.arguments)
        return [found[i] for i in sorted(found)]

    def read(self) -> list[Node]:
        """Return everything that is loaded for any pass or reduction, operands of products included."""
        found: dict[int, Node] = {}
        for item in self.order:
            if isinstance(item, Pass):
                nodes = [*self.loaded(item.stores, item.level), *item.operands]
            else:
                roots = [argument for node in item.nodes for argument in node.arguments]
                nodes = self.loaded(roots, item.level, between=True)
            found.update((node.index, node) for node in nodes)
        return [found[i] for i in sorted(found)]


def is_product(node: Node) -> bool:
    """Tell whether a node is a linear map or the transposed one of a derivative."""
    return node.operation in ("linear", "linear_transposed")


def is_cheap(node: Node) -> bool:
    """Tell whether recomputing a node costs less than storing it."""
    return node.operation in OPERATIONS and OPERATIONS[node.operation].cheap


def is_reduction(node: Node) -> bool:
    """Tell whether a node is one number per row, computed from all units."""
    return node.operation in OPERATIONS and OPERATIONS[node.operation].reduction


def is_across(node: Node) -> bool:
    """Tell whether the units of a node read other units of its argument, as those of a cumulative sum do."""
    return node.operation in OPERATIONS and OPERATIONS[node.operation].across is not None


def make_schedule(roots: Sequence[Node], at_hand: Callable[[Node], bool]) -> Schedule:
    """Order the computation of `roots`.

    Args:
        roots: nodes whose values must be stored (new states, saved values, cotangents).
        at_hand: whether a node's value can be loaded before the first pass (leaves always can).
    """

    def known(node: Node) -> bool:
        return node.operation in LEAVES or at_hand(node)

    nodes = _computed(roots, known)
    sums, inner = _sums(nodes, roots)
    levels: dict[int, int] = {}
    for node in nodes:
        if node.index not in inner:
            levels[node.index] = _level(node, sums, levels, at_hand)
    walk = _Walk(known, sums, levels)
    for root in roots:
        walk.leave(root)
    for total in sums.values():
        for _, operand in total.terms:
            if not known(operand) and not (is_across(operand) and not operand.reads_cotangent):
                walk.leave(operand)
    for node in nodes:
        if is_reduction(node) or is_across(node):
            walk.reduce(node)
    return Schedule(walk.order(), tuple(walk.stored.values()), known, sums, levels)


def _computed(roots: Sequence[Node], known: Callable[[Node], bool]) -> list[Node]:
    found: dict[int, Node] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if not known(node) and node.index not in found:
            found[node.index] = node
            waiting.extend(node.arguments)
    return [found[i] for i in sorted(found)]


def _sums(nodes: list[Node], roots: Sequence[Node]) -> tuple[dict[int, Sum], set[int]]:
    """Find the sums of products, and the nodes that have no separate value because of them."""
    uses: dict[int, int] = {root.index: 1 for root in roots}
    for node in nodes:
        for argument in node.arguments:
            uses[argument.index] = uses.get(argument.index, 0) + 1
    sums: dict[int, Sum] = {}
    inner: set[int] = set()
    for node in nodes:
        if is_product(node):
            pairs = tuple(zip(node.arguments[::2], node.arguments[1::2], strict=True))
            sums[node.index] = Sum(node, pairs, ())
        elif node.operation == "add" and node.width is not None:
            first, second = node.arguments
            mergeable = [
                a for a in (first, second) if first is not second and a.index in sums and uses[a.index] == 1
            ]
            if len(mergeable) == 2 and sums[first.index].transposed != sums[second.index].transposed:
                mergeable.pop()
            if not mergeable:
                continue
            others = tuple(a for a in (first, second) if all(a is not part for part in mergeable))
            parts = [sums.pop(a.index) for a in mergeable]
            inner.update(a.index for a in mergeable)
            terms = tuple(term for part in parts for term in part.terms)
            rest = tuple(other for part in parts for other in part.others)
            sums[node.index] = Sum(node, terms, rest + others)
    return sums, inner


def _level(node: Node, sums: dict[int, Sum], levels: dict[int, int], at_hand: Callable[[Node], bool]) -> int:
    total = sums.get(node.index)
    if total is not None:
        # A separate pass stores a new state's cotangent where products read it, unless it is already there.
        ready = [
            levels.get(operand.index, 0) + 1
            for _, operand in total.terms
            if operand.index in levels or (operand.operation == "cotangent" and not at_hand(operand))
        ]
        return max([0, *ready, *(levels.get(other.index, 0) for other in total.others)])
    highest = max((levels.get(argument.index, 0) for argument in node.arguments), default=0)
    return highest + 1 if is_reduction(node) or is_across(node) else highest


class _Walk:
    """Collects passes by walking from the stored values to their operands."""

    def __init__(self, known: Callable[[Node], bool], sums: dict[int, Sum], levels: dict[int, int]) -> None:
        self.known, self.sums, self.levels = known, sums, levels
        self.passes: dict[tuple[int, int], Pass] = {}
        self.reductions: dict[int, list[Node]] = {}
        self.stored: dict[int, Node] = {}
        self._seen: set[tuple[int, int]] = set()

    def leave(self, node: Node) -> None:
        """Record that a node's value must be stored by its pass."""
        level = self.levels.get(node.index, 0)
        if node.width is None:
            self._read(node, level)
            return
        found = self._pass(level, node.width)
        if all(node is not stored for stored in found.stores):
            found.stores.append(node)
            self._read(node, level)

    def reduce(self, node: Node) -> None:
        """Record a reduction and its operands; a value with units is stored."""
        level = self.levels[node.index]
        if is_across(node):
            self.stored[node.index] = node
        self.reductions.setdefault(level, []).append(node)
        for argument in node.arguments:
            # A reduction runs between two passes and can read only the values that they store.
            self._read(argument, level, inside=False)

    def _pass(self, level: int, width: int) -> Pass:
        return self.passes.setdefault((level, width), Pass(level, width))

    def _read(self, node: Node, level: int, inside: bool = True) -> None:
        between = is_reduction(node) or is_across(node)
        if self.known(node) or between or (node.index, level) in self._seen:
            return
        here = self.levels[node.index] == level and inside
        total = self.sums.get(node.index)
        if total is not None and here:
            self._seen.add((node.index, level))
            self._pass(level, total.node.width or 1).sums.append(total)
            for other in total.others:
                self._read(other, level)
        elif total is None and (here or is_cheap(node) or node.width is None):
            if inside:
                self._seen.add((node.index, level))
            for argument in node.arguments:
                self._read(argument, level, inside)
        elif node.index not in self.stored:
            self.stored[node.index] = node
            self.leave(node)

    def order(self) -> tuple[Pass | Reductions, ...]:
        """Return everything in order."""
        items: list[Pass | Reductions] = [
            Reductions(level, tuple(nodes)) for level, nodes in self.reductions.items()
        ]
        items.extend(self.passes.values())
        return tuple(sorted(items, key=lambda item: (item.level, isinstance(item, Pass))))
