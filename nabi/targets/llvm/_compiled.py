"""Kernels that are compiled and ready: where their arguments are, and how much memory they work in."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from nabi._record import record
from nabi.ir import Program
from nabi.native import Library, Machine, compiled, host
from nabi.native.addresses import Layout, lay_out
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._kinds import make_backward, make_forward
from nabi.targets.llvm._plan._schedule import is_cheap, is_product
from nabi.targets.llvm._plan._tiles import NEAR, Columns

__all__ = ["Compiled", "Memory", "backward_kernel", "forward_kernel", "small_weights_kernel"]

_DTYPES = {torch.float32: ("float32", 4), torch.float64: ("float64", 8)}


@record
class Memory:
    """How a kernel's memory is laid out for batches of one size: offsets in bytes by place of the argument.

    Attributes:
        working: arrays in working memory, laid out as `working_layout` says.
        record: arrays in the memory that outlives a forward pass, by `record_layout`.
    """

    working: tuple[tuple[int, int], ...]
    working_layout: Layout
    record: tuple[tuple[int, int], ...]
    record_layout: Layout


class Compiled:
    """A kernel and its code."""

    def __init__(self, kernel: ForwardKernel | BackwardKernel, library: Library, item_size: int) -> None:
        self.kernel, self.library, self.item_size = kernel, library, item_size
        names = kernel.arguments
        program = kernel.program
        self.count = len(names)
        self.place = place = {name: at for at, name in enumerate(names)}
        self.address = self.library.address(kernel.name)
        self.multiply_adds = program.parameter_count
        self.nanoseconds = _nanoseconds(kernel)
        # How often threads wait for each other at a step; once in a chunk of steps is nothing beside that.
        in_chunks = isinstance(kernel, ChunkedForward | ChunkedBackward)
        self.barriers = 0 if in_chunks else len(kernel.schedule.order)
        # Small weights stay in every core's own cache, so that threads can share out rows instead of units.
        self.is_small = self.multiply_adds * self.item_size <= NEAR
        # Where the arguments are that change from run to run.
        self.zeros_at = place["from_zeros"]
        self.x_at, self.family_at, self.family_step = place["x"], place.get("family_0", 0), kernel.family_step
        states = range(len(program.state_names))
        self.initial_at = [place[f"initial_{i}"] for i in states]
        end = "final" if isinstance(kernel, ForwardKernel) else "final_gradient"
        self.final_at = [place[f"{end}_{i}"] for i in states]
        self.initial_gradient_at = [place.get(f"initial_gradient_{i}", 0) for i in states]
        self.state_at = [(i, place[f"state_{i}"]) for i in kernel.keep]
        self.given_at = [(i, place[f"given_{i}"]) for i in states if f"given_{i}" in place]
        self.noise_at = [place[f"noise_{i}"] for i in range(len(program.noises))]
        self.input_at = place.get("input_gradient")
        self.saves = isinstance(kernel, ForwardKernel) and kernel.save

    def lay_out(self, batch: int, rows: int, chunk_rows: int) -> Memory:
        """Lay out memory for a batch, its valid steps, and the rows of a chunk."""
        kernel = self.kernel
        elements = {name: size * batch for name, size in kernel.exchange.items()}
        lines: Mapping[str, int]
        if isinstance(kernel, ForwardKernel):
            lines = kernel.weights.early_lines
            elements.update({} if kernel.is_packed else kernel.weights.sizes)
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
        return Memory(of_working, working, of_record, record)

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


def _machine(program: Program, dtype: str) -> Machine:
    """Return this machine with the vectors that suit the program's states, for both of its kernels."""
    return host().for_width(max(program.state_widths), dtype)


def _nanoseconds(kernel: ForwardKernel | BackwardKernel) -> float:
    """Estimate how long one thread takes for a row of one step, to half or twice of it."""
    products = kernel.program.parameter_count / (kernel.lanes * _MULTIPLY_ADDS)
    maps = sum(
        -(-(node.width or 1) // kernel.lanes) * (_MAP if is_cheap(node) else _FUNCTION)
        for node in kernel.program.nodes
        if not is_product(node)
    )
    return products + maps if isinstance(kernel, ForwardKernel) else 2 * products + maps


_MULTIPLY_ADDS, _FUNCTION, _MAP = 4.5, 6.0, 0.5
"""Vectors of multiply-adds in a nanosecond; nanoseconds for a vector of an activation and of a simple map."""


@lru_cache(maxsize=1024)
def forward_kernel(program: Program, dtype: torch.dtype, *options: Any) -> Compiled:
    """Return a forward kernel, compiled when first asked for; options as `ForwardKernel` takes them."""
    name, size = _DTYPES[dtype]
    return _compile(make_forward(program, name, _machine(program, name), *options), size)


@lru_cache(maxsize=1024)
def small_weights_kernel(
    program: Program, keep: tuple[int, ...], flags: bool, few_rows: bool, kind: str
) -> Compiled:
    """Return a forward kernel that reads packed weights of a smaller type than float32.

    It goes step by step for every program: weights are few bytes, and their products need no other rows.
    """
    name, size = _DTYPES[torch.float32]
    columns_first = (True,) * len(program.families)
    kernel = ForwardKernel(
        program, name, _machine(program, name), False, keep, flags, columns_first, few_rows,
        is_packed=True, weight_type=kind,
    )  # fmt: skip
    return _compile(kernel, size)


@lru_cache(maxsize=1024)
def backward_kernel(program: Program, dtype: torch.dtype, *options: Any) -> Compiled:
    """Return a backward kernel, compiled when first asked for; options as `BackwardKernel` takes them."""
    name, size = _DTYPES[dtype]
    return _compile(make_backward(program, name, _machine(program, name), *options), size)


def _compile(kernel: ForwardKernel | BackwardKernel, item_size: int) -> Compiled:
    def write() -> object:
        # llvmlite takes a while to load, and code that was kept needs no writer.
        from nabi.targets.llvm._writer._module import write_module

        return write_module(kernel)

    label = f"{type(kernel.program.cell).__name__}, {kernel.name}, {kernel.dtype}"
    library = compiled((label, *kernel.key), (kernel.name,), write, kernel.machine)
    return Compiled(kernel, library, item_size)
