"""Steps whose loop over time holds no product: what is computed before it, within it, and after it.

The states of such a step depend on each other unit by unit (an LRU, an SRU, an IndRNN). Their products read
the input or what is finished once the states of many steps are there, so they are computed for all rows of
a chunk of steps at once. What remains is a loop without products: each row and each vector of units goes
through the steps of the chunk by itself, with its states in registers.

A state is of one of three kinds:

- `loop`: its new value depends on its old one, or others of this kind do;
- `shifted`: its new value is the input, or the old value of another shifted state: an earlier input;
- `readout`: nothing reads its old value, like an output `C h + D x`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakKeyDictionary

from nabi._once import LOCK, cached_property
from nabi._record import record
from nabi.ir import LEAVES, Node, Program
from nabi.targets.llvm._plan._saved_values import Values, holds_product, values_of
from nabi.targets.llvm._plan._schedule import (
    Schedule,
    is_across,
    is_cheap,
    is_product,
    is_reduction,
    make_schedule,
)  # fmt: skip

__all__ = ["Strata", "strata_of"]

_found: "WeakKeyDictionary[Program, Strata | None]" = WeakKeyDictionary()


def strata_of(program: Program) -> "Strata | None":
    """Return the strata of a program, worked out once; None if its loop holds what reads other units."""
    with LOCK:
        if program not in _found:
            strata = Strata(program)
            _found[program] = strata if strata.is_possible else None
        return _found[program]


@record
class Strata:
    """What a step computes before, within and after its loop; see the module docstring."""

    program: Program

    @cached_property
    def values(self) -> Values:
        """The values saved for the derivative; nothing is saved that is computed once a call."""
        return _ValuesOfRows(self.program)

    # The kinds of states.

    @cached_property
    def _reads(self) -> dict[int, frozenset[int]]:
        """For every node of the step, the states whose old values it depends on."""
        places = {name: i for i, name in enumerate(self.program.state_names)}
        found: dict[int, frozenset[int]] = {}
        for node in self.program.plan.nodes:
            own = frozenset([places[node.name]]) if node.operation == "state" else frozenset()
            found[node.index] = own.union(*(found[argument.index] for argument in node.arguments))
        return found

    @cached_property
    def shifted(self) -> tuple[int, ...]:
        """The shifted states, those that take over the old value of another after that one."""
        outputs, places = self.program.plan.outputs, self.program.state_names
        order: list[int] = []
        for _ in outputs:
            for i, output in enumerate(outputs):
                source = output.operation == "state" and places.index(output.name) in order
                if i in self._read and i not in order and (output.operation == "input" or source):
                    order.append(i)
        return tuple(order)

    @cached_property
    def _read(self) -> frozenset[int]:
        """The states that the step reads."""
        return frozenset().union(*(self._reads[output.index] for output in self.program.plan.outputs))

    @cached_property
    def loop(self) -> tuple[int, ...]:
        """The states that the loop carries from step to step."""
        return tuple(i for i in sorted(self._read) if i not in self.shifted)

    @cached_property
    def readouts(self) -> tuple[int, ...]:
        """The states that nothing reads."""
        return tuple(i for i in range(len(self.program.state_names)) if i not in self._read)

    # What depends on nothing but weights and numbers.

    @cached_property
    def once(self) -> tuple[Node, ...]:
        """Vectors computed from weights and numbers alone, once a call: those that other values read."""
        program = self.program
        users = [node for node in (*program.plan.nodes, *program.derivative.nodes) if node.has_rows]
        read = [*program.plan.outputs, *(argument for node in users for argument in node.arguments)]
        found = {
            node.index: node
            for node in read
            if node.operation not in LEAVES and node.width is not None and not node.has_rows
        }
        return tuple(found[i] for i in sorted(found))

    def is_once(self, node: Node) -> bool:
        """Tell whether a value is computed once a call."""
        return any(node is found for found in self.once)

    # The forward pass.

    @cached_property
    def _moving(self) -> dict[int, Node]:
        """The nodes that depend on a state of the loop."""
        loop, nodes = frozenset(self.loop), self.program.plan.nodes
        return {node.index: node for node in nodes if self._reads[node.index] & loop}

    @cached_property
    def _within(self) -> frozenset[int]:
        """Those of them that the loop can compute: no product or reduction lies on the way."""
        found: set[int] = set()
        for index, node in self._moving.items():
            simple = all(a.index in found or a.index not in self._moving for a in node.arguments)
            if simple and not _is_heavy(node):
                found.add(index)
        return frozenset(found)

    @cached_property
    def is_possible(self) -> bool:
        """Whether a step can be computed like this, and its derivative.

        Products, reductions and the like of weights alone have no place: what is computed once a call are
        vectors, unit by unit.
        """
        outputs, program = self.program.plan.outputs, self.program
        if program.has_axes or any(_is_heavy(node) and not node.has_rows for node in program.plan.nodes):
            return False
        inside = all(
            outputs[i].index in self._within or outputs[i].index not in self._moving for i in self.loop
        )
        return inside and all(not self._needs_loop[node.index] for node in self._early_heavy)

    def pays(self, few_rows: bool) -> bool:
        """Tell whether a step is faster like this than step by step, or as fast and waits less for threads.

        Without a loop there is nothing to gain, and a loop without any product takes up to a third longer:
        values are stored for it that a step computes where it needs them. That holds for products, too, once
        a step has rows enough for them: what the loop stores and loads again then costs more than it saves.

        Args:
            few_rows: whether a step has fewer rows than an ideal register tile.
        """
        has_products = any(node.operation == "linear" for node in self.program.plan.nodes)
        return few_rows and has_products and bool(self.loop)

    def forward(self, save: bool) -> tuple[Schedule, Schedule, Schedule]:
        """Schedule what is computed before, within and after the loop; with `save`, saved values too."""
        outputs, moving, within = self.program.plan.outputs, self._moving, self._within
        saved = self.values.saved if save else ()
        results = [outputs[i] for i in self.readouts]
        after = [n for n in (*results, *saved) if n.index in moving and n.index not in within]
        states = {outputs[i].index for i in self.loop}
        late = self._crossing(after, lambda n: n.index in moving and n.index not in within, states)
        loop = [outputs[i] for i in self.loop]
        loop += [n for n in (*results, *saved, *late) if n.index in within]
        early = self._crossing(loop, lambda n: n.index in within, set())
        before = [n for n in (*early, *late, *results, *saved) if n.index not in moving]
        before += [outputs[i] for i in self.shifted]
        return (
            make_schedule(_once(before), self.is_once),
            make_schedule(_once(loop), self._knows(early)),
            make_schedule(_once(after), self._knows([*early, *late], states)),
        )

    def _crossing(
        self, roots: Iterable[Node], is_inside: Callable[[Node], bool], at_hand: set[int]
    ) -> list[Node]:
        """Return the values from outside that `roots` are computed from; cheap ones are computed again."""
        found: dict[int, Node] = {}
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            carried = any(node is leaf for leaf in self._carried_cotangents)
            known = node.operation in LEAVES or node.index in at_hand or self.is_once(node)
            if (known and not (carried and node.index not in at_hand)) or node.index in seen:
                continue
            seen.add(node.index)
            if carried:
                if not is_inside(node):
                    found[node.index] = node
                continue
            again = (is_cheap(node) or node.width is None) and not is_reduction(node)
            if is_inside(node) or (again and not holds_product(node)):
                waiting.extend(node.arguments)
            else:
                found[node.index] = node
        return [found[i] for i in sorted(found)]

    def _knows(self, nodes: Iterable[Node], more: set[int] = frozenset()) -> Callable[[Node], bool]:  # type: ignore[assignment]
        known = {node.index for node in (*nodes, *self.once)} | more
        return lambda node: node.index in known

    # The derivative.

    @cached_property
    def _backward_nodes(self) -> list[Node]:
        return [node for node in self.program.derivative.nodes if node.reads_cotangent]

    @property
    def _carried_cotangents(self) -> list[Node]:
        return [self.program.derivative.cotangents[i] for i in self.loop]

    @cached_property
    def _needs_loop(self) -> dict[int, bool]:
        """For every node of the derivative, whether it depends on cotangents of loop or shifted states."""
        leaves = self.program.derivative.cotangents
        late = {leaves[i].index for i in (*self.loop, *self.shifted)}
        found: dict[int, bool] = {}
        for node in self._backward_nodes:
            found[node.index] = node.index in late or any(found.get(a.index, False) for a in node.arguments)
        return found

    @cached_property
    def _needs_shift(self) -> dict[int, bool]:
        """Whether it depends on cotangents of shifted states."""
        leaves = self.program.derivative.cotangents
        late = {leaves[i].index for i in self.shifted}
        found: dict[int, bool] = {}
        for node in self._backward_nodes:
            found[node.index] = node.index in late or any(found.get(a.index, False) for a in node.arguments)
        return found

    @cached_property
    def _early_heavy(self) -> list[Node]:
        """Products and reductions of cotangents that the cotangents of loop states are computed from."""
        states = self.program.derivative.states
        found: dict[int, Node] = {}
        waiting = [node for i in self.loop if (node := states[i]) is not None]
        while waiting:
            node = waiting.pop()
            if node.reads_cotangent and node.index not in found:
                found[node.index] = node
                waiting.extend(node.arguments)
        return [node for node in found.values() if _is_heavy(node)]

    @cached_property
    def _kinds(self) -> dict[int, str]:
        """Where each node of the derivative is computed: `early`, in the `loop`, or `late`."""
        early = {node.index for node in self._early_heavy}
        found: dict[int, str] = {}
        for node in self._backward_nodes:
            kinds = {found[a.index] for a in node.arguments if a.index in found}
            if self._needs_shift[node.index] or "late" in kinds:
                found[node.index] = "late"
            elif _is_heavy(node):
                found[node.index] = "early" if node.index in early else "late"
            else:
                before = kinds == {"early"} and not self._needs_loop[node.index]
                found[node.index] = "early" if before else "loop"
        return found

    @cached_property
    def backward(self) -> "BackwardStrata":
        """Schedule the derivative."""
        values, derivative = self.values, self.program.derivative
        kinds = self._kinds
        new = {output.index for output in self.program.plan.outputs}
        ready = new | {node.index for node in self.values.saved}
        read = {o.index for node in self._early_heavy for o in node.arguments if o.reads_cotangent}
        panels = [node for nodes in values.panels.values() for node in nodes]
        first = [n for n in panels if n.index in read or kinds[n.index] == "early"]
        rest = [n for n in panels if all(n is not other for other in first)]
        states = derivative.states
        shifts = {i: node for i in reversed(self.shifted) if (node := states[i]) is not None}
        ends = [[n for n in rest if kinds[n.index] == "late"], *([node] for node in shifts.values())]
        ends.append([node for node in derivative.inputs if node is not None])
        at_end = ready | {node.index for node in panels}
        late = self._crossing(
            [n for nodes in ends for n in nodes],
            lambda n: not n.reads_cotangent or kinds[n.index] == "late",
            at_end - {n.index for n in ends[0]},
        )
        loop = [node for i in self.loop if (node := states[i]) is not None]
        loop += [n for n in (*rest, *late) if kinds[n.index] == "loop"]
        early = self._crossing(
            loop,
            lambda n: not n.reads_cotangent or kinds[n.index] == "loop",
            at_end - {n.index for n in rest},
        )
        operands = [n for n in values.operands if n.operation not in LEAVES]
        begin = [*first, *early, *(n for n in late if kinds[n.index] == "early"), *operands]
        before_loop = self._knows([*early, *first], ready)
        of_loop = [n for n in panels if all(n is not other for other in ends[0])]
        known = [
            self._knows([*late, *of_loop], ready),
            *[self._knows([*late, *panels], ready)] * (len(ends) - 1),
        ]
        shared = self._shared_products(ends, known)
        at_last = self._knows([*late, *panels, *shared], ready)
        ends[0] += shared
        known = [known[0], *[at_last] * (len(ends) - 1)]
        found = [make_schedule(_once(nodes), at_hand) for nodes, at_hand in zip(ends, known, strict=True)]
        return BackwardStrata(
            make_schedule(_once(begin), self._knows([], ready)),
            make_schedule(_once(loop), before_loop),
            found[0],
            dict(zip(shifts, found[1:-1], strict=True)),
            found[-1] if ends[-1] else None,
        )  # fmt: skip

    def _shared_products(
        self, ends: Sequence[Iterable[Node]], known: Sequence[Callable[[Node], bool]]
    ) -> list[Node]:
        """Return the products after the loop that several schedules need; the first keeps them for the rest.

        A gain between an input and its product (`W (mu ∘ x)`) makes one of the cotangents of the gain and the
        input alike.
        """
        found: dict[int, Node] = {}
        times: Counter[int] = Counter()
        for roots, at_hand in zip(ends, known, strict=True):
            waiting, seen = list(roots), set[int]()
            while waiting:
                node = waiting.pop()
                if node.index in seen or node.operation in LEAVES:
                    continue
                seen.add(node.index)
                if is_product(node) and not self._needs_shift.get(node.index, True):
                    found[node.index] = node
                waiting.extend(argument for argument in node.arguments if not at_hand(argument))
            times.update(index for index in seen if index in found)
        return [found[i] for i in sorted(found) if times[i] > 1]


class _ValuesOfRows(Values):
    """Saved values that differ between rows."""

    @cached_property
    def saved(self) -> tuple[Node, ...]:
        """Forward values that a backward pass loads; reductions among them have no width."""
        return tuple(node for node in values_of(self.program).saved if node.has_rows)


@record
class BackwardStrata:
    """The schedules of a derivative, in the order in which they run.

    Attributes:
        begin: what the loop needs of the cotangents of readouts, and operands of products.
        loop: from the last step to the first.
        end: cotangents of products before the loop.
        shifted: by shifted state the cotangent of its old value, the last in a chain first.
        input: the cotangents of the inputs, None if no equation reads one.
    """

    begin: Schedule
    loop: Schedule
    end: Schedule
    shifted: dict[int, Schedule]
    input: Schedule | None


def _is_heavy(node: Node) -> bool:
    """Tell whether a unit of a node reads more than the same unit of its arguments."""
    return is_product(node) or is_reduction(node) or is_across(node)


def _once(nodes: Iterable[Node]) -> list[Node]:
    return list({node.index: node for node in nodes}.values())
