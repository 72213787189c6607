"""What lies outside the loop over the steps, as functions of torch over all rows at once."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor

from nabi.ir import LEAVES, Node, Program, join_slices
from nabi.native.memory import fresh
from nabi.targets.eager._render import compile_source, write_node

__all__ = ["Part", "part_of"]

Part = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, ...]]
"""Takes the values that are there and the families; returns the wanted values."""


@lru_cache(maxsize=256)
def part_of(
    program: Program,
    there: tuple[Node, ...],
    wanted: tuple[Node, ...],
    name: str,
    stacks: tuple[tuple[int, ...], ...] = (),
) -> Part:
    """Return a function that computes values for all rows.

    Args:
        program: the program.
        there: the values that it is given, `[N, width]`; leaves apart from weights and numbers among them.
        wanted: the values that it returns; those without rows are `[width]` or `[1, width]`.
        name: of the function, for tracebacks.
        stacks: values that are given side by side as well, after the others, by the indices of their nodes.
    """
    writer = _Writer(program, there, wanted, stacks)
    for node in wanted:
        writer.value(node)
    returned = ", ".join(writer.values[node.index] for node in wanted)
    lines = [*writer.lines, f"return ({returned}{',' if wanted else ''})"]
    parameters = ("products", "with_bias", "there", "families")
    made = compile_source(name, parameters, lines, type(program.cell).__name__)
    return partial(made, _products, _with_bias)


@lru_cache(maxsize=256)
def _readers(program: Program) -> dict[int, tuple[Node, ...]]:
    """Return what reads each value of a step and of its derivative."""
    nodes = {node.index: node for node in (*program.plan.nodes, *program.derivative.nodes)}
    found: dict[int, list[Node]] = {}
    for node in nodes.values():
        for argument in node.arguments:
            found.setdefault(argument.index, []).append(node)
    return {index: tuple(some) for index, some in found.items()}


def _with_bias(bias: Tensor, one: Tensor, two: Tensor) -> Tensor:
    """Return a product with a number added to each of its columns."""
    return torch.addmm(bias, one, two, out=fresh((one.shape[0], two.shape[1]), one.dtype))


def _products(*factors: Tensor) -> Tensor:
    """Return the sum of products of two matrices each, in memory that large results use again."""
    (one, two), rest = factors[:2], factors[2:]
    found = fresh((one.shape[0], two.shape[1]), one.dtype)
    torch.mm(one, two, out=found)
    for left, right in zip(rest[::2], rest[1::2], strict=True):
        found.addmm_(left, right)
    return found


class _Writer:
    def __init__(
        self,
        program: Program,
        there: Sequence[Node],
        wanted: Sequence[Node],
        stacks: Iterable[tuple[int, ...]],
    ) -> None:
        self.program, self.wanted = program, frozenset(node.index for node in wanted)
        self.values = {node.index: f"there[{i}]" for i, node in enumerate(there)}
        self.stacks = {nodes: f"there[{i}]" for i, nodes in enumerate(stacks, len(there))}
        self.lines: list[str] = []

    def value(self, node: Node) -> None:
        """Make sure that a value is computed; arguments first, without recursion over long chains."""
        waiting = [node]
        while waiting:
            last = waiting[-1]
            if last.index in self.values:
                waiting.pop()
                continue
            missing = [a for a in last.arguments if a.index not in self.values and a.operation != "matrix"]
            if missing:
                waiting.extend(missing)
                continue
            waiting.pop()
            self._write(last)

    def _write(self, node: Node) -> None:
        if node.operation == "constant":
            self.values[node.index] = f"({node.value!r})"
        elif node.operation == "parameter":
            family, rows = self.program.family_of(node.name)
            self.values[node.index] = f"families[{family}][{rows.start}:{rows.stop}]"
        elif node.operation in LEAVES:
            raise AssertionError(f"{node!r} is not there")
        elif node.operation == "linear":
            self._linear(node)
        elif node.operation == "linear_transposed":
            self._linear_transposed(node)
        else:
            write_node(node, self.values, self.lines)

    def _linear(self, node: Node) -> None:
        """Write the product of all gates with an operand, and take out those of the step."""
        matrix, operand = node.arguments
        family, _ = self.program.family_of(matrix.name)
        maps = [
            other
            for other in self.program.plan.nodes
            if other.operation == "linear"
            and other.arguments[1] is operand
            and self.program.family_of(other.arguments[0].name)[0] == family
        ] or [node]
        if all(one is not node for one in maps):
            maps = [node]
        maps.sort(key=lambda one: self.program.family_of(one.arguments[0].name)[1].start)
        rows = join_slices(tuple(self.program.family_of(one.arguments[0].name)[1] for one in maps))
        if rows is None:
            maps, rows = [node], self.program.family_of(matrix.name)[1]
        name, at = f"P{node.index}", 0
        weights = f"families[{family}][{rows.start}:{rows.stop}]"
        read, sums = self.values[operand.index], self._sums(maps)
        whole = f"torch.nn.functional.linear({read}, {weights})"
        if operand.has_rows and sums is not None:
            whole, maps = f"with_bias({sums[1]}, {read}, {weights}.t())", sums[0]
        elif operand.has_rows:
            whole = f"products({read}, {weights}.t())"
        self.lines.append(f"{name} = {whole}")
        for one in maps:
            width = one.width or 1
            part = name if len(maps) == 1 else f"{name}[..., {at}:{at + width}]"
            self.values.setdefault(one.index, part)
            at += width

    def _sums(self, maps: Sequence[Node]) -> tuple[list[Node], str] | None:
        """Return the sums of products and biases, and the biases, if nothing else reads the products."""
        found: list[Node] = []
        places = []
        for one in maps:
            readers = _readers(self.program).get(one.index, ())
            if len(readers) != 1 or readers[0].operation != "add" or one.index in self.wanted:
                return None
            (total,) = readers
            other = total.arguments[1 if total.arguments[0].index == one.index else 0]
            if other.operation != "parameter" or other.width != one.width or total.index in self.values:
                return None
            found.append(total)
            places.append(self.program.family_of(other.name))
        rows = join_slices(tuple(rows for _, rows in places))
        if rows is None or len({family for family, _ in places}) > 1:
            return None
        return found, f"families[{places[0][0]}][{rows.start}:{rows.stop}]"

    def _linear_transposed(self, node: Node) -> None:
        places = [self.program.family_of(matrix.name) for matrix in node.arguments[::2]]
        cotangents = [self.values[one.index] for one in node.arguments[1::2]]
        joined = join_slices(tuple(rows for _, rows in places))
        name = f"v{node.index}"
        if joined is not None:
            stack = self.stacks.get(tuple(one.index for one in node.arguments[1::2]))
            if stack is None:
                stack = cotangents[0] if len(cotangents) == 1 else f"torch.cat(({', '.join(cotangents)}), -1)"
            factors = [f"{stack}, families[{places[0][0]}][{joined.start}:{joined.stop}]"]
        else:
            factors = [
                f"{cotangent}, families[{family}][{rows.start}:{rows.stop}]"
                for cotangent, (family, rows) in zip(cotangents, places, strict=True)
            ]
        self.lines.append(f"{name} = products({', '.join(factors)})")
        self.values[node.index] = name
