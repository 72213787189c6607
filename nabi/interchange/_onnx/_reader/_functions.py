"""Functions local to a file: a node that calls one is replaced by the function's nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nabi.interchange._onnx._reader._call import shown
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.targets.onnx import Attribute, Function, Graph, Node

__all__ = ["inlined"]

_DEEPEST, _MOST_NODES = 16, 100_000


def inlined(nodes: Sequence[Node], functions: Sequence[Function], opset: int) -> list[Node]:
    """Return nodes with those of the functions that they call in their place, also within graphs.

    Raises:
        Refusal: if functions call each other without end, or have another version of ONNX's operators.
    """
    if not functions:
        return list(nodes)
    for one in functions:
        versions = {given.version for given in one.opset_import if given.domain in ("", "ai.onnx")}
        if versions and versions != {opset}:
            raise Refusal(
                f"function {one.name!r} has versions {sorted(versions)} of ONNX's operators, not {opset}"
            )
    return _Inlining({(one.domain, one.name): one for one in functions}).nodes(nodes, 0)


class _Inlining:
    def __init__(self, functions: Mapping[tuple[str, str], Function]) -> None:
        self.functions, self.count, self.calls = functions, 0, 0

    def nodes(self, nodes: Sequence[Node], depth: int) -> list[Node]:
        if depth > _DEEPEST:
            raise Refusal("functions call each other without end", damaged=True)
        found: list[Node] = []
        for node in nodes:
            self.count += 1
            if self.count > _MOST_NODES:
                raise Refusal(f"its functions have more than {_MOST_NODES} nodes", damaged=True)
            function = self.functions.get((node.domain, node.op_type))
            if function is not None:
                found += self.nodes(self._body(node, function), depth + 1)
            elif any(one.g is not None for one in node.attribute):
                attributes = [self._within(one, depth) for one in node.attribute]
                found.append(replace(node, attribute=attributes))
            else:
                found.append(node)
        return found

    def _within(self, attribute: Attribute, depth: int) -> Attribute:
        if attribute.g is None:
            return attribute
        return replace(attribute, g=replace(attribute.g, node=self.nodes(attribute.g.node, depth + 1)))

    def _body(self, node: Node, function: Function) -> list[Node]:
        """Return the function's nodes, with names of their own and the values of the call's attributes."""
        if len(node.input) > len(function.input) or len(node.output) > len(function.output):
            raise Refusal(
                f"node {shown(node)} calls {function.name!r} with more values than it has", damaged=True
            )
        self.calls += 1
        names = dict.fromkeys(function.input, "")
        names.update(zip(function.input, node.input, strict=False))
        names.update(zip(function.output, node.output, strict=False))
        given = {one.name: one for one in function.attribute_proto}
        given.update((one.name, one) for one in node.attribute)
        prefix = f"{node.name or function.name}.{self.calls}/"
        return [_renamed(one, names, prefix, given) for one in function.node]


def _renamed(
    node: Node,
    names: Mapping[str, str],
    prefix: str,
    given: Mapping[str, Attribute],
    own: frozenset[str] = frozenset(),
) -> Node:
    def new(name: str) -> str:
        return name if not name or name in own else names[name] if name in names else prefix + name

    attributes = []
    for one in node.attribute:
        if one.ref_attr_name:
            if one.ref_attr_name in given:
                attributes.append(replace(given[one.ref_attr_name], name=one.name))
        elif one.g is not None:
            attributes.append(replace(one, g=_graph(one.g, names, prefix, given, own)))
        else:
            attributes.append(one)
    return replace(
        node,
        name=prefix + node.name if node.name else "",
        input=[new(name) for name in node.input],
        output=[new(name) for name in node.output],
        attribute=attributes,
    )


def _graph(
    graph: Graph, names: Mapping[str, str], prefix: str, given: Mapping[str, Attribute], own: frozenset[str]
) -> Graph:
    """Rename what a graph within a function reads from outside; its own names stay."""
    inside = own | {one.name for one in graph.input} | {one.name for one in graph.initializer}
    inside |= {name for node in graph.node for name in node.output}
    nodes = [_renamed(node, names, prefix, given, inside) for node in graph.node]
    return replace(graph, node=nodes)
