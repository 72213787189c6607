"""Runs programs with heads: torch before the loop, a kernel over the steps of every head, torch after it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Node, Program
from nabi.kernels import Rows
from nabi.native import Library, compiled, host, threads as _threads
from nabi.native.addresses import GUARDED, arguments, lay_out, to_fill, to_read, to_update
from nabi.native.memory import fresh, working_memory
from nabi.targets.llvm._heads._places import AFTER, BEFORE, LOOP, Places, places_of
from nabi.targets.llvm._heads._plan import HeadsKernel
from nabi.targets.llvm._heads._products import packed
from nabi.targets.llvm._heads._shapes import UnsupportedError
from nabi.targets.llvm._heads._stages import computed, shared
from nabi.targets.llvm._heads._torch_parts import part_of
from nabi.targets.llvm._heads._weight_gradients import family_gradient

__all__ = ["HeadsRecord", "can_run", "heads_kernel", "run_backward", "run_forward"]

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}
_LINE = 16

Results = tuple[list[Tensor | None], tuple[Tensor, ...], "HeadsRecord | None"]


class HeadsRecord:
    """What a forward pass leaves: values for all rows by node, states at the start of every chunk."""

    __slots__ = ("checks", "initial", "noises", "values", "x")

    def __init__(
        self,
        x: Tensor,
        initial: tuple[Tensor, ...],
        noises: Sequence[Tensor],
        values: dict[int, Tensor],
        checks: dict[int, Tensor],
    ) -> None:
        self.x, self.initial, self.noises, self.values, self.checks = x, initial, noises, values, checks


@lru_cache(maxsize=512)
def can_run(program: Program) -> str:
    """Return why the loop nest cannot compute a program; nothing if it can."""
    try:
        places_of(program)
    except UnsupportedError as problem:
        return str(problem)
    return ""


@lru_cache(maxsize=256)
def heads_kernel(program: Program, dtype: str, name: Any, *options: Any) -> HeadsKernel:
    """Return a kernel for this machine."""
    return HeadsKernel(program, dtype, host(), name, *options)


@lru_cache(maxsize=256)
def _library(kernel: HeadsKernel) -> Library:
    def write() -> object:
        # llvmlite takes a while to load, and code that was kept needs no writer.
        from nabi.targets.llvm._heads._kernels import write_module

        return write_module(kernel)

    label = f"{type(kernel.program.cell).__name__}, {kernel.name}, {kernel.dtype}"
    return compiled((label, *kernel.key), (kernel.name,), write, kernel.machine)


@lru_cache(maxsize=64)
def _lengths(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return how many steps each sequence has, and the rows of the last ones of those that have any."""
    with torch.inference_mode(False):
        active = torch.tensor(rows.active, dtype=torch.int64)
        lengths = (active[:, None] > torch.arange(rows.batch)).sum(0)
        count = int((lengths > 0).sum())
        return lengths, rows.offset[lengths[:count] - 1] + torch.arange(count)


