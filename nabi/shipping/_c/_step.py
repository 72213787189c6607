"""One layer of a step as a C function."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from nabi.shipping._c._mathematics import expression, number
from nabi.shipping._c._names import Names, commented, word
from nabi.shipping._memory import Layout
from nabi.shipping._program import (
    Cumulative,
    Elementwise,
    Instruction,
    Lookup,
    Map,
    Move,
    Numbers,
    Product,
    Push,
    Reduction,
    StepLayer,
    Term,
    Value,
)

__all__ = ["Array", "LayerFunction", "layer_function"]


class Array(NamedTuple):
    """Weights as a C array: its name, what it is, and its numbers."""

    name: str
    about: str
    numbers: Numbers


class LayerFunction(NamedTuple):
    """A layer as a C function: its name, its text, and the weights that it reads."""

    name: str
    text: str
    arrays: list[Array]


def layer_function(
    prefix: str, layer: StepLayer, layout: Layout, names: Names, *, keeps_rows: bool = False
) -> LayerFunction:
    """Return the function `static void PREFIX_LAYER(const float *input, float *state, float *scratch)`.

    Args:
        prefix: of all names.
        layer: the layer.
        layout: where values lie, for vectors of one number.
        names: of the file.
        keeps_rows: whether the input is the row of a step, in which the layer may write what it keeps.
    """
    return _Writer(prefix, layer, layout, names, "" if keeps_rows else "const ").written()


class _Writer:
    def __init__(self, prefix: str, layer: StepLayer, layout: Layout, names: Names, constant: str) -> None:
        self._layer, self._layout, self._constant = layer, layout, constant
        self._file = names
        self._name = names.free(f"{prefix}_{layer.name}")
        self._arrays: list[Array] = []
        self._names: dict[int, str] = {}
        self._local = Names(prefix=f"{prefix}_")
        self._pointers: list[str] = []
        self._lines: list[str] = []

    def written(self) -> LayerFunction:
        for instruction in self._layer.instructions:
            self._write(instruction)
        body = "\n".join(self._lines)
        used = [name for name in ("n", "k", "o", "row") if re.search(rf"\bfor \({name} = |\b{name} = ", body)]
        counters = [f"    int {', '.join(used)};"] if used else []
        about = [f"/* {commented(self._layer.name)}: {commented(self._layer.title)}"]
        about += [f" *   {commented(line)}" for line in self._layer.equations] + [" */"]
        unused = [f"    (void){name};" for name in ("input", "state", "scratch")
                  if not re.search(rf"\b{name}\b", "\n".join([*self._pointers, body]))]  # fmt: skip
        head = f"static void {self._name}({self._constant}float *input, float *state, float *scratch)"
        text = [*about, head, "{", *self._pointers, *counters, *unused, body, "}"]
        return LayerFunction(self._name, "\n".join(text), self._arrays)

    # Names ------------------------------------------------------------------------------------------------

    def _value(self, value: Value) -> str:
        """Return the name of a value: a pointer declared at the beginning of the function, or an array."""
        place = value.place
        if value is not place and place.memory == "state":
            return self._value(place)
        if id(value) not in self._names:
            if value.memory == "weights" and value.numbers is not None:
                self._names[id(value)] = self._array(value.name, value.name, value.numbers)
            else:
                self._names[id(value)] = name = self._local.free(value.name)
                constant = self._constant if value.memory == "input" else ""
                at = self._layout.place(value)
                start = f"{value.memory} + {at}" if at else value.memory
                self._pointers.append(f"    {constant}float *const {name} = {start};")
        return self._names[id(value)]

    def _array(self, name: str, about: str, numbers: Numbers) -> str:
        found = self._file.free(f"{self._name}_{word(name, 'w')}")
        self._arrays.append(Array(found, about, numbers.reshape(-1)))
        return found

    def _add(self, depth: int, line: str) -> None:
        self._lines.append("    " * (depth + 1) + line)

    # Instructions -----------------------------------------------------------------------------------------

    def _write(self, instruction: Instruction) -> None:
        match instruction:
            case Product():
                self._product(instruction)
            case Map():
                self._map(instruction)
            case Reduction():
                self._reduction(instruction)
            case Cumulative():
                self._cumulative(instruction)
            case Move():
                self._move(instruction)
            case Lookup():
                self._lookup(instruction)
            case Push():
                self._push(instruction)

    def _product(self, product: Product) -> None:
        result, units = self._value(product.result), product.result.width
        bias = self._array("b", f"[{units}]", product.bias)
        self._add(0, f"for (n = 0; n < {units}; n++)")
        self._add(1, f"{result}[n] = {bias}[n];")
        for term in product.terms:
            self._term(term, result, units)

    def _term(self, term: Term, result: str, units: int) -> None:
        columns = term.matrix.shape[1]
        operand = self._value(term.operand)
        label = f"W_{operand}" if term.back is None else f"W_{operand}_{term.back}"
        matrix = self._array(label, f"[{columns}][{units}]", term.matrix.T)
        read = f"{operand}[k]"
        if term.back is not None:
            rows = term.operand.width // columns
            self._add(0, f"row = ((int){operand}[{rows * columns}] + {rows - term.back}) % {rows};")
            read = f"{operand}[row * {columns} + k]"
        self._add(0, f"for (k = 0; k < {columns}; k++)")
        self._add(1, f"for (n = 0; n < {units}; n++)")
        self._add(2, f"{result}[n] += {matrix}[k * {units} + n] * {read};")

    def _map(self, instruction: Map) -> None:
        names: dict[int, str] = {}
        wide = instruction.width > 1

        def given(one: Elementwise | Value | float) -> str:
            if isinstance(one, Elementwise):
                return names[id(one)]
            if isinstance(one, float):
                return number(one) if one >= 0 else f"({number(one)})"
            return f"{self._value(one)}[{'n' if one.width > 1 else '0'}]"

        # Pointers are named before the loop, so that its own names do not meet theirs.
        for value in (*instruction.reads, *(value for _, value in instruction.results)):
            self._value(value)
        inner = self._local.block()
        self._add(0, f"for (n = 0; n < {instruction.width}; n++) {{" if wide else "{")
        for one in instruction.operations:
            found = expression(one.operation, [given(argument) for argument in one.arguments])
            names[id(one)] = inner.free(one.name or "a")
            self._add(1, f"const float {names[id(one)]} = {found};")
        for one, value in instruction.results:
            self._add(1, f"{self._value(value)}[{'n' if wide else '0'}] = {names[id(one)]};")
        self._add(0, "}")

    def _reduction(self, reduction: Reduction) -> None:
        source, result = self._value(reduction.source), self._value(reduction.result)
        count, inner = reduction.count, reduction.inner
        depth = 0
        for counter, size in (("o", reduction.outer), ("n", inner)):
            if size > 1:
                self._add(depth, f"for ({counter} = 0; {counter} < {size}; {counter}++)")
                depth += 1
        outer = _place(0, (count * inner, 1), ("o" if reduction.outer > 1 else "", "n" if inner > 1 else ""))
        steps = (count * inner, inner, 1)
        each = _place(0, steps, ("o" if reduction.outer > 1 else "", "k", "n" if inner > 1 else ""))
        target = _place(0, (inner, 1), ("o" if reduction.outer > 1 else "", "n" if inner > 1 else ""))
        if depth:
            self._lines[-1] += " {"
        else:
            self._add(0, "{")
            depth = 1
        self._add(depth, f"float total = {source}[{outer}];")
        self._add(depth, f"for (k = 1; k < {count}; k++) {{")
        self._add(depth + 1, f"const float each = {source}[{each}];")
        step = "total > each || total != total ? total : each" if reduction.kind == "max" else "total + each"
        self._add(depth + 1, f"total = {step};")
        self._add(depth, "}")
        total = f"total * {number(1 / count)}" if reduction.kind == "mean" else "total"
        self._add(depth, f"{result}[{target}] = {total};")
        self._add(depth - 1, "}")

    def _cumulative(self, cumulative: Cumulative) -> None:
        source, result, inner = (
            self._value(cumulative.source),
            self._value(cumulative.result),
            cumulative.inner,
        )
        rows = cumulative.source.width // inner
        self._add(0, f"for (n = 0; n < {inner}; n++) {{")
        self._add(1, "float total = 0.0f;")
        self._add(1, f"for (k = 0; k < {rows}; k++) {{")
        self._add(2, f"row = {f'{rows - 1} - k' if cumulative.backward else 'k'};")
        self._add(2, f"total += {source}[row * {inner} + n];")
        self._add(2, f"{result}[row * {inner} + n] = total;")
        self._add(1, "}")
        self._add(0, "}")

    def _move(self, move: Move) -> None:
        source, result = self._value(move.source), self._value(move.result)
        if move.clears:
            self._add(0, f"for (n = 0; n < {move.result.width}; n++)")
            self._add(1, f"{result}[n] = 0.0f;")
        axes = [f"i{place}" for place in range(len(move.shape))]
        if len(axes) == 1:
            axes = ["n"]
        else:
            self._add(0, "{")
            self._add(1, f"int {', '.join(axes)};")
        depth = 0 if len(axes) == 1 else 1
        for axis, size in zip(axes, move.shape, strict=True):
            self._add(depth, f"for ({axis} = 0; {axis} < {size}; {axis}++)")
            depth += 1
        of, to = (_place(first, steps, axes) for first, steps in (move.of, move.to))
        self._add(depth, f"{result}[{to}] = {source}[{of}];")
        if len(axes) > 1:
            self._add(0, "}")

    def _lookup(self, lookup: Lookup) -> None:
        rows, width = lookup.table.shape
        table = self._array("E", f"[{rows}][{width}]", lookup.table)
        index, result = self._value(lookup.index), self._value(lookup.result)
        self._add(
            0, f"row = {index}[0] > 0.0f ? ({index}[0] < {rows - 1}.0f ? (int){index}[0] : {rows - 1}) : 0;"
        )
        self._add(0, f"for (n = 0; n < {width}; n++)")
        self._add(1, f"{result}[n] = {table}[row * {width} + n];")

    def _push(self, push: Push) -> None:
        ring, source, width = self._value(push.ring), self._value(push.source), push.source.width
        place = push.rows * width
        self._add(0, f"row = ((int){ring}[{place}] + 1) % {push.rows}; /* the place of the oldest step */")
        self._add(0, f"{ring}[{place}] = (float)row;")
        self._add(0, f"for (n = 0; n < {width}; n++)")
        self._add(1, f"{ring}[row * {width} + n] = {source}[n];")


def _place(first: int, steps: Sequence[int], axes: Sequence[str]) -> str:
    """Return a place as a sum; an axis without a name has only its first place."""
    parts = []
    for axis, step in zip(axes, steps, strict=True):
        if step and axis:
            parts.append(axis if step == 1 else f"{axis} * {step}")
    if first or not parts:
        parts.insert(0, str(first))
    return " + ".join(parts)
