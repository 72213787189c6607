"""Writes the summaries of native kernels in this folder: `python -m tests.targets.llvm.golden.write`.

A summary says how a cell's step and its derivative are divided into passes, what is saved between them, how
large register tiles are, and how many instructions of each kind are written. `git diff` then shows what a
change of the generator does to every cell.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nabi import cells
from nabi.ir import Node, Program
from nabi.native import OTHER_MACHINES, Machine
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._kinds import make_backward, make_forward
from nabi.targets.llvm._plan._schedule import Pass, Schedule, Sum
from nabi.targets.llvm._writer._module import write_module
from tests.cells.sampling import CLASSIC

FOLDER = Path(__file__).parent
# The last two have no product in their loop: one reads its states after it, the other normalises them, too.
NAMES = (*CLASSIC, "lru", "hgrn")
UNITS, INPUTS, DTYPE = 32, 8, "float32"
COUNTED = "x86_64-linux-avx512"
TILED = (COUNTED, "x86_64-linux-avx2", "aarch64-linux")

INSTRUCTION = re.compile(r"  (?:%\S+ = )?(?:tail )?(\w+)")
CALLED = re.compile(r'@"?([\w.]+)"?\(')
SUFFIX = re.compile(r"^llvm\.|\.v\d+f\d+|\.p0")
KINDS = ("fadd", "fdiv", "fmul", "load", "store")


def summary(name: str) -> str:
    """The summary of a cell, without a line feed at its end."""
    narrower = {"projection": UNITS // 2} if name == "projected-lstm" else {}
    program = cells.get(name)(units=UNITS, **narrower).program(INPUTS)
    text = _Words(program)
    machine = OTHER_MACHINES[COUNTED]
    inference, training = (_forward(program, machine, save) for save in (False, True))
    backward = _backward(program, machine)
    lines = [f"{type(program.cell).__name__}: {UNITS} units, input of width {INPUTS}, {DTYPE}", ""]
    for title, schedule in _schedules(training):
        lines += [title, *text.schedule(schedule)]
    lines += ["  saved: " + text.slots(training.values.slots, training.values.saved_numbers)]
    lines.append("")
    for title, schedule in _schedules(backward):
        lines += [title, *text.schedule(schedule)]
    lines += ["  panels: " + text.slots(backward.values.panels)]
    lines += ["  operands: " + text.several(backward.operands)]
    lines += ["", "tiles, rows × vectors for every pass: many rows, few rows, backward, its input"]
    lines += [f"  {other:20} {_tiles(program, OTHER_MACHINES[other])}" for other in TILED]
    lines += ["", f"instructions, {COUNTED}"]
    kernels = (("inference", inference), ("training", training), ("backward", backward))
    for title, kernel in kernels:
        lines += [f"  {title}", *_counts(str(write_module(kernel)))]
    return "\n".join(lines)


def _forward(program: Program, machine: Machine, save: bool, few_rows: bool = False) -> ForwardKernel:
    columns_first = (True,) * len(program.families)
    return make_forward(program, DTYPE, machine, save, (0,), False, columns_first, few_rows)


def _backward(program: Program, machine: Machine) -> BackwardKernel:
    columns_first = (True,) * len(program.families)
    return make_backward(program, DTYPE, machine, (0,), (0,), False, False, columns_first, True, True, False)


def _schedules(kernel: ForwardKernel | BackwardKernel) -> list[tuple[str, Schedule]]:
    """What a kernel computes, in order: a step, or what surrounds a loop without products and the loop."""
    if isinstance(kernel, ChunkedForward):
        before, loop, after = kernel.schedules
        return [("forward, before the loop", before), ("forward, loop", loop), ("forward, after it", after)]
    if isinstance(kernel, ChunkedBackward):
        begin, *others = kernel.stages.items()
        found = [begin, ("loop", kernel), *others]
        return [(f"backward, {title}", stage.schedule) for title, stage in found]
    if isinstance(kernel, ForwardKernel):
        return [("forward", kernel.schedule)]
    found = [("backward", kernel.schedule)]
    return found if kernel.input_schedule is None else [*found, ("backward, input", kernel.input_schedule)]


def _tiles(program: Program, machine: Machine) -> str:
    backward = _backward(program, machine)
    many, few = (_forward(program, machine, True, few_rows).tiles for few_rows in (False, True))
    groups = (many, few, backward.tiles, backward.input_tiles)
    return " | ".join(" ".join(f"{t.rows}×{t.vectors}" for t in found.values()) or "-" for found in groups)


def _counts(module: str) -> list[str]:
    """Instructions by kind, then calls by name, all functions of a module together."""
    kinds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for line in module.splitlines():
        found = INSTRUCTION.match(line)
        if found is None:
            continue
        if found[1] == "call":
            called = CALLED.search(line)
            assert called is not None, line
            calls[SUFFIX.sub("", called[1])] += 1
        elif found[1] in KINDS:
            kinds[found[1]] += 1
    return [
        "    " + ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
        for found in (kinds, calls)
    ]


class _Words:
    """Words for the nodes of a program: names where there are any, no numbers of nodes."""

    def __init__(self, program: Program) -> None:
        self.names = {**program.names}
        derivative = program.derivative
        for state, node, output in zip(
            program.state_names, derivative.states, program.plan.outputs, strict=True
        ):
            self.names[output.index] = f"{state}_t"
            if node is not None:
                self.names[node.index] = f"∂{state}"
        for given, node in zip(program.inputs, derivative.inputs, strict=True):
            if node is not None:
                self.names[node.index] = f"∂{given.name}"
        for name, pairs in derivative.matrices.items():
            for cotangent, operand in pairs:
                self.names.setdefault(cotangent.index, f"∂({name} {self.one(operand)})")

    def one(self, node: Node) -> str:
        """A word for a node."""
        if node.index in self.names:
            return self.names[node.index]
        if node.operation == "linear":
            pairs = zip(node.arguments[::2], node.arguments[1::2], strict=True)
            return " + ".join(f"{matrix.name} {self.one(operand)}" for matrix, operand in pairs)
        return node.name or node.operation

    def several(self, nodes: Iterable[Node]) -> str:
        """Words for nodes, sorted; how often where there are several of one word."""
        counts = Counter(map(self.one, nodes))
        words = (f"{count} {word}" if count > 1 else word for word, count in sorted(counts.items()))
        return ", ".join(words) or "-"

    def slots(self, found: dict[int, tuple[Node, ...]], numbers: tuple[Node, ...] = ()) -> str:
        """Words for nodes by width; those without one are a number a row."""
        parts = [f"width {width}: {self.several(nodes)}" for width, nodes in sorted(found.items())]
        parts += [f"numbers: {self.several(numbers)}"] if numbers else []
        return "; ".join(parts) or "-"

    def schedule(self, found: Schedule) -> list[str]:
        """Passes and reductions in their order."""
        lines = []
        for item in found.order:
            if isinstance(item, Pass):
                lines.append(f"  {item.level} pass, width {item.width}: stores {self.several(item.stores)}")
                sums = Counter(self._sum(total) for total in item.sums)
                lines += [f"      {f'{n} times ' if n > 1 else ''}{text}" for text, n in sorted(sums.items())]
            else:
                lines.append(f"  {item.level} reductions: {self.several(item.nodes)}")
        lines.append("  read again by a later pass: " + self.several(found.stored))
        return lines

    def _sum(self, total: Sum) -> str:
        terms = sorted(f"{matrix.name} {self.one(operand)}" for matrix, operand in total.terms)
        return " + ".join([*terms, *sorted(map(self.one, total.others))])


def main() -> None:
    """Write all summaries; delete those of cells that are no more."""
    for path in FOLDER.glob("*.txt"):
        if path.stem not in NAMES:
            path.unlink()
    for name in NAMES:
        (FOLDER / f"{name}.txt").write_text(summary(name) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
