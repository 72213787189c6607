"""What the two kernels of a program with heads do: their loops, inputs, outputs and memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nabi._once import cached_property
from nabi.ir import Node, Program
from nabi.native import Machine
from nabi.targets.llvm._heads._places import LOOP, Places, places_of
from nabi.targets.llvm._heads._products import Product, products_of
from nabi.targets.llvm._heads._schedule import Schedule, is_item, make_schedule, reads_of, source_of
from nabi.targets.llvm._heads._shapes import PRODUCTS, REDUCTIONS
from nabi.targets.llvm._plan._tiles import NEAR

__all__ = ["HeadsKernel", "Target", "inputs_of"]

_RING_BYTES = 192 << 10
"""States of a chunk of steps that the backward pass holds at once: they fit into the second-level cache.
Where rows multiply weights together, it is those of one row: longer chunks save more than a nearer cache."""
_CHUNKS = (4, 64)
"""Steps of a chunk, at least and at most."""
_PAD = 16
_TOGETHER, _TOGETHER_FAR = 4, 16
"""Rows of a block that read the weights together: more where these are far away."""


@dataclass(frozen=True)
class Target:
    """Where a wanted value is: in the memory of `root`; or a leaf, or given, which is copied.

    Attributes:
        node: the wanted value.
        root: the value that a loop computes, None to copy.
    """

    node: Node
    root: Node | None


def inputs_of(wanted: Iterable[Node], place: dict[int, str]) -> tuple[Node, ...]:
    """Return the values outside the loop that the loop reads for these."""
    found: dict[int, Node] = {}
    seen: set[int] = set()
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node.index in seen or node.operation in ("constant", "matrix"):
            continue
        seen.add(node.index)
        if place[node.index] != LOOP:
            found[node.index] = node
        else:
            waiting.extend(node.arguments)
    return tuple(found[index] for index in sorted(found))


@dataclass(frozen=True, eq=False, repr=False)
class HeadsKernel:
    """A kernel and its options; batch sizes and lengths are not among them.

    Attributes:
        program: the program.
        dtype: `"float32"` or `"float64"`.
        machine: the machine.
        name: which of the two.
        save: forward, whether states are kept for the backward pass, one of every chunk.
        keep: forward, the read states whose value at every step is returned.
        given: backward, the read states whose values at every step have cotangents.
        zeros: whether states may be reset to zero between steps.
        cuts: backward, whether gradients may be cut between steps.
    """

    program: Program
    dtype: str
    machine: Machine
    name: Literal["forward", "backward"]
    save: bool = False
    keep: tuple[int, ...] = ()
    given: tuple[int, ...] = ()
    zeros: bool = False
    cuts: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """The key of its code."""
        options = (self.save, self.keep, self.given, self.zeros, self.cuts)
        return (f"heads {self.name}", self.program.key, self.dtype, *map(str, options))

    @cached_property
    def places(self) -> Places:
        """What is computed where."""
        return places_of(self.program)

    @property
    def read(self) -> tuple[int, ...]:
        """The states that a step reads."""
        return self.places.forward.read

    @cached_property
    def sizes(self) -> dict[int, int]:
        """Numbers of one head of each state that is read."""
        count = self.places.heads.count
        return {i: self.program.state_widths[i] // count for i in self.read}

    @cached_property
    def leaves(self) -> dict[int, Node]:
        """The states before the step, by index."""
        by_name = {node.name: node for node in self.places.nodes if node.operation == "state"}
        return {i: by_name[self.program.state_names[i]] for i in self.read}

    # Targets ----------------------------------------------------------------------------------------------

    def target(self, node: Node, given: frozenset[int]) -> Target:
        """Return how a wanted value gets into memory."""
        root = source_of(node, given)
        if root.index not in given and root.operation != "constant":
            return Target(node, root)
        return Target(node, node if node is not root and node.index not in given else None)

    # Forward ----------------------------------------------------------------------------------------------

    @cached_property
    def states(self) -> dict[int, Target]:
        """The new states."""
        return {i: self.target(self.places.outputs[i], self._given_forward) for i in self.read}

    @cached_property
    def columns(self) -> tuple[Target, ...]:
        """The values of the loop that are wanted for every row."""
        if self.name == "forward":
            return tuple(self.target(node, self._given_forward) for node in self._wanted_rows)
        return tuple(self.target(node, self._given_backward) for node in self.places.backward.columns)

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The values from outside the loop."""
        if self.name == "forward":
            return inputs_of(self._wanted_forward, self.places.forward.place)
        both = {node.index: node for node in (*self._replay_inputs, *self._inputs_backward)}
        return tuple(both[index] for index in sorted(both))

    @property
    def _wanted_rows(self) -> tuple[Node, ...]:
        forward = self.places.forward
        return forward.left if self.save else forward.columns

    @property
    def _wanted_forward(self) -> list[Node]:
        return [*(self.places.outputs[i] for i in self.read), *self._wanted_rows]

    @cached_property
    def _given_forward(self) -> frozenset[int]:
        inputs = inputs_of(self._wanted_forward, self.places.forward.place)
        return frozenset(node.index for node in (*inputs, *self.leaves.values()))

    @cached_property
    def schedule(self) -> Schedule:
        """The loops of a step, forward or backward."""
        if self.name == "forward":
            targets = [*self.states.values(), *self.columns]
            return make_schedule(self.places.heads, _roots(targets), self._given_forward)
        targets = [*self.cotangents.values(), *self.columns, *self.sums.values()]
        return make_schedule(self.places.heads, _roots(targets), self._given_backward)

    def is_overwritten(self, leaf: Node, root: Node) -> bool:
        """Return whether a loop may write a new state over the old one: nothing reads the old one later."""
        schedule, heads = self.schedule, self.places.heads
        where = {node.index: i for i, loop in enumerate(schedule.loops) for node in loop.items}
        place = where[root.index]
        loop = schedule.loops[place]
        is_plain = root.operation not in REDUCTIONS | PRODUCTS and root.operation != "pad"
        if not is_plain or loop.shape != heads.shape(leaf) or heads.size(root) != heads.size(leaf):
            return False
        for i, other in enumerate(schedule.loops):
            for node in other.items:
                for read, alike in reads_of(node, schedule):
                    if read is leaf and (i > place or (i == place and not alike)):
                        return False
        return True

    # Backward ---------------------------------------------------------------------------------------------

    @cached_property
    def saved(self) -> tuple[Node, ...]:
        """The forward values of a step that the backward pass reads, apart from states."""
        forward = self.places.forward
        backward = self.places.backward.place
        outputs = {t.root.index for t in self.states.values() if t.root is not None}
        found: dict[int, Node] = {}
        seen: set[int] = set()
        waiting = self._wanted_backward()
        while waiting:
            node = waiting.pop()
            if node.index in seen or node.operation == "constant" or backward[node.index] != LOOP:
                continue
            seen.add(node.index)
            if node.index in outputs or node.operation == "state":
                continue
            if node.index in forward.place:
                light = node.operation in ("view", "expand") or not self._is_item(node)
                if not light:
                    found[node.index] = node
                    continue
            waiting.extend(node.arguments)
        return tuple(found[index] for index in sorted(found))

    def _is_item(self, node: Node) -> bool:
        return is_item(node, self.places.heads, frozenset())

    def _wanted_backward(self) -> list[Node]:
        states = [self.program.derivative.states[i] for i in self.read]
        found = [node for node in states if node is not None]
        return [*found, *self.places.backward.columns, *self.places.backward.sums.values()]

    @cached_property
    def _forward_in_loop(self) -> dict[int, str]:
        # Where the forward pass wrote a value for every row, it is not computed again.
        columns = {node.index for node in self.places.forward.left}
        return {i: "before" if i in columns else p for i, p in self.places.forward.place.items()}

    @cached_property
    def replayed(self) -> tuple[Target, ...]:
        """What the backward pass computes again before it goes back: new states, then saved values."""
        given = frozenset(n.index for n in (*self._replay_inputs, *self.leaves.values()))
        outputs = [self.target(self.places.outputs[i], given) for i in self.read]
        return (*outputs, *(Target(node, node) for node in self.saved))

    @cached_property
    def _replay_inputs(self) -> tuple[Node, ...]:
        outputs = [self.places.outputs[i] for i in self.read]
        return inputs_of([*outputs, *self.saved], self._forward_in_loop)

    @cached_property
    def replay(self) -> Schedule:
        """The loops of a step that is computed again."""
        given = frozenset(n.index for n in (*self._replay_inputs, *self.leaves.values()))
        return make_schedule(self.places.heads, _roots(self.replayed), given)

    @cached_property
    def _inputs_backward(self) -> tuple[Node, ...]:
        at_hand = {**self.places.backward.place}
        for node in self.at_hand:
            at_hand[node.index] = "at hand"
        found = inputs_of(self._wanted_backward(), at_hand)
        return tuple(node for node in found if at_hand[node.index] != "at hand")

    @cached_property
    def at_hand(self) -> tuple[Node, ...]:
        """What the ring holds for a step: states before and after, and saved values."""
        after = [target.root for target in self.replayed if target.root is not None]
        return (*self.leaves.values(), *after)

    @cached_property
    def cotangent_leaves(self) -> dict[int, Node]:
        """The cotangents of the new states, by index."""
        return {i: self.program.derivative.cotangents[i] for i in self.read}

    @cached_property
    def _given_backward(self) -> frozenset[int]:
        nodes = (*self._inputs_backward, *self.at_hand, *self.cotangent_leaves.values())
        return frozenset(node.index for node in nodes)

    @cached_property
    def cotangents(self) -> dict[int, Target]:
        """The cotangents of the old states; none where they are zero."""
        found = {i: self.program.derivative.states[i] for i in self.read}
        return {i: self.target(n, self._given_backward) for i, n in found.items() if n is not None}

    @cached_property
    def sums(self) -> dict[str, Target]:
        """Gradients of weights, summed over the steps."""
        found = self.places.backward.sums.items()
        return {name: self.target(node, self._given_backward) for name, node in found}

    @cached_property
    def chunk(self) -> int:
        """Steps between two states that are kept."""
        item = 8 if self.dtype == "float64" else 4
        size = (sum(self.sizes.values()) + sum(self.places.heads.size(n) for n in self.saved)) * item
        return max(_CHUNKS[0], min(_CHUNKS[1], _RING_BYTES // max(size, 1)))

    # Products ---------------------------------------------------------------------------------------------

    @cached_property
    def products(self) -> dict[str, Product]:
        """The products of weights, by name."""
        found = {f"value_product_{n}": one for n, one in enumerate(products_of(self.schedule))}
        if self.name == "backward":
            found.update({f"replay_product_{n}": one for n, one in enumerate(products_of(self.replay))})
        return found

    @cached_property
    def lanes(self) -> int:
        """Numbers of a vector."""
        return self.machine.lanes(self.dtype)

    @cached_property
    def together(self) -> int:
        """Rows that a thread computes step by step together, so that they share the weights it reads."""
        places = (self.places.forward.place, self.places.backward.place)
        nodes = (self.places.nodes, self.program.derivative.nodes)
        products = [
            [node for node in some if node.operation in PRODUCTS and place[node.index] == LOOP]
            for some, place in zip(nodes, places, strict=True)
        ]
        if not any(products):
            return 1
        numbers = sum((node.width or 1) * (node.arguments[1].width or 1) for node in products[0])
        return _TOGETHER_FAR if numbers * (8 if self.dtype == "float64" else 4) > NEAR else _TOGETHER

    # Memory -----------------------------------------------------------------------------------------------

    @cached_property
    def scratch(self) -> dict[str, int]:
        """Numbers of each array that a thread works in, by name."""
        heads = self.places.heads
        found: dict[str, int] = {}
        if self.name == "forward":
            found.update({f"state_{i}": size for i, size in self.sizes.items()})
            found.update({f"next_{i}": size for i, size in self.sizes.items()})
        else:
            found.update({f"ring_{i}": size * (self.chunk + 1) for i, size in self.sizes.items()})
            if self.zeros:  # a state may be reset between the end of a step and the start of the next
                found.update({f"after_{i}": size * self.chunk for i, size in self.sizes.items()})
            found.update({f"saved_{n.index}": heads.size(n) * self.chunk for n in self.saved})
            found.update({f"replay_{i}": heads.size(n) for i, n in _kept(self.replay).items()})
            found.update({f"cotangent_{i}": size for i, size in self.sizes.items()})
            found.update({f"next_{i}": size for i, size in self.sizes.items()})
        found.update({f"value_{i}": heads.size(n) for i, n in _kept(self.schedule).items()})
        found.update({name: one.width for name, one in self.products.items()})
        return {name: -(-size // _PAD) * _PAD + _PAD for name, size in found.items()}

    @property
    def scratch_size(self) -> int:
        """Numbers of all arrays of a row."""
        return sum(self.scratch.values())

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The arguments in order."""
        found = ["batch", "offset", "lengths", "scratch"]
        found += [name for name, has in (("zero", self.zeros), ("cut", self.cuts)) if has]
        for i in self.read:
            if self.name == "forward":
                found += [f"initial_{i}", f"final_{i}"]
                found += [f"check_{i}"] if self.save else []
                found += [f"rows_{i}"] if i in self.keep else []
            else:
                found += [f"check_{i}", f"final_{i}", f"initial_{i}"]
                found += [f"given_{i}"] if i in self.given else []
        for j in range(len(self.inputs)):
            found += [f"in_{j}", f"line_in_{j}"]
        for j in range(len(self.columns)):
            found += [f"out_{j}", f"line_out_{j}"]
        if self.name == "backward":
            found += [f"sum_{name}" for name in self.sums]
        return (*found, *(f"weights_{name}" for name in self.products))


def _roots(targets: Sequence[Target]) -> list[Node]:
    found = {target.root.index: target.root for target in targets if target.root is not None}
    return list(found.values())


def _kept(schedule: Schedule) -> dict[int, Node]:
    """Return what has memory of its own: results of products have theirs."""
    items = {node.index: node for loop in schedule.loops if loop.product is None for node in loop.items}
    return {index: items[index] for index in sorted(schedule.kept) if index in items}
