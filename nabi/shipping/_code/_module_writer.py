"""Functions of an exported model in LLVM's language: what steps and passes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._instructions import index_of
from nabi.shipping._code._loops import rounds
from nabi.shipping._code._step_function import function_of
from nabi.shipping._memory import ALIGNMENT, Layout
from nabi.shipping._program import Numbers, StepProgram
from nabi.shipping._weights_file import ABI_VERSION, HEADER_BYTES, Weights

__all__ = ["INT", "ModuleWriter", "SelfTest", "weights_module"]

INT = ir.IntType(32)
_FLOAT = ir.FloatType()


@dataclass(frozen=True)
class SelfTest:
    """A few steps with what the model in Python gave.

    Attributes:
        inputs: `[steps, input numbers]`.
        outputs: `[steps, numbers]`, the first few outputs of each step.
        tolerance: the largest difference that is no fault.
    """

    inputs: Numbers
    outputs: Numbers
    tolerance: float


class ModuleWriter:
    """The module of an exported model, and how functions are written into it.

    Args:
        program: what is computed; its name begins the names of all functions.
        layout: where everything lies.
        machine: the target.
        weights: as they are stored.
        apart: whether they are in another object, under the name that `weights_module` gives them.
    """

    def __init__(
        self, program: StepProgram, layout: Layout, machine: Machine, weights: Weights, *, apart: bool
    ) -> None:
        self._program, self._layout, self._machine = program, layout, machine
        self.kind = index_of(machine)
        self.module = ir.Module(program.name)
        self._data = _stored_weights(self.module, f"{program.name}_weights", weights, machine, apart=apart)
        self._label = weights.layout if apart else None

    def function(self, name: str, result: Any, arguments: Sequence[str], **kinds: Any) -> tuple[Any, Any]:
        """Begin a function `NAME_name`; return it and what writes into it."""
        function = function_of(self.module, f"{self._program.name}_{name}", result, list(arguments), kinds)
        return function, ir.IRBuilder(function.append_basic_block("entry"))

    def constant_function(self, name: str, value: int) -> None:
        """Write a function `NAME_name` that returns a number; JavaScript has the numbers without."""
        if self._is_web_assembly:
            return
        _, b = self.function(name, INT, [])
        b.ret(ir.Constant(INT, value))

    def index(self, number: int) -> Any:
        """Return a number as wide as an address."""
        return ir.Constant(self.kind, number)

    def at(self, b: ir.IRBuilder, pointer: Any, place: Any) -> Any:
        """Return the address of a number some places behind another one."""
        place = self.index(place) if isinstance(place, int) else place
        return b.gep(pointer, [place], inbounds=True, source_etype=_FLOAT)

    def weights(self, b: ir.IRBuilder) -> Any:
        """Return the address of the weights behind their header."""
        data = b.bitcast(self._data, POINTER)
        return b.gep(data, [self.index(HEADER_BYTES)], inbounds=True, source_etype=ir.IntType(8))

    def copy(self, b: ir.IRBuilder, source: Any, result: Any, count: int) -> None:
        """Copy numbers."""
        with rounds(b, self.kind, self.index(count)) as at:
            number = b.load(self.at(b, source, at), align=4, typ=_FLOAT)
            b.store(number, self.at(b, result, at), align=4)

    def copy_states(self, b: ir.IRBuilder, plain: Any, state: Any, *, to_state: bool) -> None:
        """Copy all states to or from numbers without gaps; those without gaps in the state are one copy."""
        at, runs = 0, list[list[int]]()
        for one in self._program.states:
            place = self._layout.place(one.value)
            if runs and place == runs[-1][0] + runs[-1][2]:
                runs[-1][2] += one.value.width
            else:
                runs.append([place, at, one.value.width])
            at += one.value.width
        for place, first, width in runs:
            inside, outside = self.at(b, state, place), self.at(b, plain, first)
            self.copy(b, *((outside, inside) if to_state else (inside, outside)), width)

    def reset(self, b: ir.IRBuilder, state: Any) -> None:
        """Set all states to what they begin with."""
        layout = self._layout
        if layout.initial is not None:
            self.copy_states(b, self.at(b, self.weights(b), layout.initial), state, to_state=True)
            return
        with rounds(b, self.kind, self.index(layout.state_size)) as at:
            b.store(ir.Constant(_FLOAT, 0.0), self.at(b, state, at), align=4)

    def check(self, b: ir.IRBuilder, memory: Any, is_small: Any) -> Any:
        """Return what `init` answers: 0, or 1 for too little memory, 2 not aligned, 3 other weights."""
        number = b.ptrtoint(memory, self.kind)
        checks = [(is_small, 1), (b.icmp_signed("!=", b.and_(number, self.index(3)), self.index(0)), 2)]
        if self._label is not None:
            checks.append((_misfits(b, self.kind, b.bitcast(self._data, POINTER), self._label), 3))
        answer = ir.Constant(INT, 0)
        for failed, code in reversed(checks):
            answer = b.select(failed, ir.Constant(INT, code), answer)
        return answer

    def test_numbers(self, test: SelfTest) -> tuple[Any, Any]:
        """Store what a self-test reads and what it expects."""
        return tuple(
            _constant(
                self.module, f"{self._program.name}_test_{what}", numbers.tobytes(), self._machine,
                internal=True, align=4,
            )
            for what, numbers in (("inputs", test.inputs), ("outputs", test.outputs))
        )  # fmt: skip

    def compare(
        self, b: ir.IRBuilder, found: Any, wanted: Any, count: int, tolerance: float, failed: Any
    ) -> None:
        """Write a comparison of numbers, which goes to the block `failed` at the first that differs."""
        with rounds(b, self.kind, self.index(count)) as at:
            one, other = (
                b.load(b.gep(pointer, [at], source_etype=_FLOAT), align=4, typ=_FLOAT)
                for pointer in (found, wanted)
            )
            difference, bound = b.fsub(one, other), ir.Constant(_FLOAT, tolerance)
            below = b.fcmp_ordered("<", difference, bound)
            above = b.fcmp_ordered(">", difference, b.fneg(bound))
            following = b.append_basic_block("equal")
            b.cbranch(b.and_(below, above), following, failed)
            b.position_at_end(following)

    def number_of(self, b: ir.IRBuilder, place: Any) -> Any:
        """Return the number of a step or row, from 1, as a self-test answers it."""
        number = b.add(place, self.index(1))
        return number if self.kind.width == 32 else b.trunc(number, INT)

    @property
    def _is_web_assembly(self) -> bool:
        return self._machine.architecture.startswith("wasm")

    def finish(self, *, small: bool = False) -> None:
        """Give all functions their sections, and ask for small code on bare processors, or if it shall be."""
        for function in self.module.functions:
            if function.is_declaration:
                continue
            if small:
                function.attributes.add("minsize")
                # Loops that copy stay loops: what LLVM would call instead, old engines lack and others enter
                # slowly. llvmlite does not know the attribute.
                set.add(function.attributes, '"no-builtins"')
            if "-none-" in self._machine.triple:
                function.attributes.add("optsize")
            if _is_elf(self._machine):
                function.section = f".text.{function.name}"


def weights_module(program: StepProgram, weights: Weights, machine: Machine) -> ir.Module:
    """Return a module with nothing but the weights, as the constant `NAME_weights`."""
    module = ir.Module(f"{program.name}_weights")
    _constant(module, f"{program.name}_weights", weights.content, machine, internal=False)
    return module


def _constant(
    module: ir.Module, name: str, content: bytes, machine: Machine, *, internal: bool, align: int = ALIGNMENT
) -> Any:
    """Add constant bytes to a module."""
    kind = ir.ArrayType(ir.IntType(8), len(content))
    found = ir.GlobalVariable(module, kind, name)
    found.global_constant, found.align = True, align
    if internal:
        found.linkage = "internal"
    found.initializer = ir.Constant(kind, bytearray(content))
    if _is_elf(machine):
        found.section = f".rodata.{name}"
    return found


def _misfits(b: ir.IRBuilder, kind: Any, data: Any, layout: int) -> Any:
    """Return whether the weights that the program was linked with belong to another model."""
    wrong = None
    for place, value in enumerate([int.from_bytes(b"nabi", "little"), ABI_VERSION, layout]):
        at = b.gep(data, [ir.Constant(kind, place)], source_etype=INT)
        differs = b.icmp_signed("!=", b.load(at, align=4, typ=INT), ir.Constant(INT, value))
        wrong = differs if wrong is None else b.or_(wrong, differs)
    return wrong


def _stored_weights(module: ir.Module, name: str, weights: Weights, machine: Machine, *, apart: bool) -> Any:
    """Return the weights with their header, in this module or in another object."""
    if not apart:
        return _constant(module, name, weights.content, machine, internal=True)
    found = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), len(weights.content)), name)
    found.global_constant, found.align = True, ALIGNMENT
    return found


def _is_elf(machine: Machine) -> bool:
    return not any(word in machine.triple for word in ("windows", "macos", "wasm"))
