"""The derivative of a step, in the same language.

Elementwise operations are differentiated by the table, linear maps by their structure: the gradient flows
back through a product with the transposed matrix. Weight gradients are not formed at every step; they are
recorded as pairs (cotangent of the product, its operand) and become one large product over all steps after
the loop.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nabi.ir._graph._nodes import Node, Trace, needed
from nabi.ir._graph._operations import OPERATIONS, operation
from nabi.ir._traced._traced import Traced
from nabi.ir._traced._verify import verify_nodes

__all__ = ["Derivative", "differentiate", "expand"]


@dataclass(frozen=True, eq=False)
class Derivative:
    """Cotangents of everything a step reads, given those of the new states.

    Attributes:
        cotangents: the leaves for the cotangents of the new states, in order.
        states: the cotangent of each previous state, None where it is zero.
        inputs: the cotangent of each input in the order of the program's, None where it is zero.
        matrices: for each parameter matrix, the pairs (cotangent of a product, its operand).
        vectors: for each parameter vector, its cotangent row by row (to be summed over all rows).
        nodes: all nodes, including those of the step, in order of computation.
    """

    cotangents: tuple[Node, ...]
    states: tuple[Node | None, ...]
    inputs: tuple[Node | None, ...]
    matrices: dict[str, tuple[tuple[Node, Node], ...]]
    vectors: dict[str, Node]
    nodes: tuple[Node, ...]

    @property
    def reaches_inputs(self) -> bool:
        """Whether any input has a cotangent."""
        return any(node is not None for node in self.inputs)


def differentiate(program: Traced) -> Derivative:
    """Differentiate a step in one backward pass over its nodes."""
    trace = program.trace
    nodes, outputs = expand(program)
    cotangents = tuple(
        trace.leaf("cotangent", f"d_{name}", output.width, output.axes)
        for name, output in zip(program.state_names, outputs, strict=True)
    )
    terms: dict[int, list[Node]] = {}
    products: dict[int, list[tuple[Node, Node]]] = {}
    matrices: dict[str, list[tuple[Node, Node]]] = {}

    def give(node: Node, cotangent: Node) -> None:
        if node.width is None and cotangent.width is not None:
            cotangent = _sum(cotangent)
        terms.setdefault(node.index, []).append(cotangent)

    def gather(node: Node) -> Node | None:
        """Return the sum of a node's cotangents; maps of one family are combined into one product."""
        found = list(terms.get(node.index, []))
        families: dict[str, list[tuple[Node, Node]]] = {}
        for pair in products.get(node.index, []):
            families.setdefault(trace.parameters[pair[0].name].family, []).append(pair)
        for pairs in families.values():
            pairs.sort(key=lambda pair: program.family_of(pair[0].name)[1].start)
            found.append(trace.linear_transposed(pairs))
        if not found:
            return None
        total = found[0]
        for term in found[1:]:
            total = total + term
        if total.width is None and node.width is not None and not _takes_scalars(node):
            # Every unit of the node has this cotangent; a rule that sums over the units needs all of them.
            total = trace.view(trace.spread(total, node.width), node.axes)
        return total

    for node, cotangent in zip(outputs, cotangents, strict=True):
        give(node, cotangent)
    gathered: dict[int, Node] = {}
    for node in reversed(nodes):
        total = gather(node)
        if total is None:
            continue
        gathered[node.index] = total
        if not node.arguments:
            continue
        if node.operation == "linear":
            matrix, operand = node.arguments
            matrices.setdefault(matrix.name, []).append((total, operand))
            if _is_active(operand):
                products.setdefault(operand.index, []).append((matrix, total))
            continue
        rule = operation(node.operation).derivative
        assert rule is not None, f"{node.operation} has neither a derivative nor a decomposition"
        # The rules return cotangents of every argument; those of constants and noise are dropped.
        for argument, part in zip(node.arguments, rule(total, node, *node.arguments), strict=True):
            if part is not None and _is_active(argument):
                give(argument, part)

    leaves = {(node.operation, node.name): node for node in nodes}
    states = tuple(
        gathered.get(leaves[("state", name)].index) if ("state", name) in leaves else None
        for name in program.state_names
    )
    inputs = tuple(_of_input(trace, given.name, given.width, gathered) for given in program.inputs)
    # The cotangent of a scalar is a vector with one unit, since what is summed over the rows are vectors.
    vectors = {
        parameter.name: _as_vector(gathered[leaves[("parameter", parameter.name)].index])
        for parameter in program.parameters
        if len(parameter.shape) == 1
        and ("parameter", parameter.name) in leaves
        and leaves[("parameter", parameter.name)].index in gathered
    }
    pairs = {name: tuple(found) for name, found in matrices.items()}
    roots: Iterable[Node | None] = [
        *states,
        *inputs,
        *vectors.values(),
        *(node for found in pairs.values() for pair in found for node in pair),
        *outputs,
    ]
    all_nodes = needed(tuple(roots))
    verify_nodes(trace.cell, all_nodes)
    return Derivative(cotangents, states, inputs, pairs, vectors, all_nodes)


def _of_input(trace: Trace, name: str, width: int | None, gathered: dict[int, Node]) -> Node | None:
    """Return the cotangent of an input; one number has two leaves, and one that broadcasts was summed."""
    total: Node | None = None
    for size in {width: None, width or 1: None}:
        found = gathered.get(trace.leaf("input", name, size).index)
        if found is not None:
            found = trace.spread(found, 1) if found.width is None else found
            total = found if total is None else total + found
    return total


def expand(program: Traced) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Replace operations without a derivative rule by their decompositions.

    Returns the nodes in order, and the outputs.
    """
    replaced: dict[int, Node] = {}
    for node in program.nodes:
        arguments = tuple(replaced[argument.index] for argument in node.arguments)
        replaced[node.index] = _rebuild(program.trace, node, arguments)
    outputs = tuple(replaced[node.index] for node in program.outputs)
    return needed(outputs), outputs


def _rebuild(trace: Trace, node: Node, arguments: tuple[Node, ...]) -> Node:
    if not arguments:
        return node
    if node.operation != "linear":
        row = operation(node.operation)
        if row.derivative is None and row.decomposition is not None:
            whole: Node = row.decomposition(*arguments, *node.details)
            return whole
    return trace.make(node.operation, arguments, node.width, axes=node.axes, details=node.details)


def _is_active(node: Node) -> bool:
    """Return whether a node depends on anything that needs a gradient."""
    if node.operation == "input":
        return node.trace.inputs[node.name].learns
    return node.operation not in ("constant", "noise", "matrix")


def _takes_scalars(node: Node) -> bool:
    """Return whether the rule of an operation holds for a cotangent that is the same for all units."""
    row = OPERATIONS.get(node.operation)
    is_elementwise = row is not None and not row.reduction and row.across is None
    return is_elementwise and all(argument.width == node.width for argument in node.arguments)


def _as_vector(node: Node) -> Node:
    return node if node.width is not None else node.trace.spread(node, 1)


def _sum(node: Node) -> Node:
    return node.trace.make("sum", (node,), None)
