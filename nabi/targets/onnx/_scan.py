"""Any cell as ONNX: its equations in a Scan over time, inside a function of the model with the cell's name.

What reads no state is computed for all time steps before the loop: products with the input above all. The
body of the loop holds the rest, under the names that the step gives its values.

The function takes and gives values in ONNX's layout, time first:

    Y, h_last, ... = Cell(X [T, N, inputs], family, ..., h_first [N, width], ..., lengths [N])

What a cell reads beside `x` stands behind it in X.

A matrix is passed turned, `[operand, gates * units]`. With lengths, a step after the end of a row changes no
state, and its output is zero.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from nabi.ir import LEAVES, Node, Program, Trace, named_nodes, operation
from nabi.targets.onnx._axes import is_on_axes, write_on_axes
from nabi.targets.onnx._messages import Function, Graph, OperatorSet, ValueInfo
from nabi.targets.onnx._operations import write_across, write_operation
from nabi.targets.onnx._scope import GraphScope, Scope

__all__ = ["DOMAIN", "added_function", "cell_function"]

DOMAIN = "nabi"
"""The domain of the functions of a file."""
_FLOAT, _BOOL = 1, 9


def cell_function(graph: GraphScope, program: Program, *, reverse: bool, lengths: bool) -> Function:
    """Return the function of a program, written into the file on first use."""
    key = (program.key, reverse, lengths)
    if key not in graph.functions:
        kind = re.sub(r"\W", "_", type(program.cell).__name__)
        name = graph.function_name(kind + ("Reverse" if reverse else "") + ("WithLengths" if lengths else ""))
        graph.functions[key] = _Writer(graph, program, reverse, lengths).function(name)
    return graph.functions[key]


def added_function(graph: GraphScope, name: str) -> Function:
    """Return the function of an operation that a user has added, written into the file on first use."""
    row = operation(name)
    key = ("operation", name, row.definition)
    if key not in graph.functions:
        trace, scope = Trace(name), Scope(graph.opset)
        assert row.decomposition is not None
        leaves = [trace.leaf("input", scope.name(f"a{place}"), None) for place in range(row.arity)]
        result = row.decomposition(*leaves)
        values = {leaf.index: leaf.name for leaf in leaves}
        imports = [OperatorSet("", scope.opset)]
        for node in _read((result,)):
            if node.operation == "constant":
                values[node.index] = scope.number(node.value)
            elif node.arguments and node.index not in values:
                inputs = [values[argument.index] for argument in _arguments(node)]
                if operation(node.operation).definition:
                    inner = added_function(graph, node.operation).name
                    imports = [OperatorSet("", scope.opset), OperatorSet(DOMAIN, 1)]
                    values[node.index] = scope.add(inner, inputs, node.operation, domain=DOMAIN)
                else:
                    values[node.index] = write_operation(scope, node.operation, inputs, None, node.operation)
        output = scope.add("Identity", [values[result.index]], "result")
        graph.functions[key] = Function(
            name=graph.function_name(name),
            input=[leaf.name for leaf in leaves],
            output=[output],
            node=scope.nodes,
            opset_import=imports,
            domain=DOMAIN,
        )
    return graph.functions[key]


def _arguments(node: Node) -> tuple[Node, ...]:
    """Return the arguments that the value of a node depends on: a derivative that it declares is none."""
    return node.arguments[:1] if node.operation == "with_derivative" else node.arguments


def _read(outputs: tuple[Node, ...]) -> list[Node]:
    """Return the nodes that the values of the outputs depend on, in order."""
    found: dict[int, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(_arguments(node))
    return [found[index] for index in sorted(found)]


class _Writer:
    """Writes the function of one program."""

    def __init__(self, graph: GraphScope, program: Program, reverse: bool, lengths: bool) -> None:
        self._graph, self._program, self._reverse, self._lengths = graph, program, reverse, lengths
        self._scope = Scope(graph.opset)
        self._body = Scope(graph.opset, self._scope)
        self._labels = {node.index: name for name, node in named_nodes(program).items()}
        nodes = [node for node in _read(program.outputs) if node.operation not in LEAVES]
        self._early = [node for node in nodes if not node.reads_state]
        self._late = [node for node in nodes if node.reads_state]
        # Names of values outside the loop, where rows have an axis for time, and inside.
        self._outside: dict[int, str] = {}
        self._inside: dict[int, str] = {}
        self._pieces: dict[str, str] = {}
        self._calls = False  # whether it calls functions of the file

    def function(self, name: str) -> Function:
        """Write everything."""
        program, scope = self._program, self._scope
        x = scope.name("X")
        families = [scope.name(family.name) for family in program.families]
        states = [scope.name(f"{state}_first") for state in program.state_names]
        lengths = scope.name("lengths") if self._lengths else None
        columns = {given.name: given.columns for given in program.inputs}
        for node in program.nodes:
            if node.operation == "input":
                self._outside[node.index] = x
                if len(program.inputs) > 1:
                    part = columns[node.name]
                    self._outside[node.index] = scope.cut(x, part.start, part.stop, 2, f"{node.name}_t")
            elif node.operation == "constant":
                self._outside[node.index] = scope.number(node.value)
        self._take_apart(families)
        self._write(self._early, scope, self._outside)
        outputs = self._scan(x, states, lengths)
        return Function(
            name=name,
            input=[x, *families, *states, *([lengths] if lengths else [])],
            output=outputs,
            node=scope.nodes,
            doc_string="\n".join(program.equations),
            opset_import=[OperatorSet("", scope.opset), *([OperatorSet(DOMAIN, 1)] if self._calls else [])],
            domain=DOMAIN,
        )

    # Weights ----------------------------------------------------------------------------------------------

    def _take_apart(self, families: Iterable[str]) -> None:
        """Cut vectors into those of the gates; matrices are cut where a product does not read all gates."""
        program = self._program
        for family, given in zip(program.families, families, strict=True):
            members = [one for one in program.parameters if one.family == family.name]
            if len(family.shape) == 2:
                self._pieces[family.name] = given
                continue
            size = family.shape[0] // len(family.gates)
            names = [one.name for one in members]
            pieces = self._scope.split(given, [size] * len(members), 0, names)
            by_name = dict(zip(names, pieces, strict=True))
            for node in program.nodes:
                if node.operation == "parameter" and node.name in by_name:
                    self._outside[node.index] = by_name[node.name]

    def _columns(self, family: int, rows: slice) -> str:
        """Return the part of a turned matrix that a group of gates has, cut out before the loop."""
        found = self._program.families[family]
        if rows == slice(0, found.shape[0]):
            return self._pieces[found.name]
        label = f"{found.name}_{rows.start}_{rows.stop}"
        if label not in self._pieces:
            self._pieces[label] = self._scope.cut(self._pieces[found.name], rows.start, rows.stop, 1, label)
        return self._pieces[label]

    # Values -----------------------------------------------------------------------------------------------

    def _write(self, nodes: list[Node], scope: Scope, values: dict[int, str]) -> None:
        """Write nodes in their order; neighbouring maps of one operand are one product."""
        groups = self._groups(nodes)
        for node in nodes:
            if node.index in values:
                continue
            if node.operation == "linear":
                self._product(groups[node.index], scope, values)
                continue
            inputs = [self._value(argument, values) for argument in _arguments(node)]
            label = self._label(node)
            if is_on_axes(node.operation):
                lead = 0 if not node.has_rows else 2 if scope is self._scope else 1
                values[node.index] = write_on_axes(scope, node, inputs[0], lead, label)
                continue
            row = operation(node.operation)
            if row.across is not None:
                width, number = node.arguments[0].width or 1, int(node.arguments[1].value)
                values[node.index] = write_across(scope, row.name, inputs[0], width, number, label)
                continue
            if row.definition:
                self._calls = True
                name = added_function(self._graph, row.name).name
                values[node.index] = scope.add(name, inputs, label, domain=DOMAIN)
                continue
            values[node.index] = write_operation(scope, node.operation, inputs, node.width, label)

    def _label(self, node: Node) -> str:
        named = self._labels.get(node.index)
        return node.operation if named is None else f"{named}_t"

    def _value(self, node: Node, values: Mapping[int, str]) -> str:
        # What is not made in the loop comes from around it.
        return values[node.index] if node.index in values else self._outside[node.index]

    def _groups(self, nodes: list[Node]) -> dict[int, list[Node]]:
        """Return for each linear map those that are computed with it, in the order of their rows."""
        by_operand: dict[tuple[int, int], list[Node]] = {}
        for node in nodes:
            if node.operation == "linear":
                family, _ = self._program.family_of(node.arguments[0].name)
                by_operand.setdefault((family, node.arguments[1].index), []).append(node)
        groups: dict[int, list[Node]] = {}
        for maps in by_operand.values():
            maps.sort(key=lambda node: self._rows(node).start)
            group: list[Node] = []
            for node in maps:
                if group and self._rows(group[-1]).stop != self._rows(node).start:
                    group = []
                group.append(node)
                groups[node.index] = group
        return groups

    def _rows(self, node: Node) -> slice:
        return self._program.family_of(node.arguments[0].name)[1]

    def _product(self, maps: list[Node], scope: Scope, values: dict[int, str]) -> None:
        matrix, operand = maps[0].arguments
        family, _ = self._program.family_of(matrix.name)
        columns = self._columns(family, slice(self._rows(maps[0]).start, self._rows(maps[-1]).stop))
        names = [f"{node.arguments[0].name}_{_short(operand)}" for node in maps]
        label = names[0] if len(maps) == 1 else f"{self._program.families[family].name}_{_short(operand)}"
        product = scope.add("MatMul", [self._value(operand, values), columns], label)
        sizes = [node.width or 1 for node in maps]
        pieces = scope.split(product, sizes, -1, names)
        values.update({node.index: piece for node, piece in zip(maps, pieces, strict=True)})

    # The loop ---------------------------------------------------------------------------------------------

    def _scan(self, x: str, states: list[str], lengths: str | None) -> list[str]:
        program, body, scope = self._program, self._body, self._scope
        leaves = {node.name: node for node in program.nodes if node.operation == "state"}
        taken: list[ValueInfo] = []
        for name, width in zip(program.state_names, program.state_widths, strict=True):
            inner = body.name(name)
            taken.append(ValueInfo.of(inner, _FLOAT, ["N", width]))
            if name in leaves:
                self._inside[leaves[name].index] = inner
        old = [one.name for one in taken]
        scanned: list[str] = []
        valid: str | None = None
        if lengths is not None:
            scanned.append(self._inside_rows(x, lengths))
            valid = body.name("inside")
            taken.append(ValueInfo.of(valid, _BOOL, ["N", 1]))
        for node in self._read_inside():
            scanned.append(self._outside[node.index])
            inner = body.name(node.name or f"{self._label(node)}_now")
            taken.append(ValueInfo.of(inner, _FLOAT, ["N", node.width or 1]))
            self._inside[node.index] = inner
        if not scanned:  # a loop needs something to run over
            scanned.append(x)
            taken.append(ValueInfo.of(body.name("x_t"), _FLOAT, ["N", program.row_size]))
        self._write(self._late, body, self._inside)
        new = self._new_states(old, valid)
        given = [
            ValueInfo.of(name, _FLOAT, ["N", width])
            for name, width in zip(new, (*program.state_widths, program.state_widths[0]), strict=True)
        ]
        direction = int(self._reverse)
        *last, output = scope.several(
            "Scan",
            [*states, *scanned],
            [*(f"{name}_last" for name in program.state_names), "Y"],
            body=Graph(node=body.nodes, name="step", input=taken, output=given),
            num_scan_inputs=len(scanned),
            scan_input_directions=[direction] * len(scanned),
            scan_output_directions=[direction],
        )
        return [output, *last]

    def _read_inside(self) -> list[Node]:
        """Return the values with an axis for time that the loop reads."""
        read = {argument.index: argument for node in self._late for argument in _arguments(node)}
        read.update({node.index: node for node in self._program.outputs})
        return [
            node
            for _, node in sorted(read.items())
            if node.has_rows and not node.reads_state and node.operation != "state"
        ]

    def _inside_rows(self, x: str, lengths: str) -> str:
        """Return `[T, N, 1]`, whether a step is within the length of its row."""
        scope = self._scope
        count = scope.add("Squeeze", [scope.size(x, 0)], "count")
        zero, one = scope.constant(np.int64(0)), scope.constant(np.int64(1))
        steps = scope.add("Range", [zero, count, one], "steps")
        column = scope.add("Unsqueeze", [steps, scope.ints(1)], "steps_column")
        within = scope.add("Less", [column, scope.cast(lengths, np.int64, "lengths_whole")], "within")
        return scope.add("Unsqueeze", [within, scope.ints(2)], "within_rows")

    def _new_states(self, old: list[str], valid: str | None) -> list[str]:
        """Write the new states and the output; no two of them may be one value."""
        program, body = self._program, self._body
        made = {output for node in body.nodes for output in node.output}
        found, output = [], ""
        for place, (name, node) in enumerate(zip(program.state_names, program.outputs, strict=True)):
            value = self._value(node, self._inside)
            if not node.has_rows:
                shape = body.add("Shape", [old[place]], f"{name}_shape")
                value = body.add("Expand", [value, shape], f"{name}_rows")
            if valid is not None:
                if place == 0:
                    output = body.add("Where", [valid, value, body.number(0.0)], "output")
                value = body.add("Where", [valid, value, old[place]], f"{name}_next")
            elif value not in made or value in found:
                value = body.add("Identity", [value], f"{name}_next")
            found.append(value)
        return [*found, output or body.add("Identity", [found[0]], "output")]


def _short(node: Node) -> str:
    return node.name or str(node.index)
