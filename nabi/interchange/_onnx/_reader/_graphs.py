"""The graph of a file: its version, the order of its nodes, who reads what, and steps written one by one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from nabi.interchange._onnx._reader._call import shown
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.targets.onnx import Attribute, Node, OperatorSet

__all__ = ["NEWEST", "OLDEST", "consumers", "in_order", "opset_of", "reads", "unrolled_weight"]

OLDEST, NEWEST = 7, 24
_STEPS = 3  # the same weights so often one after the other are a loop that was written out


def opset_of(sets: Sequence[OperatorSet]) -> int:
    """Return the version of ONNX's own operators; `Refusal` if nabi does not know it."""
    versions = {one.version for one in sets if one.domain in ("", "ai.onnx")}
    if len(versions) != 1:
        raise Refusal(f"expected one version of ONNX's operators, got {sorted(versions)}", damaged=True)
    (version,) = versions
    if not OLDEST <= version <= NEWEST:
        raise Refusal(f"the file has version {version} of ONNX's operators; nabi reads {OLDEST} to {NEWEST}")
    return version


def _graphs(attributes: Iterable[Attribute]) -> Iterable[str]:
    """Return the names that graphs within a node read from outside."""
    for one in attributes:
        for graph in [*([] if one.g is None else [one.g]), *one.graphs]:
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            for node in graph.node:
                yield from (name for name in reads(node) if name not in own)
                own.update(node.output)
            yield from (value.name for value in graph.output if value.name not in own)


def reads(node: Node) -> list[str]:
    """Return the names that a node reads, those in graphs within it included."""
    return [name for name in (*node.input, *_graphs(node.attribute)) if name]


def in_order(nodes: Sequence[Node], known: set[str]) -> list[Node]:
    """Return nodes in an order in which they can be computed.

    Raises:
        Refusal: if a name is made twice or never, or nodes need each other in a circle.
    """
    makers: dict[str, int] = {}
    for number, node in enumerate(nodes):
        for name in node.output:
            if name and (name in makers or name in known):
                raise Refusal(
                    f"{name[:80]!r} is made twice (node {shown(node)}, {node.op_type})", damaged=True
                )
            if name:
                makers[name] = number
    waiting: list[set[int]] = []
    readers: dict[int, list[int]] = defaultdict(list)
    for number, node in enumerate(nodes):
        needs = set()
        for name in reads(node):
            if name in known:
                continue
            if name not in makers:
                raise Refusal(
                    f"node {shown(node)} ({node.op_type}) reads {name[:80]!r}, which is neither a weight in "
                    "the file nor an input nor made by a node",
                    damaged=True,
                )
            needs.add(makers[name])
        waiting.append(needs)
        for one in needs:
            readers[one].append(number)
    ready = [number for number, needs in enumerate(waiting) if not needs]
    order: list[Node] = []
    for number in ready:
        order.append(nodes[number])
        for reader in readers[number]:
            waiting[reader].discard(number)
            if not waiting[reader]:
                ready.append(reader)
    if len(order) < len(nodes):
        stuck = ", ".join(shown(node) for node, needs in zip(nodes, waiting, strict=True) if needs)
        raise Refusal(f"nodes need each other in a circle: {stuck[:300]}", damaged=True)
    return order


def consumers(nodes: Sequence[Node], outputs: Sequence[str]) -> dict[str, list[Node]]:
    """Return the nodes that read each name; what the model returns has a reader more, without an operator."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for name in reads(node):
            found[name].append(node)
    for name in outputs:
        found[name].append(Node())
    return found


def unrolled_weight(nodes: Sequence[Node], constants: set[str]) -> tuple[str, int] | None:
    """Return weights that are used by several products one after the other, and how often; None if none are.

    The nodes are in order, so the longest chain of products with a weight up to each name is found in one
    pass.
    """
    origin: dict[str, str] = {name: name for name in constants}
    chains: dict[str, dict[str, int]] = {}
    found: tuple[str, int] | None = None
    for node in nodes:
        given = [name for name in node.input if name]
        if given and given[0] in origin and all(name in origin or name in constants for name in given):
            for name in node.output:  # transposed, cast or a copy: still that weight
                origin[name] = origin[given[0]]
            continue
        merged: dict[str, int] = {}
        for name in given:
            for weight, count in chains.get(name, {}).items():
                merged[weight] = max(merged.get(weight, 0), count)
        if node.op_type in ("MatMul", "Gemm"):
            for name in given[:2]:
                if name in origin:
                    merged[origin[name]] = merged.get(origin[name], 0) + 1
                    if merged[origin[name]] >= _STEPS and (found is None or merged[origin[name]] > found[1]):
                        found = origin[name], merged[origin[name]]
        if merged:
            for name in node.output:
                chains[name] = merged
    return found
