"""Kernels that are compiled and ready, with their arguments laid out for the sizes that were met."""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import Library, compiled, host, memory as _memory, threads as _threads
from nabi.native.addresses import Arguments, Layout, arguments, lay_out, to_read
from nabi.native.memory import Block, working_memory, zeros
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._tiles import Columns

__all__ = ["Compiled", "Repeated", "Sizes", "backward_kernel", "forward_kernel"]

_DTYPES = {torch.float32: ("float32", 4), torch.float64: ("float64", 8)}
_LAYOUTS = 64


@dataclass(eq=False, repr=False)
class Sizes:
    """How a kernel's memory is laid out for a batch: offsets in bytes by the place of the argument.

    Attributes:
        working: arrays in working memory, laid out as `working_layout` says.
        record: arrays in the memory that outlives a forward pass, by `record_layout`.
        last: the arguments of the last run that only the layout of rows and working memory decide, with
            what decided them.
    """

    working: tuple[tuple[int, int], ...]
    working_layout: Layout
    record: tuple[tuple[int, int], ...]
    record_layout: Layout
    last: tuple[Rows, int, list[int]] | None = None


@dataclass(eq=False, repr=False)
class Compiled:
    """A kernel and its code."""

    kernel: ForwardKernel | BackwardKernel
    library: Library
    item_size: int
    _sizes: dict[tuple[int, int, int], Sizes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.kernel.arguments
        self.count = len(names)
        self.place = {name: place for place, name in enumerate(names)}
        self.address = self.library.address(self.kernel.name)
        self.multiply_adds = self.kernel.program.parameter_count
        # Small weights stay in every core's own cache, so that threads can share out rows instead of units.
        self.is_small = self.multiply_adds * self.item_size <= 1 << 19

    def sizes(self, batch: int, rows: int, chunk_rows: int) -> Sizes:
        """Return how memory is laid out for a batch, its valid steps, and the rows of a chunk."""
        key = (batch, rows, chunk_rows)
        found = self._sizes.get(key)
        if found is None:
            if len(self._sizes) >= _LAYOUTS:
                self._sizes.clear()
            found = self._sizes[key] = self._lay_out(batch, rows, chunk_rows)
        return found

    def arguments(self, sizes: Sizes, rows: Rows, limit: int, chunk_rows: int, memory: Block) -> list[int]:
        """Return the arguments, filled in as far as rows and memory decide.

        Args:
            sizes: of this kernel for these rows.
            rows: the layout.
            limit: rows of a chunk of steps at most.
            chunk_rows: rows that the arrays of a chunk hold.
            memory: working memory; `block` takes it too.
        """
        start = memory[1]
        last = sizes.last
        if last is not None and last[0] is rows and last[1] == start:
            return last[2].copy()
        values, place = [0] * self.count, self.place
        for at, offset in sizes.working:
            values[at] = start + offset
        chunks = rows.chunks(limit)
        values[place["chunks"]] = len(chunks) - 1
        values[place["chunk_start"]] = to_read(chunks)
        values[place["chunk_rows"]] = chunk_rows
        values[place["batch"]] = rows.batch
        values[place["steps"]] = len(rows.active)
        values[place["offset"]] = to_read(rows.offset)
        if rows.zero is not None:
            width = max(self.kernel.program.state_widths)
            values[place["zero"]] = to_read(rows.zero)
            values[place["zeros"]] = zeros(width * self.item_size)
        sizes.last = rows, start, values
        return values.copy()

    def _lay_out(self, batch: int, rows: int, chunk_rows: int) -> Sizes:
        kernel = self.kernel
        elements = {name: size * batch for name, size in kernel.exchange.items()}
        lines: Mapping[str, int]
        if isinstance(kernel, ForwardKernel):
            lines = kernel.weights.early_lines
            elements.update(kernel.weights.sizes)
        else:
            lines = kernel.panels
            elements.update(kernel.packed)
        elements.update({name: size * chunk_rows for name, size in lines.items()})
        working = lay_out(elements, self.item_size)
        record = lay_out(self._recorded(rows), self.item_size)
        of_working, of_record = (
            tuple((self.place[name], at) for name, at in layout.places.items())
            for layout in (working, record)
        )
        return Sizes(of_working, working, of_record, record)

    def _recorded(self, rows: int) -> dict[str, int]:
        """Return what a forward pass leaves: elements of each array, the same for both directions."""
        kernel, values = self.kernel, self.kernel.values
        if isinstance(kernel, ForwardKernel) and not kernel.save:
            return {}
        sizes = {
            f"saved_{width}": rows * Columns(width, kernel.lanes, 1).count * kernel.lanes * len(nodes)
            for width, nodes in values.slots.items()
        }
        sizes.update({f"number_{node.index}": rows for node in values.saved_numbers})
        widths = kernel.program.state_widths
        sizes.update({f"state_{i}": rows * widths[i] for i in kernel.recorded_states})
        return sizes

    def threads_for(self, rows: Rows) -> int:
        """Return how many threads shall run the kernel over these rows."""
        return _threads.threads_for(float(rows.count) * self.multiply_adds)

    def block(self, values: list[int], rows: Rows, threads: int, memory: Block) -> Arguments:
        """Return the arguments as the kernel reads them; `values` is filled but for what is said here.

        The block holds the working memory that addresses in it lead to.
        """
        place = self.place
        # Rows of sequences that end early would be too little work for the thread that has the last ones.
        by_rows = self.is_small and rows.is_even and rows.batch >= 8 * threads
        values[place["split_units"]] = 0 if by_rows else 1
        # Counters of barriers lie behind the arguments, zero.
        block: Any = arguments(self.count + (threads + 2) * _threads.COUNTER_STRIDE, values)
        block[place["barriers"]] = ctypes.addressof(block) + 8 * self.count
        block.memory = memory[0]
        return block  # type: ignore[no-any-return]

    def run(self, values: list[int], rows: Rows, memory: Block) -> None:
        """Run the kernel once on its arguments, which are filled as for `block`."""
        threads = self.threads_for(rows)
        _threads.run(self.address, self.block(values, rows, threads, memory), threads)


class Repeated:
    """A kernel run again and again over the same rows; most of its arguments stay from run to run.

    Args:
        compiled: the kernel.
        sizes: how its memory is laid out for the rows.
        rows: the layout.
        make: fills in the arguments for some working memory.
    """

    def __init__(
        self, compiled: Compiled, sizes: Sizes, rows: Rows, make: Callable[[Block], list[int]]
    ) -> None:
        self.place = compiled.place
        self._compiled, self._sizes, self._rows, self._make = compiled, sizes, rows, make
        self._start = self._threads = -1
        self._counters = 0
        self._block: Any = None
        self._own: Block | None = None

    def arguments(self) -> Arguments:
        """Return the block of arguments, to be written to where they change; then `run`."""
        threads = self._compiled.threads_for(self._rows)
        memory = self._own or working_memory(self._sizes.working_layout)
        if self._sizes.working_layout.size > _memory.KEPT:
            self._own = memory  # the thread does not keep so much
        if memory[1] != self._start or threads != self._threads:
            self._block = self._compiled.block(self._make(memory), self._rows, threads, memory)
            self._start, self._threads = memory[1], threads
            self._counters = ctypes.addressof(self._block) + 8 * self._compiled.count
        else:
            self._block.memory = memory[0]  # what lay there before may have been freed
        return self._block  # type: ignore[no-any-return]

    def run(self) -> None:
        """Run the kernel."""
        threads = self._threads
        if threads > 1:
            ctypes.memset(self._counters, 0, 8 * (threads + 2) * _threads.COUNTER_STRIDE)
        _threads.run(self._compiled.address, self._block, threads)


@lru_cache(maxsize=1024)
def forward_kernel(program: Program, dtype: torch.dtype, *options: Any) -> Compiled:
    """Return a forward kernel, compiled when first asked for; options as `ForwardKernel` takes them."""
    name, size = _DTYPES[dtype]
    return _compile(ForwardKernel(program, name, host(), *options), size)


@lru_cache(maxsize=1024)
def backward_kernel(program: Program, dtype: torch.dtype, *options: Any) -> Compiled:
    """Return a backward kernel, compiled when first asked for; options as `BackwardKernel` takes them."""
    name, size = _DTYPES[dtype]
    return _compile(BackwardKernel(program, name, host(), *options), size)


def _compile(kernel: ForwardKernel | BackwardKernel, item_size: int) -> Compiled:
    def write() -> object:
        # llvmlite takes a while to load, and code that was kept needs no writer.
        from nabi.targets.llvm._writer._module import write_module

        return write_module(kernel)

    label = f"{type(kernel.program.cell).__name__}, {kernel.name}, {kernel.dtype}"
    library = compiled((label, *kernel.key), (kernel.name,), write, kernel.machine)
    return Compiled(kernel, library, item_size)
