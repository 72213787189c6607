"""One layer of a step as a C function."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from nabi.shipping._c._mathematics import expression, number
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

__all__ = ["Array", "layer_function"]

# Names that mean something in the functions that are written here.
_TAKEN = frozenset({
    "n", "k", "o", "t", "row", "total", "state", "scratch", "input", "auto", "break", "case", "char", "const",
    "continue", "default", "do", "double", "each", "else", "enum", "extern", "float", "for", "goto", "if",
    "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof", "static",
    "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
})  # fmt: skip
_ASCII = {
    "σ": "sigmoid",
    "∘": "*",
    "·": "*",
    "×": "*",
    "−": "-",
    "…": "...",
    "∑": "sum",
    "Σ": "sum",
    "√": "sqrt",
}


class Array(NamedTuple):
    """Weights as a C array: its name, what it is, and its numbers."""

    name: str
    about: str
    numbers: Numbers


def layer_function(prefix: str, layer: StepLayer, layout: Layout) -> tuple[str, list[Array]]:
    """Return the function `static void PREFIX_LAYER(const float *input, float *state, float *scratch)`.

    Args:
        prefix: of all names.
        layer: the layer.
        layout: where values lie, for vectors of one number.

    Returns:
        The text, and the weights that it reads.
    """
    return _Writer(prefix, layer, layout).written()


class _Writer:
    def __init__(self, prefix: str, layer: StepLayer, layout: Layout) -> None:
        self._layer, self._layout = layer, layout
        self._name = f"{prefix}_{layer.name}"
        self._arrays: dict[int, Array] = {}
        self._names: dict[int, str] = {}
        self._taken = set(_TAKEN)
        self._pointers: list[str] = []
        self._lines: list[str] = []

    def written(self) -> tuple[str, list[Array]]:
        for instruction in self._layer.instructions:
            self._write(instruction)
        body = "\n".join(self._lines)
        used = [name for name in ("n", "k", "o", "row") if re.search(rf"\bfor \({name} = |\b{name} = ", body)]
        counters = [f"    int {', '.join(used)};"] if used else []
        about = [f"/* {_plain(self._layer.name)}: {_plain(self._layer.title)}"]
        about += [f" *   {_plain(line)}" for line in self._layer.equations] + [" */"]
        unused = [f"    (void){name};" for name in ("input", "state", "scratch")
                  if not re.search(rf"\b{name}\b", "\n".join([*self._pointers, body]))]  # fmt: skip
        head = f"static void {self._name}(const float *input, float *state, float *scratch)"
        text = [*about, head, "{", *self._pointers, *counters, *unused, body, "}"]
        return "\n".join(text), list(self._arrays.values())

    # Names ------------------------------------------------------------------------------------------------

    def _free(self, wanted: str) -> str:
        name = re.sub(r"\W+", "_", _plain(wanted)).strip("_") or "value"
        name = f"v_{name}" if name[0].isdigit() else name
        found, count = name, 1
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found

    def _value(self, value: Value) -> str:
        """Return the name of a value: a pointer declared at the beginning of the function, or an array."""
        place = value.place
        if value is not place and place.memory == "state":
            return self._value(place)
        if id(value) not in self._names:
            if value.memory == "weights" and value.numbers is not None:
                self._names[id(value)] = self._array(value.name, value.name, value.numbers)
            else:
                self._names[id(value)] = name = self._free(value.name)
                constant = "const " if value.memory == "input" else ""
                at = self._layout.place(value)
                start = f"{value.memory} + {at}" if at else value.memory
                self._pointers.append(f"    {constant}float *const {name} = {start};")
        return self._names[id(value)]

    def _array(self, name: str, about: str, numbers: Numbers) -> str:
        label = f"{self._name}_{re.sub(r'[^A-Za-z0-9_]+', '_', _plain(name)).strip('_') or 'w'}"
        known = {one.name for one in self._arrays.values()}
        found, count = label, 1
        while found in known:
            count += 1
            found = f"{label}_{count}"
        self._arrays[len(self._arrays)] = Array(found, about, numbers.reshape(-1))
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
        outer = set(self._taken)
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
        self._add(0, f"for (n = 0; n < {instruction.width}; n++) {{" if wide else "{")
        for one in instruction.operations:
            found = expression(one.operation, [given(argument) for argument in one.arguments])
            names[id(one)] = self._free(one.name or "a")
            self._add(1, f"const float {names[id(one)]} = {found};")
        for one, value in instruction.results:
            self._add(1, f"{self._value(value)}[{'n' if wide else '0'}] = {names[id(one)]};")
        self._add(0, "}")
        self._taken = outer | set(self._names.values())

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


def _plain(text: str) -> str:
    """Return a text in the characters that every compiler reads."""
    for sign, word in _ASCII.items():
        text = text.replace(sign, word)
    return text.encode("ascii", "replace").decode().replace("*/", "* /")
