"""The function of one step, and the module of a stream that Python runs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._instructions import StepWriter, has_vectors, index_of, largest_tile
from nabi.shipping._code._loops import rounds
from nabi.shipping._code._shared import SharedFunctions
from nabi.shipping._memory import DIGITS, FOUR, Layout, lay_out
from nabi.shipping._program import StepLayer, StepProgram, Value, results_of
from nabi.shipping._small_weights import pack_small, small_table

__all__ = ["STREAM_ARGUMENTS", "add_part", "add_step", "function_of", "layout_for", "stream_module"]

_NO_ALIAS = ("weights", "state", "scratch", "y")


def layout_for(program: StepProgram, machine: Machine, kind: str = "", most: int | None = None) -> Layout:
    """Return where everything lies on a machine, with weights of a kind; see `_small_weights`.

    Vectors are narrower where the widest product would leave half of them unused. `most` is the largest
    number of vectors of a tile, by default what suits the registers of the machine.
    """
    widest = max((max(one.pieces or (one.width,)) for one in _results(program)), default=1)
    lanes = 1 if not has_vectors(machine) else machine.for_width(widest, "float32").lanes("float32")
    if not kind:
        return lay_out(program, lanes, most or largest_tile(machine))
    by_fours = kind == "int8" and machine.has_byte_products and lanes >= FOUR
    # Every vector of a tile has a sum for each digit; a digit of the row and the weights need registers, too.
    if most is None:
        most = min((machine.registers - FOUR) // DIGITS, 8) if by_fours else largest_tile(machine)
    pack = partial(pack_small, kind=kind, by_fours=by_fours)
    return lay_out(program, lanes, most, pack, kind=kind, pack_table=partial(small_table, kind=kind))


def _results(program: StepProgram) -> list[Value]:
    return [value.place for one in program.instructions for value in results_of(one)]


def add_step(
    module: ir.Module,
    name: str,
    program: StepProgram,
    layout: Layout,
    machine: Machine,
    *,
    shares: bool = False,
) -> Any:
    """Add `void name(weights, state, scratch, x, y)`, which computes one step.

    Args:
        module: to add it to.
        name: of the function.
        program: what it computes.
        layout: where everything lies.
        machine: the target.
        shares: whether what is computed in many places is written once, and called: less code, but slower.
    """
    shared = SharedFunctions(module, machine) if shares else None
    return add_part(module, name, program, layout, machine, shared, program.layers, program.output)


def add_part(
    module: ir.Module,
    name: str,
    program: StepProgram,
    layout: Layout,
    machine: Machine,
    shared: SharedFunctions | None,
    layers: Sequence[StepLayer],
    output: Value | None,
) -> Any:
    """Add `void name(weights, state, scratch, x, y)`, which computes some layers of a step.

    Args:
        module, name, program, layout, machine: see `add_step`.
        shared: functions for what is computed in many places; None to write everything where it is needed.
        layers: what is computed.
        output: what is copied to `y`; None for nothing.
    """
    function = function_of(module, name, ir.VoidType(), ["weights", "state", "scratch", "x", "y"])
    b = ir.IRBuilder(function.append_basic_block("entry"))
    weights, state, scratch, x, y = function.args
    writer = StepWriter(b, machine, layout, weights, state, scratch, x, shared)
    if layout.input_copy is not None:
        writer.copy(x, writer.at(scratch, layout.input_copy), program.input.width)
    for layer in layers:
        for instruction in layer.instructions:
            writer.write(instruction)
    if output is not None:
        writer.copy(writer.address(output), y, output.width)
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
