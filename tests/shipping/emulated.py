"""Programs for other processors, made without a C compiler and run in QEMU.

A program links an exported model, calls its self-test and hands out the result. Everything but the linker
is nabi's own: the program around the model is written in LLVM's language, and what a language cannot say (a
system call) is machine code as numbers.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from llvmlite import ir

from nabi.native import Machine, emit_object
from nabi.native.vectors import POINTER

_INT = ir.IntType(32)
_LINKER = "ld.lld"
_EMULATORS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}
# The board with each processor, the address of its first serial port.
_BOARDS = {
    "cortex-m4": ("mps2-an386", 0x40004000),
    "cortex-m7": ("mps2-an500", 0x40004000),
    "cortex-m55": ("mps3-an547", 0x59303000),
}
# exit(code), which does not return: the number of the call into its register, and the call.
_EXIT = {
    "aarch64": (0xD2800BA8, 0xD4000001),  # mov x8, #93; svc #0
    "armv7": (0xE3A07001, 0xEF000000),  # mov r7, #1; svc #0
}
_SCRIPT = """
MEMORY { code (rx) : ORIGIN = 0, LENGTH = 512K
         data (rw) : ORIGIN = 0x20000000, LENGTH = 256K }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > code
  .ARM.exidx : { *(.ARM.exidx*) } > code
  .bss : { *(.bss*) *(COMMON) } > data
}
"""


def needs(target: str) -> None:
    """Skip the test if the linker or the emulator of a target is missing."""
    wanted = _EMULATORS.get(target, "qemu-system-arm")
    for tool in (_LINKER, wanted):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def self_test_in_emulator(
    folder: Path, target: str, name: str, machine: Machine, objects: list[bytes], state: int, scratch: int
) -> int:
    """Return what the self-test of a model gives on another processor.

    Args:
        folder: for files.
        target: of `nabi.shipping.TARGETS`.
        name: of the model.
        machine: of the target.
        objects: the object files of the model.
        state, scratch: bytes of its memories.
    """
    main = (
        _linux(name, target, state, scratch) if target in _EMULATORS else _bare(name, target, state, scratch)
    )
    files = []
    for number, content in enumerate([emit_object(main, machine), *objects]):
        files.append(str(folder / f"{number}.o"))
        Path(files[-1]).write_bytes(content)
    program = str(folder / "program.elf")
    options = ["--no-rosegment"]
    if target in _BOARDS:
        (folder / "board.ld").write_text(_SCRIPT)
        options = ["-T", str(folder / "board.ld")]
    subprocess.run([_LINKER, *options, "-e", "_start", "-o", program, *files], check=True, timeout=60)
    if target in _EMULATORS:
        return subprocess.run([_EMULATORS[target], program], check=False, timeout=60).returncode
    board, _ = _BOARDS[target]
    found = subprocess.run(
        ["qemu-system-arm", "-M", board, "-kernel", program, "-nographic", "-no-reboot", "-monitor", "none",
         "-serial", "stdio"],
        check=True, timeout=60, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return found.stdout[0] - ord("0")


def _program(name: str, state: int, scratch: int) -> tuple[ir.Module, Any, ir.IRBuilder, Any]:
    """Return a module with a function that begins a stream and tests it, and the result of the test."""
    module = ir.Module("main")
    memories = []
    for label, size in (("state", state), ("scratch", scratch)):
        memory = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), size), label)
        memory.initializer, memory.align = ir.Constant(memory.value_type, None), 64
        memories.append(memory)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "_start")
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block())
    test = ir.Function(module, ir.FunctionType(_INT, [POINTER, POINTER]), f"{name}_self_test")
    return module, test, b, [b.bitcast(memory, POINTER) for memory in memories]


def _linux(name: str, target: str, state: int, scratch: int) -> ir.Module:
    module, test, b, memories = _program(name, state, scratch)
    words = ir.Constant(ir.ArrayType(_INT, 2), list(_EXIT[target]))
    leave = ir.GlobalVariable(module, words.type, "leave")
    leave.initializer, leave.global_constant, leave.align = words, True, 4
    kind = ir.FunctionType(ir.VoidType(), [_INT])
    b.call(b.bitcast(leave, kind.as_pointer()), [b.call(test, memories)])
    b.unreachable()
    return module


def _bare(name: str, target: str, state: int, scratch: int) -> ir.Module:
    """Return a program with a table of vectors: it writes one digit to the serial port and ends."""
    module, test, b, memories = _program(name, state, scratch)
    _, port = _BOARDS[target]

    def write(address: int, value: Any) -> None:
        value = ir.Constant(_INT, value) if isinstance(value, int) else value
        place = b.inttoptr(ir.Constant(_INT, address), POINTER)
        b.store(value, place, align=4)

    run = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "run")
    run.attributes.add("noinline")
    run.attributes.add("nounwind")
    write(0xE000ED88, 0x00F00000)  # CPACR: the floating-point unit on
    for barrier in ("llvm.arm.dsb", "llvm.arm.isb"):
        kind = ir.FunctionType(ir.VoidType(), [_INT])
        b.call(ir.Function(module, kind, barrier), [ir.Constant(_INT, 15)])
    b.call(run, [])
    b.unreachable()
    b = ir.IRBuilder(run.append_basic_block())
    memories = [b.bitcast(module.get_global(label), POINTER) for label in ("state", "scratch")]
    write(port + 16, 16)  # the divisor of the serial port
    write(port + 8, 1)  # transmit
    write(port, b.add(b.call(test, memories), ir.Constant(_INT, ord("0"))))
    write(0xE000ED0C, 0x05FA0004)  # AIRCR: reset, at which the emulator ends
    forever = run.append_basic_block()
    b.branch(forever)
    b.position_at_end(forever)
    b.branch(forever)
    table = ir.GlobalVariable(module, ir.ArrayType(POINTER, 2), "vectors")
    stack = ir.Constant(_INT, 0x20020000).inttoptr(POINTER)
    table.initializer = ir.Constant(table.value_type, [stack, module.get_global("_start").bitcast(POINTER)])
    table.global_constant, table.section, table.align = True, ".vectors", 128
    return module
