"""The plan of a computation over time: what is done before the loop, shared in one product, and saved.

A plan never changes results. It divides the nodes of a step and of its derivative into

- `once`: nodes without rows, which depend only on weights and numbers: computed once per call, in both
passes;
- `before`: nodes that read no state, computed for all time steps at once before the loop;
- `step`: the remaining nodes of each forward step;
- `backward_step`: nodes needed for the gradient of the previous states, in each backward step;
- `after`: the rest of the derivative, computed for all time steps at once after the backward loop, with the
  gradient of each weight as one large product.
"""

from dataclasses import dataclass
from itertools import pairwise

from nabi.ir._graph._nodes import LEAVES, Node
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir._traced._derivative import Derivative, differentiate, expand
from nabi.ir._traced._traced import Traced

__all__ = ["Plan", "Product", "make_plan"]


@dataclass(frozen=True, eq=False)
class Product:
    """Linear maps of one family that read the same operand, computed as one product with stacked weights.

    Attributes:
        operand: the value read.
        family: index of the family tensor.
        rows: the rows of the family, one slice per map.
        maps: the linear maps, in row order.
        results: the columns of the result: the maps, or their sums with the addends.
        addends: the values added to each map in the same pass (biases or results of another product), or
            None.
    """

    operand: Node
    family: int
    rows: tuple[slice, ...]
    maps: tuple[Node, ...]
    results: tuple[Node, ...]
    addends: tuple[Node, ...] | None

    @property
    def adjacent(self) -> slice | None:
        """The rows as one slice, or None if they are not adjacent."""
        return join_slices(self.rows)


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of a step; see the module docstring.

    Attributes:
        nodes: the nodes of the step, decomposed so that each has a derivative.
        outputs: the new states.
        products: the products before and within the loop.
        once, before, step, backward_step, after: the nodes of each part, in order, without leaves.
        saved: results of forward nodes that the backward pass reads.
        stacks: cotangents concatenated for one product, in row order.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Node, ...]
    products: tuple[Product, ...]
    once: tuple[Node, ...]
    before: tuple[Node, ...]
    step: tuple[Node, ...]
    saved: tuple[Node, ...]
    backward_step: tuple[Node, ...]
    after: tuple[Node, ...]
    stacks: tuple[tuple[Node, ...], ...]

    def phases(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the phases of one forward step: products, reductions, maps along the units, other maps."""
        kinds: list[tuple[str, list[str]]] = []
        done: set[int] = set()
        for node in self.step:
            product = next((p for p in self.products if any(node is found for found in p.maps)), None)
            if product is not None and product.maps[0].index in done:
                continue
            kind = "map"
            label = node.operation
            if product is not None:
                kind, label = "product", " ".join(m.arguments[0].name for m in product.maps)
                done.update(m.index for m in product.maps)
            elif OPERATIONS[node.operation].reduction:
                kind = "reduction"
            elif OPERATIONS[node.operation].across is not None:
                kind = "along"
            if not kinds or kinds[-1][0] != kind or kind == "product":
                kinds.append((kind, []))
            kinds[-1][1].append(label)
        return [(kind, tuple(labels)) for kind, labels in kinds]


def make_plan(program: Traced, derivative: Derivative | None = None) -> Plan:
    """Plan a program; its derivative is worked out unless it is given."""
    nodes, outputs = expand(program)
    derivative = differentiate(program) if derivative is None else derivative
    all_nodes = {node.index: node for node in (*nodes, *derivative.nodes)}
    once = [n for _, n in sorted(all_nodes.items()) if n.operation not in LEAVES and not n.has_rows]
    computed = [node for node in nodes if node.operation not in LEAVES and node.has_rows]
    before = tuple(node for node in computed if not node.reads_state and not _reads_step_noise(program, node))
    early = {node.index for node in before}
    step = tuple(node for node in computed if node.index not in early)
    backward = [node for node in derivative.nodes if node.operation not in LEAVES and node.has_rows]
    forward = {node.index for node in computed}
    saved = _saved(
        nodes, outputs, backward, [pair[1] for found in derivative.matrices.values() for pair in found]
    )
    at_hand = {node.index for node in (*saved, *outputs)}
    own = [node for node in backward if node.index not in forward or _recomputed(node, at_hand)]
    loop = _closure(derivative.states, own)
    stacks = _stacks(program, derivative)
    return Plan(
        nodes=nodes,
        outputs=outputs,
        products=_products(program, nodes, outputs, before),
        once=tuple(once),
        before=before,
        step=step,
        saved=saved,
        backward_step=tuple(node for node in own if node.index in loop),
        after=tuple(node for node in own if node.index not in loop),
        stacks=stacks,
    )


def join_slices(rows: tuple[slice, ...]) -> slice | None:
    """Return adjacent slices as one, or None if they are not adjacent and in order."""
    if any(one.stop != two.start for one, two in pairwise(rows)):
        return None
    return slice(rows[0].start, rows[-1].stop)


def _reads_step_noise(program: Traced, node: Node) -> bool:
    per_step = {noise.name for noise in program.noises if noise.per_step}
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if found.operation == "noise" and found.name in per_step:
            return True
        waiting.extend(found.arguments)
    return False


def _products(
    program: Traced, nodes: tuple[Node, ...], outputs: tuple[Node, ...], before: tuple[Node, ...]
) -> tuple[Product, ...]:
    groups: dict[tuple[int, int], list[Node]] = {}
    # Outputs are used without the addition.
    users: dict[int, list[Node]] = {output.index: [output] for output in outputs}
    for node in nodes:
        for argument in node.arguments:
            users.setdefault(argument.index, []).append(node)
        if node.operation == "linear" and node.has_rows:
            family, _ = program.family_of(node.arguments[0].name)
            groups.setdefault((family, node.arguments[1].index), []).append(node)
    early = {node.index for node in before}
    products: list[Product] = []
    for (family, _), maps in groups.items():
        maps.sort(key=lambda node: program.family_of(node.arguments[0].name)[1].start)
        rows = tuple(program.family_of(node.arguments[0].name)[1] for node in maps)
        sums = _sums(program, maps, users, early, products)
        results, addends = sums if sums is not None else (tuple(maps), None)
        products.append(Product(maps[0].arguments[1], family, rows, tuple(maps), results, addends))
    return tuple(products)


def _sums(
    program: Traced,
    maps: list[Node],
    users: dict[int, list[Node]],
    early: set[int],
    products: list[Product],
) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """Return the values added directly to every map, if a single addition can serve all of them."""
    results, addends = [], []
    for node in maps:
        found = users.get(node.index, [])
        if len(found) != 1 or found[0].operation != "add" or found[0].arguments[0] is found[0].arguments[1]:
            return None
        results.append(found[0])
        addends.append(next(argument for argument in found[0].arguments if argument is not node))
    if all(addend.operation == "parameter" for addend in addends):
        places = [program.family_of(addend.name) for addend in addends]
        if len({family for family, _ in places}) == 1 and join_slices(tuple(rows for _, rows in places)):
            return tuple(results), tuple(addends)
    if any(node.index in early for node in maps):
        return None  # with both before the loop there is no gain
    for product in products:
        same = [node.index for node in product.results] == [node.index for node in addends]
        if same and all(addend.index in early for addend in addends):
            return tuple(results), tuple(addends)
    return None


def _saved(
    nodes: tuple[Node, ...], outputs: tuple[Node, ...], backward: list[Node], operands: list[Node]
) -> tuple[Node, ...]:
    """Choose the forward results to save: those the backward pass reads, unless cheap to recompute."""
    forward = {node.index for node in nodes}
    given = {node.index for node in outputs}
    read = {
        argument.index: argument
        for node in backward
        if node.index not in forward
        for argument in node.arguments
        if argument.index in forward
    }
    read.update({operand.index: operand for operand in operands})
    read = {
        index: node
        for index, node in read.items()
        if node.operation not in LEAVES and node.has_rows and index not in given
    }
    kept = {index for index, node in read.items() if not _is_cheap(node)}
    for index, node in sorted(read.items()):
        free = all(_is_free(a) or a.index in kept or a.index in given for a in node.arguments)
        if index not in kept and not free:
            kept.add(index)
    return tuple(read[index] for index in sorted(kept))


def _is_cheap(node: Node) -> bool:
    return node.operation in OPERATIONS and OPERATIONS[node.operation].cheap


def _is_free(node: Node) -> bool:
    """Return whether a node need not be saved: a leaf, or computed only from weights and numbers."""
    return node.operation in LEAVES or not node.has_rows


def _recomputed(node: Node, at_hand: set[int]) -> bool:
    """Return whether a forward node is recomputed in the backward pass, where its arguments are available."""
    if node.index in at_hand or not _is_cheap(node):
        return False
    return all(_is_free(a) or a.index in at_hand for a in node.arguments)


def _closure(roots: tuple[Node | None, ...], nodes: list[Node]) -> set[int]:
    known = {node.index for node in nodes}
    found: set[int] = set()
    waiting = [root for root in roots if root is not None]
    while waiting:
        node = waiting.pop()
        if node.index in known and node.index not in found:
            found.add(node.index)
            waiting.extend(node.arguments)
    return found


def _stacks(program: Traced, derivative: Derivative) -> tuple[tuple[Node, ...], ...]:
    """Return the groups of cotangents that products of the derivative read together."""
    found: dict[tuple[int, ...], tuple[Node, ...]] = {}
    for node in derivative.nodes:
        if node.operation == "linear_transposed":
            found[tuple(n.index for n in node.arguments[1::2])] = node.arguments[1::2]
    grouped: dict[tuple[int, int], list[tuple[int, Node]]] = {}
    for name, pairs in derivative.matrices.items():
        for cotangent, operand in pairs:
            family, rows = program.family_of(name)
            grouped.setdefault((family, operand.index), []).append((rows.start, cotangent))
    for members in grouped.values():
        nodes = tuple(node for _, node in sorted(members, key=lambda member: member[0]))
        found[tuple(node.index for node in nodes)] = nodes
    return tuple(found.values())
