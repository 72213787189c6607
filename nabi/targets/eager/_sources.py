"""Writes the four functions of a kernel from a plan: before the loop, one step, one step back, after.

Variables are named after what they hold: `v12` node 12, `P0` the result of product 0, `W0` its weights,
`D0` a stack of cotangents, `s1` the state 1 before a step, `n0` noise 0, `k12` node 12 stored by the loop
backward for the time after it, `o12` where node 12 is written to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nabi.ir import LEAVES, Node, Plan, Product, Program, join_slices
from nabi.targets.eager._render import write_node

__all__ = ["Function", "Writer"]


@dataclass
class Function:
    """A function in the making: the columns it is given for each step, its lines, the values it knows."""

    columns: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """Return the name of a column, asked for on first use."""
        if name not in self.columns:
            self.columns.append(name)
        return name


class Writer:
    """Knows where the nodes of a plan come from and writes the lines that compute them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.plan: Plan = program.plan
        self.saved = {node.index for node in self.plan.saved}
        self.early = {node.index for node in self.plan.before}
        self.output_of = {node.index: i for i, node in enumerate(self.plan.outputs) if node.arguments}
        self.noise_index = {noise.name: i for i, noise in enumerate(program.noises)}
        self.product_of: dict[int, tuple[int, Product, int]] = {}
        self.made_by_sum: dict[int, int] = {}
        for i, product in enumerate(self.plan.products):
            for position, (node, result) in enumerate(zip(product.maps, product.results, strict=True)):
                self.product_of[result.index] = (i, product, position)
                self.product_of.setdefault(node.index, (i, product, position))
        self.stored: set[int] = set()

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
        """Return the source of a leaf, asking for its column."""
        if node.operation == "constant":
            return f"({node.value!r})"
        if node.operation == "parameter":
            return self.weight(function, node)
        if node.operation == "input":
            return function.column("x")
        if node.operation == "noise":
            return function.column(f"n{self.noise_index[node.name]}")
        if node.operation == "cotangent":
            return f"d[{[c.index for c in self.program.derivative.cotangents].index(node.index)}]"
        return function.column(f"s{self.program.state_names.index(node.name)}")

    # Forward.

    def before(self, wanted: Iterable[str]) -> Function:
        """Write what is computed for all rows at once; returns what is `wanted`, in that order."""
        function = Function()
        for name in wanted:
            if name.startswith("P"):
                self.product(function, int(name[1:]))
            else:
                self.forward(function, self.program.trace.nodes[int(name[1:])])
        returned = [n if n.startswith("P") else function.values[int(n[1:])] for n in wanted]
        function.lines.append(f"return ({', '.join(returned)}{',' if returned else ''})")
        return function

    def step(self, keep: tuple[int, ...], save: bool) -> Function:
        """Write one step: from the states to the new ones, writing kept states and saved nodes out."""
        function = Function()
        outs = {self.plan.outputs[i].index: f"o{i}" for i in keep if self.plan.outputs[i].arguments}
        if save:
            outs.update({n.index: f"o{n.index}_" for n in self.plan.saved if n.index not in self.early})
        for i in range(len(self.program.state_names)):
            function.values[self._state_leaf(i)] = f"s[{i}]"
        saved = [node for node in self.plan.saved if save and node.index not in self.early]
        for node in (*saved, *self.plan.outputs):
            self.forward(function, node, outs, within_step=True)
        written = [name for index, name in outs.items() if name in function.columns]
        for index, name in outs.items():
            if name not in written:
                function.lines.append(f"{function.column(name)}.copy_({function.values[index]})")
        for i in keep:
            if not self.plan.outputs[i].arguments:
                value = function.values[self.plan.outputs[i].index]
                function.lines.append(f"{function.column(f'o{i}')}.copy_({value})")
        returned = ", ".join(function.values[node.index] for node in self.plan.outputs)
        function.lines.append(f"return ({returned},)")
        return function

    def forward(
        self, function: Function, node: Node, outs: dict[int, str] | None = None, within_step: bool = False
    ) -> str:
        """Make sure that a forward node is computed and return its variable."""
        if node.index in function.values:
            return function.values[node.index]
        if node.operation in LEAVES:
            function.values[node.index] = self.leaf(function, node)
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
            function.lines.append(f"{name} = torch.addmm({self._addend(function, product)}, {operand}, {weight})")
        if len(product.results) == 1:
            function.values[product.results[0].index] = name
            return
        parts = ", ".join(f"v{node.index}" for node in product.results)
        function.lines.append(f"{parts} = {name}.split({product.rows[0].stop - product.rows[0].start}, 1)")
        function.values.update({node.index: f"v{node.index}" for node in product.results})

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
        return self.program.trace.leaf("state", name, self.program.state_widths[i]).index

    # Backward.

    def backward_step(self) -> Function:
        """Write one step back: from the cotangents of the new states to those of the old ones."""
        function = Function()
        derivative = self.program.derivative
        loop = {node.index for node in self.plan.backward_step}
        loop.update(node.index for node in derivative.cotangents)
        results = []
        for i, node in enumerate(derivative.states):
            if node is None:
                results.append(f"torch.zeros((d[0].shape[0], {self.program.state_widths[i]}), "
                               "dtype=d[0].dtype, device=d[0].device)")
            else:
                results.append(self.backward(function, node, in_loop=True))
        # What the time after the loop reads of it: whole stacks, or single nodes.
        for number, stack in enumerate(self.plan.stacks):
            if all(node.index in loop for node in stack):
                self._stack_in_loop(function, number)
        for node in self._read_after(loop):
            self.stored.add(node.index)
            value = self.backward(function, node, in_loop=True)
            function.lines.append(f"{function.column(f'k{node.index}')}.copy_({value})")
        function.lines.append(f"return ({', '.join(results)},)")
        return function

    def backward(self, function: Function, node: Node, in_loop: bool) -> str:
        """Make sure that a node of the derivative is computed and return its variable."""
        if node.index in function.values:
            return function.values[node.index]
        if not in_loop and node.index in self.stored:
            name = function.column(f"k{node.index}")
        elif node.operation in LEAVES:
            name = self.leaf(function, node)
        elif node.index in self.output_of:
            name = function.column(f"t{self.output_of[node.index]}")
        elif node.index in self.saved:
            name = function.column(f"v{node.index}_")
        elif node.operation == "linear_transposed":
            return self._linear_transposed(function, node, in_loop)
        else:
            for argument in node.arguments:
                self.backward(function, argument, in_loop)
            write_node(node, function.values, function.lines)
            return function.values[node.index]
        function.values[node.index] = name
        return name

    def stack_number(self, nodes: tuple[Node, ...]) -> int:
        """Return the number of a stack."""
        wanted = tuple(node.index for node in nodes)
        return next(i for i, s in enumerate(self.plan.stacks) if tuple(n.index for n in s) == wanted)

    def stack(self, function: Function, number: int, in_loop: bool) -> str:
        """Make sure that a stack is at hand and return its variable."""
        name = f"D{number}"
        if in_loop:
            self._stack_in_loop(function, number)
        elif number in self.loop_stacks:
            function.column(name)
        elif not any(line.startswith(f"{name} = ") for line in function.lines):
            values = [self.backward(function, node, in_loop) for node in self.plan.stacks[number]]
            source = values[0] if len(values) == 1 else f"torch.cat(({', '.join(values)}), 1)"
            function.lines.append(f"{name} = {source}")
        return name

    @property
    def loop_stacks(self) -> set[int]:
        """The stacks that the loop backward writes."""
        loop = {node.index for node in self.plan.backward_step}
        loop.update(node.index for node in self.program.derivative.cotangents)
        return {i for i, stack in enumerate(self.plan.stacks) if all(n.index in loop for n in stack)}

    def _stack_in_loop(self, function: Function, number: int) -> None:
        name = f"D{number}"
        if name in function.columns:
            return
        values = [self.backward(function, node, in_loop=True) for node in self.plan.stacks[number]]
        function.column(name)
        if len(values) == 1:
            function.lines.append(f"{name}.copy_({values[0]})")
        else:
            function.lines.append(f"torch.cat(({', '.join(values)}), 1, out={name})")

    def _linear_transposed(self, function: Function, node: Node, in_loop: bool) -> str:
        number = self.stack_number(node.arguments[1::2])
        stack = self.stack(function, number, in_loop)
        places = [self.program.family_of(matrix.name) for matrix in node.arguments[::2]]
        name = f"v{node.index}"
        rows = tuple(place for _, place in places)
        function.lines.append(f"{name} = torch.mm({stack}, U{places[0][0]}_{_label(rows)})")
        function.values[node.index] = name
        return name

    def transposed_weights(self, function: Function) -> list[str]:
        """Return the lines that stack the weights a backward function applies."""
        lines = []
        for node in self.program.derivative.nodes:
            if node.operation == "linear_transposed":
                places = [self.program.family_of(matrix.name) for matrix in node.arguments[::2]]
                rows = tuple(place for _, place in places)
                name = f"U{places[0][0]}_{_label(rows)}"
                line = f"{name} = {self.stacked(places[0][0], rows)}"
                if any(f" {name})" in other for other in function.lines) and line not in lines:
                    lines.append(line)
        return lines

    def _read_after(self, loop: set[int]) -> list[Node]:
        """Nodes of the loop that something after it reads, other than as part of a stored stack."""
        derivative = self.program.derivative
        roots = [derivative.input, *derivative.vectors.values()]
        roots += [node for number, stack in enumerate(self.plan.stacks) if number not in self.loop_stacks
                  for node in stack]
        found: dict[int, Node] = {}
        seen: set[int] = set()
        waiting = [node for node in roots if node is not None]
        while waiting:
            node = waiting.pop()
            if node.index in seen or not node.reads_cotangent:
                continue
            seen.add(node.index)
            if node.index in loop:
                if self._stack_part(node) is None:
                    found[node.index] = node
            elif node.operation == "linear_transposed":
                if self.stack_number(node.arguments[1::2]) not in self.loop_stacks:
                    waiting.extend(node.arguments[1::2])
            else:
                waiting.extend(node.arguments)
        return [found[index] for index in sorted(found)]

    def _stack_part(self, node: Node) -> str | None:
        """Return where in a stored stack a cotangent lies, if in any."""
        for number in sorted(self.loop_stacks):
            start = 0
            for member in self.plan.stacks[number]:
                assert member.width is not None
                if member is node:
                    return f"D{number}[:, {start}:{start + member.width}]"
                start += member.width
        return None

    def after(self, need_input: bool, need_families: tuple[bool, ...]) -> Function:
        """Write what follows the loop backward: the gradients of the input and of the weights."""
        function = Function()
        derivative = self.program.derivative
        for number in sorted(self.loop_stacks):
            for node in self.plan.stacks[number]:
                part = self._stack_part(node)
                if node.index not in self.stored and part is not None:
                    function.values.setdefault(node.index, part)
        results = ["None"]
        if need_input and derivative.input is not None:
            results[0] = self.backward(function, derivative.input, in_loop=False)
        for number, family in enumerate(self.program.families):
            if not need_families[number]:
                results.append("None")
            elif len(family.shape) == 2:
                results.append(self._matrix_gradient(function, number))
            else:
                results.append(self._vector_gradient(function, number))
        function.lines.append(f"return ({', '.join(results)},)")
        for number in sorted(self.loop_stacks):
            if any(f"D{number}" in line for line in function.lines):
                function.column(f"D{number}")
        return function

    def _matrix_gradient(self, function: Function, number: int) -> str:
        groups: dict[int, list[tuple[slice, Node, Node]]] = {}
        for parameter in self.program.parameters:
            family, rows = self.program.family_of(parameter.name)
            for cotangent, operand in self.program.derivative.matrices.get(parameter.name, ()):
                if family == number:
                    groups.setdefault(operand.index, []).append((rows, cotangent, operand))
        pieces: list[tuple[slice, str]] = []
        for members in groups.values():
            members.sort(key=lambda member: member[0].start)
            stack = self.stack(function, self.stack_number(tuple(m[1] for m in members)), in_loop=False)
            operand = self.backward(function, members[0][2], in_loop=False)
            product = f"torch.mm({stack}.t(), {operand})"
            joined = join_slices(tuple(m[0] for m in members))
            if joined is not None:
                pieces.append((joined, product))
                continue
            width = members[0][0].stop - members[0][0].start
            name = f"m{number}_{members[0][2].index}"
            function.lines.append(f"{name} = {product}")
            pieces += [(m[0], f"{name}[{i * width}:{(i + 1) * width}]") for i, m in enumerate(members)]
        pieces.sort(key=lambda piece: piece[0].start)
        rows = join_slices(tuple(piece[0] for piece in pieces)) if pieces else None
        if rows == slice(0, self.program.families[number].shape[0]):
            sources = [source for _, source in pieces]
            return sources[0] if len(sources) == 1 else f"torch.cat(({', '.join(sources)}))"
        name = f"g{number}"
        function.lines.append(f"{name} = torch.zeros_like(families[{number}])")
        function.lines += [f"{name}[{place.start}:{place.stop}] += {source}" for place, source in pieces]
        return name

    def _vector_gradient(self, function: Function, number: int) -> str:
        family = self.program.families[number]
        members = [p for p in self.program.parameters if p.family == family.name]
        nodes = [self.program.derivative.vectors.get(p.name) for p in members]
        indices = [node.index if node is not None else -1 for node in nodes]
        for stack_number in sorted(self.loop_stacks):
            stack = self.plan.stacks[stack_number]
            if [node.index for node in stack] == indices:
                return f"D{stack_number}.sum(0)"
        sums = []
        for parameter, node in zip(members, nodes, strict=True):
            if node is None:
                sums.append(f"torch.zeros_like(families[{number}][:{parameter.shape[0]}])")
            else:
                sums.append(f"{self.backward(function, node, in_loop=False)}.sum(0)")
        return sums[0] if len(sums) == 1 else f"torch.cat(({', '.join(sums)}))"


def _label(rows: tuple[slice, ...]) -> str:
    return "_".join(str(piece.start) for piece in rows)
