"""Writes the forward functions of a kernel from a plan: the part before the loop, and one step.

Variables are named after their content: `v12` node 12, `c12` the same if it has no rows, `P0` the result of
product 0, `W0` its weights, `D0` a stack of cotangents, `s1` state 1 before a step, `n0` noise 0, `k12` node
12 stored by the backward loop for the part after it, `o12` the destination of node 12.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nabi.ir import LEAVES, Node, Plan, Product, Program, join_slices
from nabi.targets.eager._render import expression, input_columns, write_node

__all__ = ["ForwardWriter", "Function"]


@dataclass
class Function:
    """A function under construction.

    Attributes:
        columns: names of its arguments, given for each step if it is a loop.
        lines: its source, without the beginning and the end.
        values: the source of each known node.
        results: the source of its results, or of the values passed to the next step.
    """

    columns: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)

    def column(self, name: str) -> str:
        """Return the name of a column, requesting it on first use."""
        if name not in self.columns:
            self.columns.append(name)
        return name


class ForwardWriter:
    """Writes the lines that compute the nodes of a plan."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.plan: Plan = program.plan
        self.saved = {node.index for node in self.plan.saved}
        self.early = {node.index for node in self.plan.before}
        self.output_of = {node.index: i for i, node in enumerate(self.plan.outputs) if node.arguments}
        self.noise_index = {noise.name: i for i, noise in enumerate(program.noises)}
        self.product_of: dict[int, tuple[int, Product, int]] = {}
        for i, product in enumerate(self.plan.products):
            for position, (node, result) in enumerate(zip(product.maps, product.results, strict=True)):
                self.product_of[result.index] = (i, product, position)
                self.product_of.setdefault(node.index, (i, product, position))

    # Leaves and weights.

    def weight(self, function: Function, node: Node) -> str:
        """Return the source of a parameter vector."""
        family, rows = self.program.family_of(node.name)
        return f"families[{family}][{rows.start}:{rows.stop}]"

    def stacked(self, family: int, rows: tuple[slice, ...]) -> str:
        """Return the source of the rows of a family that one product applies."""
        joined = join_slices(rows)
        if joined is not None:
            whole = joined == slice(0, self.program.families[family].shape[0])
            return f"families[{family}]" + ("" if whole else f"[{joined.start}:{joined.stop}]")
        pieces = ", ".join(f"families[{family}][{piece.start}:{piece.stop}]" for piece in rows)
        return f"torch.cat(({pieces}))"

    def leaf(self, function: Function, node: Node) -> str:
        """Return the source of a leaf, requesting its column."""
        if node.operation == "constant":
            return f"({node.value!r})"
        if node.operation == "parameter":
            return self.weight(function, node)
        if node.operation == "input":
            return input_columns(self.program, node, function.column("x"))
        if node.operation == "noise":
            return function.column(f"n{self.noise_index[node.name]}")
        if node.operation == "cotangent":
            return f"d{[c.index for c in self.program.derivative.cotangents].index(node.index)}"
        return function.column(f"s{self.program.state_names.index(node.name)}")

    # Forward.

    def before(self, wanted: Iterable[str]) -> Function:
        """Write the computation for all rows at once; it returns the `wanted` values in that order."""
        function = Function()
        for name in wanted:
            if name.startswith("P"):
                self.product(function, int(name[1:]))
            else:
                self.forward(function, self.program.trace.nodes[int(name[1:])])
        function.results = [n if n.startswith("P") else function.values[int(n[1:])] for n in wanted]
        return function

    def step(self, keep: tuple[int, ...], record: tuple[str, ...]) -> Function:
        """Write one step: from the states to the new ones.

        Args:
            keep: states that are written to a column `o0`, `o1`, ...
            record: the values appended to the list `kept` for the backward pass: `s0` a state before the
                step,
                `t0` after it, `v12_` a saved node.
        """
        function = Function()
        # The result of the step's last operation is written directly to its destination, once.
        outs: dict[int, str] = {}
        for i in keep:
            if self.plan.outputs[i].arguments and self.plan.outputs[i].has_rows:
                outs.setdefault(self.plan.outputs[i].index, f"o{i}")
        for i in range(len(self.program.state_names)):
            function.values[self._state_leaf(i)] = f"s{i}"
        nodes = {f"v{node.index}_": node for node in self.plan.saved}
        for node in (*(nodes[name] for name in record if name in nodes), *self.plan.outputs):
            self.forward(function, node, outs, within_step=True)
        written = [name for index, name in outs.items() if name in function.columns]
        for index, name in outs.items():
            if name not in written:
                function.lines.append(f"{function.column(name)}.copy_({function.values[index]})")
        for i in keep:
            if outs.get(self.plan.outputs[i].index) != f"o{i}":
                value = function.values[self.plan.outputs[i].index]
                function.lines.append(f"{function.column(f'o{i}')}.copy_({value})")
        function.results = [
            function.values[node.index] if node.has_rows else self._in_every_row(function, node)
            for node in self.plan.outputs
        ]
        if record:
            known = {name: function.values[node.index] for name, node in nodes.items() if name in record}
            known.update({f"s{i}": f"s{i}" for i in range(len(function.results))})
            known.update({f"t{i}": value for i, value in enumerate(function.results)})
            function.lines.append(f"kept.append(({', '.join(known[name] for name in record)},))")
        return function

    def forward(
        self, function: Function, node: Node, outs: dict[int, str] | None = None, within_step: bool = False
    ) -> str:
        """Ensure that a forward node is computed and return its variable."""
        if node.index in function.values:
            return function.values[node.index]
        if node.operation in LEAVES:
            function.values[node.index] = self.leaf(function, node)
            return function.values[node.index]
        if not node.has_rows:
            function.values[node.index] = f"c{node.index}"
            return function.values[node.index]
        if within_step and node.index in self.early:
            if node.index in self.product_of:
                number, product, position = self.product_of[node.index]
                if product.results[position] is node:
                    name = function.column(f"P{number}")
                    function.values[node.index] = self._part(name, product, position)
                    return function.values[node.index]
            function.values[node.index] = function.column(f"v{node.index}")
            return function.values[node.index]
        if node.index in self.product_of:
            number, product, position = self.product_of[node.index]
            self.product(function, number, within_step)
            if node.index not in function.values:
                raise AssertionError(f"{node!r} is hidden inside a sum")
            return function.values[node.index]
        for argument in node.arguments:
            self.forward(function, argument, outs, within_step)
        out = function.column(outs[node.index]) if outs and node.index in outs else None
        write_node(node, function.values, function.lines, out)
        return function.values[node.index]

    def product(self, function: Function, number: int, within_step: bool = False) -> None:
        """Write one product and name its results."""
        product = self.plan.products[number]
        name = f"P{number}"
        if any(line.startswith(f"{name} = ") for line in function.lines) or name in function.columns:
            return
        operand = self.forward(function, product.operand, None, within_step)
        weight = f"W{number}"
        if product.addends is None:
            function.lines.append(f"{name} = torch.mm({operand}, {weight})")
        else:
            function.lines.append(
                f"{name} = torch.addmm({self._addend(function, product)}, {operand}, {weight})"
            )
        if len(product.results) == 1:
            function.values[product.results[0].index] = name
            return
        parts = ", ".join(f"v{node.index}" for node in product.results)
        function.lines.append(f"{parts} = {name}.chunk({len(product.results)}, 1)")
        function.values.update({node.index: f"v{node.index}" for node in product.results})

    def once(self, lines: Iterable[str]) -> list[str]:
        """Return the lines that compute the values read by `lines` that depend only on weights."""
        wanted = {int(found) for line in lines for found in re.findall(r"\bc(\d+)\b", line)}
        nodes = {node.index: node for node in self.plan.once}
        waiting = list(wanted)
        while waiting:
            new = {a.index for a in nodes[waiting.pop()].arguments if a.index in nodes} - wanted
            wanted |= new
            waiting.extend(new)
        found: list[str] = []
        function = Function()
        for index in sorted(wanted):
            node = nodes[index]
            names = {a.index: self._without_rows(function, a) for a in node.arguments}
            if node.operation == "linear":
                matrix, operand = names.values()
                source = f"torch.nn.functional.linear({operand}, {matrix})"
            else:
                source = expression(node, names)
            found.append(f"c{index} = {source}")
        return found

    def _without_rows(self, function: Function, node: Node) -> str:
        if node.operation not in LEAVES:
            return f"c{node.index}"
        return self.weight(function, node) if node.operation == "matrix" else self.leaf(function, node)

    def _in_every_row(self, function: Function, node: Node) -> str:
        """Return the source of a value without rows as the new state of every row."""
        return f"{function.values[node.index]}.expand(s0.shape[0], -1)"

    def weights(self, function: Function) -> list[str]:
        """Return the lines that stack the weights of the products a function applies."""
        lines = []
        for number, product in enumerate(self.plan.products):
            if any(f" W{number})" in line for line in function.lines):
                lines.append(f"W{number} = {self.stacked(product.family, product.rows)}.t()")
        return lines

    def _addend(self, function: Function, product: Product) -> str:
        assert product.addends is not None
        if product.addends[0].operation == "parameter":
            places = [self.program.family_of(node.name) for node in product.addends]
            return self.stacked(places[0][0], tuple(rows for _, rows in places))
        number = self.product_of[product.addends[0].index][0]
        return function.column(f"P{number}")

    def _part(self, name: str, product: Product, position: int) -> str:
        if len(product.results) == 1:
            return name
        width = product.rows[0].stop - product.rows[0].start
        return f"{name}[:, {position * width}:{(position + 1) * width}]"

    def _state_leaf(self, i: int) -> int:
        name = self.program.state_names[i]
        width, shape = self.program.state_widths[i], self.program.state_shapes[i]
        return self.program.trace.leaf("state", name, width, shape).index
