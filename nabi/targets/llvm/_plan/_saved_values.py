"""The forward values available to a native backward pass: states, saved values, and recomputed values.

Saving costs memory and the time to write and read it; recomputing costs arithmetic. Values that follow from
saved values and states by cheap operations are recomputed, and so are functions of a new state alone, such as
tanh(c) in an LSTM.
"""

from weakref import WeakKeyDictionary

from nabi._once import LOCK, cached_property
from nabi._record import record
from nabi.ir import LEAVES, Node, Program
from nabi.targets.llvm._plan._schedule import (
    Schedule,
    is_across,
    is_cheap,
    is_product,
    is_reduction,
    make_schedule,
)  # fmt: skip

__all__ = ["Values", "holds_product", "values_of"]

# Keyed by the object: two traces of the same equations have different nodes.
_values: "WeakKeyDictionary[Program, Values]" = WeakKeyDictionary()


def values_of(program: Program) -> "Values":
    """Return the values of a program, computed once."""
    with LOCK:
        found = _values.get(program)
        if found is None:
            found = _values[program] = Values(program)
        return found


@record
class Values:
    """The forward values of a program for its derivative; see the module docstring."""

    program: Program

    @cached_property
    def saved(self) -> tuple[Node, ...]:
        """Forward values that a backward pass loads; reductions among them have no width."""
        derivative, plan = self.program.derivative, self.program.plan
        forward = {node.index for node in plan.nodes}
        saved: dict[int, Node] = {}

        def keep(node: Node) -> None:
            if node.operation in LEAVES or self.is_new_state(node):
                return
            follows = is_cheap(node) and not holds_product(node)
            of_state = len(node.arguments) == 1 and self.is_new_state(node.arguments[0])
            if not is_reduction(node) and (node.width is None or follows or of_state):
                for argument in node.arguments:
                    keep(argument)
            else:
                saved[node.index] = node

        for node in derivative.nodes:
            if node.index not in forward:
                for argument in node.arguments:
                    if argument.index in forward:
                        keep(argument)
        for pairs in derivative.matrices.values():
            for _, operand in pairs:
                keep(operand)
        return tuple(saved[i] for i in sorted(saved))

    def is_new_state(self, node: Node) -> bool:
        """Tell whether a node is a result of a step."""
        return any(node is output for output in self.program.plan.outputs)

    @cached_property
    def slots(self) -> dict[int, tuple[Node, ...]]:
        """Saved values by width; those of one unit and row are adjacent, in this order."""
        return _by_width(self.saved)

    @cached_property
    def saved_numbers(self) -> tuple[Node, ...]:
        """Saved reductions: one number per row."""
        return tuple(node for node in self.saved if node.width is None)

    def forward(self, save: bool) -> Schedule:
        """Schedule a step; with `save`, the saved values are stored too."""
        roots = [*self.program.plan.outputs, *(self.saved if save else ())]
        return make_schedule(_once(roots), lambda node: False)

    # The derivative.

    @cached_property
    def pairs(self) -> tuple[tuple[str, Node, Node], ...]:
        """For every forward product: its matrix, its cotangent, and its operand."""
        found = self.program.derivative.matrices.items()
        return tuple((name, cotangent, operand) for name, pairs in found for cotangent, operand in pairs)

    @cached_property
    def operands(self) -> tuple[Node, ...]:
        """The operands of forward products, each once."""
        return tuple(_once([operand for _, _, operand in self.pairs]))

    @cached_property
    def panels(self) -> dict[int, tuple[Node, ...]]:
        """Cotangents that are summed or multiplied over rows after the steps, by width."""
        cotangents = _once([cotangent for _, cotangent, _ in self.pairs])
        # Products back to one value read several of them. These are made adjacent if possible; cotangents
        # shared by two such groups are placed between the others.
        groups = [
            {argument.index for argument in node.arguments[1::2]}
            for node in self.program.derivative.nodes
            if node.operation == "linear_transposed"
        ]
        groups.sort(key=len, reverse=True)
        first, second = (*groups, set(), set())[:2]

        def place(node: Node) -> int:
            ranks = {(True, False): 0, (True, True): 1, (False, True): 2, (False, False): 3}
            return ranks[node.index in first, node.index in second]

        vectors = self.program.derivative.vectors.values()
        return _by_width(_once([*sorted(cotangents, key=place), *vectors]))

    @cached_property
    def panel_slots(self) -> dict[int, int]:
        """The slot of every panel among the panels of its width."""
        return {node.index: slot for nodes in self.panels.values() for slot, node in enumerate(nodes)}

    @cached_property
    def inputs_apart(self) -> tuple[Node, ...]:
        """The cotangents of inputs that depend only on a step's panels and random inputs."""
        return tuple(filter(self._is_apart, self._input_cotangents))

    @cached_property
    def inputs_of_step(self) -> tuple[Node, ...]:
        """The cotangents of inputs that a step must compute."""
        return tuple(node for node in self._input_cotangents if not self._is_apart(node))

    @property
    def _input_cotangents(self) -> list[Node]:
        return _once([node for node in self.program.derivative.inputs if node is not None])

    def _is_apart(self, node: Node) -> bool:
        if is_product(node):  # back through a matrix from a panel; a forward product is a value of its step
            return node.reads_cotangent
        if node.operation in ("constant", "parameter", "noise"):
            return True
        if node.operation in LEAVES or not node.reads_cotangent or is_reduction(node) or is_across(node):
            return False
        return all(self._is_apart(argument) for argument in node.arguments)

    def backward(self, need_input: bool) -> Schedule:
        """Schedule the derivative of a step, including the inputs' cotangents that are not separate."""
        derivative = self.program.derivative
        roots = [node for nodes in self.panels.values() for node in nodes]
        roots.extend(node for node in derivative.states if node is not None)
        roots.extend(node for node in self.operands if node.operation not in LEAVES)
        if need_input:
            roots.extend(self.inputs_of_step)
        return make_schedule(_once(roots), self.is_at_hand)

    def input_schedule(self) -> Schedule:
        """Schedule the inputs' cotangents for many rows at once."""
        panels = {node.index for nodes in self.panels.values() for node in nodes}
        return make_schedule(self.inputs_apart, lambda node: node.index in panels)

    def is_at_hand(self, node: Node) -> bool:
        """Tell whether a backward pass can load a forward value."""
        return self.is_new_state(node) or any(node is found for found in self.saved)


def holds_product(node: Node) -> bool:
    """Tell whether a node is a product, or a sum with one."""
    return is_product(node) or (node.operation == "add" and any(map(holds_product, node.arguments)))


def _once(nodes: list[Node]) -> list[Node]:
    return list({node.index: node for node in nodes}.values())


def _by_width(nodes: tuple[Node, ...] | list[Node]) -> dict[int, tuple[Node, ...]]:
    found: dict[int, list[Node]] = {}
    for node in nodes:
        if node.width is not None:
            found.setdefault(node.width, []).append(node)
    return {width: tuple(members) for width, members in found.items()}
