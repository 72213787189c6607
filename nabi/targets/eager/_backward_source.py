"""Writes the backward functions of a kernel from a plan: one step back, and the part after the loop.

Variables are named as in the forward source.
"""

from nabi.ir import LEAVES, Node, Program, join_slices
from nabi.targets.eager._forward_source import ForwardWriter, Function
from nabi.targets.eager._render import write_node

__all__ = ["BackwardWriter"]


class BackwardWriter(ForwardWriter):
    """Writes the derivative; call `backward_step` first, `after` reads what it has stored."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.stored: set[int] = set()

    def backward_step(self) -> Function:
        """Write one step back: from the cotangents of the new states to those of the old ones."""
        function = Function()
        derivative = self.program.derivative
        loop = {node.index for node in self.plan.backward_step}
        loop.update(node.index for node in derivative.cotangents)
        results = []
        for i, node in enumerate(derivative.states):
            if node is None:
                results.append(
                    f"torch.zeros((d0.shape[0], {self.program.state_widths[i]}), "
                    "dtype=d0.dtype, device=d0.device)"
                )
            else:
                results.append(self.backward(function, node, in_loop=True))
        # Values read after the loop: whole stacks, or single nodes.
        for number, stack in enumerate(self.plan.stacks):
            if all(node.index in loop for node in stack):
                self._stack_in_loop(function, number)
        for node in self._read_after(loop):
            self.stored.add(node.index)
            value = self.backward(function, node, in_loop=True)
            function.lines.append(f"{function.column(f'k{node.index}')}.copy_({value})")
        function.results = results
        return function

    def backward(self, function: Function, node: Node, in_loop: bool) -> str:
        """Ensure that a node of the derivative is computed and return its variable."""
        if node.index in function.values:
            return function.values[node.index]
        if not node.has_rows and node.operation not in LEAVES:
            name = f"c{node.index}"
        elif not in_loop and node.index in self.stored:
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
        """Ensure that a stack is available and return its variable."""
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
        """The stacks that the backward loop writes."""
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
        """Return the nodes of the loop that are read after it, other than as part of a stored stack."""
        derivative = self.program.derivative
        roots = [*derivative.inputs, *derivative.vectors.values()]
        roots += [
            node
            for number, stack in enumerate(self.plan.stacks)
            if number not in self.loop_stacks
            for node in stack
        ]
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
        """Return the part of a stored stack that holds a cotangent, if any."""
        for number in sorted(self.loop_stacks):
            start = 0
            for member in self.plan.stacks[number]:
                assert member.width is not None
                if member is node:
                    return f"D{number}[:, {start}:{start + member.width}]"
                start += member.width
        return None

    def after(self, need_input: bool, need_families: tuple[bool, ...]) -> Function:
        """Write the part after the backward loop: the gradients of the input and of the weights."""
        function = Function()
        derivative = self.program.derivative
        for number in sorted(self.loop_stacks):
            for node in self.plan.stacks[number]:
                part = self._stack_part(node)
                if node.index not in self.stored and part is not None:
                    function.values.setdefault(node.index, part)
        results = ["None"]
        if need_input and derivative.reaches_inputs:
            results[0] = self._input_gradient(function)
        for number, family in enumerate(self.program.families):
            if not need_families[number]:
                results.append("None")
            elif len(family.shape) == 2:
                results.append(self._matrix_gradient(function, number))
            else:
                results.append(self._vector_gradient(function, number))
        function.results = results
        for number in sorted(self.loop_stacks):
            if any(f"D{number}" in line for line in function.lines):
                function.column(f"D{number}")
        return function

    def _input_gradient(self, function: Function) -> str:
        """Write the gradients of all inputs side by side, as they are read."""
        parts = []
        for given, node in zip(self.program.inputs, self.program.derivative.inputs, strict=True):
            if node is None:
                parts.append(f"torch.zeros_like({function.column('x')}[:, :{given.width or 1}])")
            else:
                parts.append(self.backward(function, node, in_loop=False))
        return parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}), 1)"

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
            read = self.backward(function, members[0][2], in_loop=False)
            if not members[0][2].has_rows:
                # The operand is the same for all rows, so their cotangents are summed first.
                stack, read = f"{stack}.sum(0, keepdim=True)", f"{read}[None]"
            product = f"outer({stack}, {read}, families[{number}])"
            joined = join_slices(tuple(m[0] for m in members))
            if joined is not None:
                pieces.append((joined, product))
                continue
            width = members[0][0].stop - members[0][0].start
            name = f"m{number}_{members[0][2].index}"
            function.lines.append(f"{name} = {product}")
            pieces += [(m[0], f"{name}[{i * width}:{(i + 1) * width}]") for i, m in enumerate(members)]
        pieces.sort(key=lambda piece: piece[0].start)
        covered = join_slices(tuple(piece[0] for piece in pieces)) if pieces else None
        if covered == slice(0, self.program.families[number].shape[0]):
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
                return f"{self.stack(function, stack_number, in_loop=False)}.sum(0)"
        sums = []
        for parameter, node in zip(members, nodes, strict=True):
            if node is None:
                sums.append(f"torch.zeros_like(families[{number}][:{parameter.shape[0]}])")
            else:
                sums.append(f"{self.backward(function, node, in_loop=False)}.sum(0)")
        return sums[0] if len(sums) == 1 else f"torch.cat(({', '.join(sums)}))"


def _label(rows: tuple[slice, ...]) -> str:
    return "_".join(str(piece.start) for piece in rows)