class _Call:
    """The arguments of a run; holds the tensors whose addresses it has."""

    def __init__(self, kernel: HeadsKernel, dtype: torch.dtype, rows: Rows) -> None:
        self._kernel, self._rows, self._dtype = kernel, rows, dtype
        self._values: dict[str, int] = {}
        self._held: list[Tensor] = []

    def read(self, name: str, tensor: Tensor) -> None:
        """Give a contiguous tensor to be read."""
        self._held.append(tensor := tensor.contiguous())
        self._values[name] = to_read(tensor)

    def fill(self, name: str, tensor: Tensor) -> Tensor:
        """Give a tensor to be written."""
        self._held.append(tensor)
        self._values[name] = to_fill(tensor)
        return tensor

    def update(self, name: str, tensor: Tensor) -> Tensor:
        """Give a tensor to be read and written."""
        self._held.append(tensor)
        self._values[name] = to_update(tensor)
        return tensor

    def column(self, j: int, node: Node, tensor: Tensor) -> None:
        """Give the values of a node for all rows, or for none: they may be columns of a wider tensor."""
        line = tensor.stride(0) if node.has_rows and tensor.dim() == 2 else 0
        if GUARDED or tensor.stride(-1) != 1:
            tensor = tensor.contiguous()
            line = (node.width or 1) if node.has_rows else 0
        self._held.append(tensor)
        self._values[f"in_{j}"] = to_read(tensor)
        self._values[f"line_in_{j}"] = line

    def out(self, j: int, node: Node, values: dict[int, Tensor]) -> None:
        """Give memory for the values of a node for all rows, unless it has a place beside others."""
        if node.index not in values:
            values[node.index] = fresh((self._rows.count, node.width or 1), self._dtype)
        self.fill(f"out_{j}", values[node.index])
        self._values[f"line_out_{j}"] = values[node.index].stride(0)

    def weights(self, families: Sequence[Tensor]) -> None:
        """Give the weights that the loop multiplies."""
        kernel = self._kernel
        registers = kernel.machine.registers
        with torch.no_grad():
            for name, product in kernel.products.items():
                weights = packed(product, kernel.program, families, kernel.lanes, registers)
                self.read(f"weights_{name}", weights)

    def run(self, work: float) -> None:
        """Run the kernel."""
        kernel, rows = self._kernel, self._rows
        lengths, _ = _lengths(rows)
        threads = _threads.threads_for(work)
        size = kernel.scratch_size * kernel.together * threads + _LINE
        layout = lay_out({"scratch": size}, self._dtype.itemsize)
        memory = working_memory(layout)
        self._values["batch"] = rows.batch
        self._values["offset"], self._values["lengths"] = to_read(rows.offset), to_read(lengths)
        for name, flags in (("zero", rows.zero), ("cut", rows.cut)):
            if flags is not None:
                self._values[name] = to_read(flags)
        self._values["scratch"] = memory[1] + layout.places["scratch"]
        names = kernel.arguments
        block: Any = arguments(len(names), [self._values[name] for name in names])
        block.memory = memory[0]
        _threads.run(_library(kernel).address(kernel.name), block, threads)
        block.memory = None


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    save: bool,
) -> Results:
    """Run a program over packed rows, as the eager kernel; noises come as rows.

    Raises:
        NativeError: a kernel cannot be compiled.
    """
    places, dtype = places_of_cached(program), x.dtype
    kept = tuple(i for i in keep if i in places.forward.read)
    zeros = rows.zero is not None
    kernel = heads_kernel(program, _DTYPES[dtype], "forward", save, kept, (), zeros)
    values = _leaves(program, rows, x, initial, noises)
    _compute(program, values, families, _before(program, save), "before")
    call = _Call(kernel, dtype, rows)
    for j, node in enumerate(kernel.inputs):
        call.column(j, node, values[node.index])
    finals = list(initial)
    states: list[Tensor | None] = [None] * len(initial)
    checks: dict[int, Tensor] = {}
    chunks = -(-len(rows.active) // kernel.chunk)
    for i in kernel.read:
        width = program.state_widths[i]
        call.read(f"initial_{i}", initial[i])
        finals[i] = call.fill(f"final_{i}", x.new_empty((rows.batch, width)))
        if save:
            checks[i] = call.update(f"check_{i}", fresh((chunks * rows.batch, width), dtype))
        if i in kept:
            states[i] = call.fill(f"rows_{i}", fresh((rows.count, width), dtype))
    for j, target in enumerate(kernel.columns):
        call.out(j, target.node, values)
    call.weights(families)
    call.run(_work(kernel, rows))
    outputs = tuple(places.outputs[i] for i in range(len(initial)) if i not in kernel.read)
    late = _late_products(program) if save else ()
    _compute(program, values, families, (*outputs, *late), "after")
    for i, output in enumerate(places.outputs):
        if i in kernel.read:
            continue
        value = _in_rows(values[output.index], output, rows)
        finals[i] = _last_rows(value, initial[i], rows)
        if i in keep:
            # Results share memory with nothing that is read again.
            states[i] = value.clone() if save else value
    if not save:
        return states, tuple(finals), None
    wanted = {node.index for node in (*_before(program, True), *places.forward.left, *late)}
    kept_values = {index: value for index, value in values.items() if index in wanted}
    return states, tuple(finals), HeadsRecord(x, initial, noises, kept_values, checks)


def run_backward(
    program: Program,
    rows: Rows,
    record: HeadsRecord,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_families: tuple[bool, ...],
) -> tuple[Tensor | None, tuple[Tensor | None, ...], tuple[Tensor | None, ...]]:
    """Run the derivative over packed rows, as the eager kernel."""
    places, x, derivative = places_of_cached(program), record.x, program.derivative
    dtype = x.dtype
    read = places.forward.read
    given = tuple(i for i in read if state_cotangents[i] is not None)
    flags = rows.zero is not None, rows.cut is not None
    kernel = heads_kernel(program, _DTYPES[dtype], "backward", False, (), given, *flags)
    values = {**_leaves(program, rows, x, record.initial, record.noises), **record.values}
    initial: list[Tensor | None] = [None] * len(record.initial)
    for i, leaf in enumerate(derivative.cotangents):
        if i not in read:
            value, initial[i] = _of_output(state_cotangents[i], final_cotangents[i], record.initial[i], rows)
            values[leaf.index] = value
    columns = tuple(target.node for target in kernel.columns)
    wanted = _gradient_nodes(program, tuple(kernel.sums), need_input, need_families)
    later = (*_of_earlier_nodes(program), *wanted)
    _compute(program, values, families, _pre(program), "pre", None, later, columns)
    call = _Call(kernel, dtype, rows)
    for j, node in enumerate(kernel.inputs):
        call.column(j, node, values[node.index])
    for i in kernel.read:
        width = program.state_widths[i]
        final, start = final_cotangents[i], record.initial[i]
        call.read(f"final_{i}", torch.zeros_like(start) if final is None else final)
        initial[i] = call.fill(f"initial_{i}", x.new_empty((rows.batch, width)))
        call.update(f"check_{i}", record.checks[i])
        if i in given:
            cotangent = state_cotangents[i]
            assert cotangent is not None
            call.read(f"given_{i}", cotangent)
    stacks = _written_stacks(kernel, rows, dtype, values)
    for j, target in enumerate(kernel.columns):
        call.out(j, target.node, values)
    sums = {
        name: call.update(f"sum_{name}", x.new_zeros((rows.batch, target.node.width or 1)))
        for name, target in kernel.sums.items()
    }
    call.weights(families)
    call.run(3 * _work(kernel, rows))
    for i in reversed(_earlier(program)):
        initial[i] = _of_earlier(program, i, rows, values, families, stacks, initial[i], later)
    _compute(program, values, families, wanted, "after", stacks)
    (of_x,) = derivative.inputs
    dx = None if of_x is None or not need_input else _in_rows(values[of_x.index], of_x, rows)
    gradients = tuple(
        family_gradient(program, number, values, sums, family, stacks) if need_families[number] else None
        for number, family in enumerate(families)
    )
    return dx, tuple(initial), gradients


# What is computed outside the loop -----------------------------------------------------------------------


@lru_cache(maxsize=512)
def places_of_cached(program: Program) -> Places:
    """Return the places of a program, made once."""
    return places_of(program)


def _leaves(
    program: Program, rows: Rows, x: Tensor, initial: Sequence[Tensor], noises: Sequence[Tensor]
) -> dict[int, Tensor]:
    found = {}
    by_name = {noise.name: values for noise, values in zip(program.noises, noises, strict=True)}
    for node in program.plan.nodes:
        if node.operation == "input":
            found[node.index] = x
        elif node.operation == "noise":
            found[node.index] = by_name[node.name]
    value = x
    for i in _earlier(program):
        value = _a_step_later(value, initial[i], rows)
        found[_state_node(program, i).index] = value
    return found


def _earlier(program: Program) -> tuple[int, ...]:
    """Return the states that hold earlier inputs, the newest first."""
    return places_of_cached(program).earlier


@lru_cache(maxsize=512)
def _state_node(program: Program, state: int) -> Node:
    name = program.state_names[state]
    return next(one for one in program.trace.nodes if one.operation == "state" and one.name == name)


def _compute(
    program: Program,
    values: dict[int, Tensor],
    families: Sequence[Tensor],
    wanted: Iterable[Node],
    name: str,
    stacks: Mapping[tuple[int, ...], Tensor] | None = None,
    later: tuple[Node, ...] = (),
    until: tuple[Node, ...] = (),
) -> None:
    """Add the wanted values to those that are there, and what is computed for them and needed again.

    Args:
        program, values, families, wanted, name: what and of what; the name is for tracebacks.
        stacks: values that lie side by side.
        later: what is computed after that.
        until: what will be there in the meantime.
    """
    missing = tuple(node for node in wanted if node.index not in values)
    if not missing:
        return
    nodes = program.trace.nodes
    there = tuple(nodes[index] for index in sorted(values))
    if later:
        missing = shared(there, missing, later, until)
    with torch.no_grad():
        side_by_side = stacks or {}
        part = part_of(program, there, missing, name, tuple(side_by_side))
        made = part([*(values[node.index] for node in there), *side_by_side.values()], families)
    for node, value in zip(missing, made, strict=True):
        values[node.index] = value


@lru_cache(maxsize=512)
def _stacks(kernel: HeadsKernel) -> tuple[tuple[Node, ...], ...]:
    """Return the cotangents that products after the loop read side by side, where the loop gives them all."""
    program = kernel.program
    given = {target.node.index for target in kernel.columns}
    groups: dict[tuple[int, int], list[tuple[int, Node]]] = {}
    for name, pairs in program.derivative.matrices.items():
        family, rows = program.family_of(name)
        for cotangent, operand in pairs:
            groups.setdefault((family, operand.index), []).append((rows.start, cotangent))
    found: list[tuple[Node, ...]] = []
    for members in groups.values():
        nodes = tuple(node for _, node in sorted(members, key=lambda member: member[0]))
        indices = {node.index for node in nodes}
        if 1 < len(nodes) == len(indices) and indices <= given:
            found.append(nodes)
            given -= indices
    return tuple(found)


def _written_stacks(
    kernel: HeadsKernel, rows: Rows, dtype: torch.dtype, values: dict[int, Tensor]
) -> dict[tuple[int, ...], Tensor]:
    """Return memory for cotangents side by side, and give each its part of it."""
    found: dict[tuple[int, ...], Tensor] = {}
    if GUARDED:  # which looks at whole tensors
        return found
    for nodes in _stacks(kernel):
        whole = fresh((rows.count, sum(node.width or 1 for node in nodes)), dtype)
        at = 0
        for node in nodes:
            values[node.index] = whole[:, at : at + (node.width or 1)]
            at += node.width or 1
        found[tuple(node.index for node in nodes)] = whole
    return found


@lru_cache(maxsize=512)
def _before(program: Program, save: bool) -> tuple[Node, ...]:
    """Return what is computed before the loop: its inputs, and what later parts read of such values."""
    places = places_of_cached(program)
    forward = places.forward
    kernel = heads_kernel(program, "float32", "forward", save, ())
    found = {node.index: node for node in kernel.inputs}
    readers = [node for node in places.nodes if forward.place[node.index] == AFTER]
    found.update({a.index: a for node in readers for a in node.arguments if _is_early(a, forward.place)})
    if save:
        backward = heads_kernel(program, "float32", "backward", False, (), ())
        wanted = [*backward.inputs, *_gradient_reads(program)]
        found.update({node.index: node for node in wanted if _is_early(node, forward.place)})
    return tuple(found[index] for index in sorted(found) if found[index].operation not in _NO_VALUES)


_NO_VALUES = frozenset({"input", "noise", "constant", "matrix"})


def _is_early(node: Node, place: dict[int, str]) -> bool:
    return place.get(node.index) == BEFORE and node.operation not in _NO_VALUES


def _gradient_reads(program: Program) -> list[Node]:
    """Return what torch's part of the derivative reads directly."""
    derivative, place = program.derivative, places_of_cached(program).backward.place
    outside = [node for node in derivative.nodes if place[node.index] != LOOP]
    found = [argument for node in outside if node.reads_cotangent for argument in node.arguments]
    return [*found, *(pair[1] for pairs in derivative.matrices.values() for pair in pairs)]


@lru_cache(maxsize=512)
def _late_products(program: Program) -> tuple[Node, ...]:
    """Return the products that come after the loop and that the derivative reads."""
    place, derivative = places_of_cached(program).forward.place, program.derivative
    every = (True,) * len(program.families)
    wanted = (*_pre(program), *_of_earlier_nodes(program), *_gradient_nodes(program, (), True, every))
    early = [node for node in derivative.nodes if place.get(node.index) in (BEFORE, LOOP)]
    found = computed(wanted, early).values()
    return tuple(n for n in found if n.operation == "linear" and place.get(n.index) == AFTER)


@lru_cache(maxsize=512)
def _pre(program: Program) -> tuple[Node, ...]:
    """Return what is computed before the loop of the derivative."""
    kernel = heads_kernel(program, "float32", "backward", False, (), ())
    return tuple(node for node in kernel.inputs if node.operation not in _NO_VALUES)


@lru_cache(maxsize=512)
def _gradient_nodes(
    program: Program, summed: tuple[str, ...], need_input: bool, need_families: tuple[bool, ...]
) -> tuple[Node, ...]:
    """Return the values from which gradients are made after the loop."""
    derivative = program.derivative
    found: dict[int, Node] = {}
    if need_input:
        found.update({node.index: node for node in derivative.inputs if node is not None})
    for name, pairs in derivative.matrices.items():
        if need_families[program.family_of(name)[0]]:
            found.update({node.index: node for pair in pairs for node in pair})
    for name, node in derivative.vectors.items():
        if name not in summed and need_families[program.family_of(name)[0]]:
            found[node.index] = node
    return tuple(found[index] for index in sorted(found) if found[index].operation not in ("input", "noise"))


# Earlier inputs ------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _rows_before(rows: Rows) -> Tensor:
    """Return the row of the step before, for every row of the second step and later ones."""
    with torch.inference_mode(False):
        active = torch.tensor(rows.active, dtype=torch.int64)
        first = rows.active[0] if rows.active else 0
        return torch.arange(first, rows.count) - active[:-1].repeat_interleave(active[1:])


def _a_step_later(value: Tensor, initial: Tensor, rows: Rows) -> Tensor:
    """Return what a value for every row was a step before, and zero after a reset."""
    first = initial[: rows.active[0] if rows.active else 0]
    older = value[: rows.count - rows.batch] if rows.is_even else value[_rows_before(rows)]
    found = torch.cat((first, older))
    return found if rows.zero is None else found.masked_fill(rows.zero[:, None] != 0, 0)


def _of_earlier_nodes(program: Program) -> tuple[Node, ...]:
    found = [program.derivative.states[i] for i in _earlier(program)]
    return tuple(node for node in found if node is not None)


def _of_earlier(
    program: Program,
    state: int,
    rows: Rows,
    values: dict[int, Tensor],
    families: Sequence[Tensor],
    stacks: Mapping[tuple[int, ...], Tensor],
    initial: Tensor | None,
    later: tuple[Node, ...],
) -> Tensor:
    """Add the gradient by an earlier input to that of the value it was a step before.

    Returns the gradient by the value before the first step.
    """
    derivative = program.derivative
    node, leaf = derivative.states[state], derivative.cotangents[state].index
    assert initial is not None
    if node is None:
        return initial
    _compute(program, values, families, (node,), "earlier", stacks, later)
    gradient = values[node.index]
    if rows.cut is not None:
        gradient = gradient.masked_fill(rows.cut[:, None] != 0, 0)
    first = rows.active[0] if rows.active else 0
    before, own = gradient[first:], values[leaf].clone()
    if rows.is_even:
        own[: rows.count - rows.batch] += before
    else:
        own.index_add_(0, _rows_before(rows), before)
    values[leaf] = own
    initial[:first] += gradient[:first]
    return initial


# Rows ----------------------------------------------------------------------------------------------------


def _in_rows(value: Tensor, node: Node, rows: Rows) -> Tensor:
    """Return a value for every row, also where it is the same for all."""
    if node.has_rows:
        return value.contiguous()
    return value.reshape(1, -1).expand(rows.count, -1).contiguous()


def _last_rows(value: Tensor, initial: Tensor, rows: Rows) -> Tensor:
    """Return the value of the last step of every sequence; the initial state of one without a step."""
    last = _lengths(rows)[1]
    if len(last) == rows.batch:
        return value[last]
    return torch.cat((value[last], initial[len(last) :]))


def _of_output(
    of_rows: Tensor | None, of_final: Tensor | None, initial: Tensor, rows: Rows
) -> tuple[Tensor, Tensor]:
    """Return the cotangent of a state that no step reads, for all rows, and that of its initial value."""
    value = initial.new_zeros((rows.count, initial.shape[1])) if of_rows is None else of_rows
    start = torch.zeros_like(initial)
    if of_final is not None:
        last = _lengths(rows)[1]
        value = value.index_add(0, last, of_final[: len(last)])
        start[len(last) :] = of_final[len(last) :]
    return value, start


def _work(kernel: HeadsKernel, rows: Rows) -> float:
    """Return about how many multiply-adds a run takes."""
    products = sum(product.length * product.width for product in kernel.products.values())
    return rows.count * (3.0 * sum(kernel.program.state_widths[i] for i in kernel.read) + products)
