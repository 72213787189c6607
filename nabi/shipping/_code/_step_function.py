"""The function of one step, and the module of a stream that Python runs."""

from functools import partial
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._instructions import StepWriter, index_of, largest_tile, rounds
from nabi.shipping._memory import Layout, lay_out
from nabi.shipping._program import StepProgram, Value, results_of
from nabi.shipping._small_weights import pack_small, small_table

__all__ = ["STREAM_ARGUMENTS", "add_step", "function_of", "layout_for", "stream_module"]

_NO_ALIAS = ("weights", "state", "scratch", "y")


def layout_for(program: StepProgram, machine: Machine, kind: str = "") -> Layout:
    """Return where everything lies on a machine, with weights of a kind; see `_small_weights`.

    Vectors are narrower where the widest product would leave half of them unused.
    """
    widest = max((max(one.pieces or (one.width,)) for one in _results(program)), default=1)
    lanes = 1 if machine.vector_bytes <= 4 else machine.for_width(widest, "float32").lanes("float32")
    if not kind:
        return lay_out(program, lanes, largest_tile(machine))
    pack, pack_table = partial(pack_small, kind=kind), partial(small_table, kind=kind)
    return lay_out(program, lanes, largest_tile(machine), pack, kind=kind, pack_table=pack_table)


def _results(program: StepProgram) -> list[Value]:
    return [value.place for one in program.instructions for value in results_of(one)]


def add_step(module: ir.Module, name: str, program: StepProgram, layout: Layout, machine: Machine) -> Any:
    """Add `void name(weights, state, scratch, x, y)`, which computes one step.

    Args:
        module: to add it to.
        name: of the function.
        program: what it computes.
        layout: where everything lies.
        machine: the target.
    """
    function = function_of(module, name, ir.VoidType(), ["weights", "state", "scratch", "x", "y"])
    b = ir.IRBuilder(function.append_basic_block("entry"))
    weights, state, scratch, x, y = function.args
    writer = StepWriter(b, machine, layout, weights, state, scratch, x)
    if layout.input_copy is not None:
        writer.copy(x, writer.at(scratch, layout.input_copy), program.input.width)
    for instruction in program.instructions:
        writer.write(instruction)
    writer.copy(writer.address(program.output), y, program.output.width)
    b.ret_void()
    return function


def function_of(module: ir.Module, name: str, result: Any, arguments: list[str], kinds: Any = None) -> Any:
    """Declare a function whose arguments are pointers, unless `kinds` says otherwise by name."""
    kinds = kinds or {}
    types = [kinds.get(argument, POINTER) for argument in arguments]
    function = ir.Function(module, ir.FunctionType(result, types), name)
    function.attributes.add("nounwind")
    for argument, given in zip(arguments, function.args, strict=True):
        given.name = argument
        if argument in _NO_ALIAS and given.type == POINTER:
            given.attributes.add("noalias")
    return function


STREAM_ARGUMENTS = ("weights", "states", "scratch", "xs", "ys", "streams", "steps")


def stream_module(program: StepProgram, layout: Layout, machine: Machine) -> ir.Module:
    """Return the module of `Stream`: `nabi_streams(block)`, whose block holds STREAM_ARGUMENTS, 8 bytes each.

    Streams go one after the other through all of their steps. Inputs are `[stream][step][number]`.
    """
    module = ir.Module("nabi_stream")
    step = add_step(module, "nabi_step", program, layout, machine)
    step.linkage = "internal"
    kind = index_of(machine)
    function = function_of(module, "nabi_streams", ir.VoidType(), ["block"])
    b = ir.IRBuilder(function.append_basic_block("entry"))
    weights, states, scratch, xs, ys, streams, steps = (
        b.load(
            b.gep(function.args[0], [ir.Constant(kind, place)], source_etype=ir.IntType(64)),
            align=8,
            typ=kind if name in ("streams", "steps") else POINTER,
        )
        for place, name in enumerate(STREAM_ARGUMENTS)
    )

    def at(pointer: Any, place: Any, size: int) -> Any:
        return b.gep(pointer, [b.mul(place, ir.Constant(kind, size))], source_etype=ir.FloatType())

    with rounds(b, kind, streams) as stream, rounds(b, kind, steps) as number:
        row = b.add(b.mul(stream, steps), number)
        own = at(states, stream, layout.state_size)
        b.call(
            step, [weights, own, scratch, at(xs, row, program.input.width), at(ys, row, program.output.width)]
        )
    b.ret_void()
    return module
