"""WebAssembly modules made without a linker: run in wasmtime, and compared with those of a linker."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from nabi.native import NativeError
from nabi.native._code._compiler import emit_object
from nabi.native._code._machine import WEB_ASSEMBLY
from nabi.native._code._web_assembly import PAGE, link_web_assembly

from .elementwise import module_of
from .test_arithmetic import RENDERED, UNFUSED, given_numbers, natively

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime is not installed")
needs_linker = pytest.mark.skipif(shutil.which("wasm-ld") is None, reason="wasm-ld is not installed")
MACHINES = sorted(WEB_ASSEMBLY)

# Functions, stack frames, data that is read by address, at an offset, and through a pointer in other data.
PROGRAM = """
@weights = internal constant [4 x float] [float 1.0, float 2.0, float 3.0, float 4.0], align 16
@odd = constant [3 x i8] c"\\01\\02\\03"
@pair = constant [2 x i32] [i32 7, i32 -9], align 4
@place = constant ptr getelementptr (i32, ptr @pair, i32 1)
@kept = global i32 5
define internal float @helper(i32 %at) noinline {
  %frame = alloca [64 x float], align 64
  %here = getelementptr float, ptr %frame, i32 %at
  store volatile float 0.5, ptr %here
  %there = getelementptr float, ptr @weights, i32 %at
  %weight = load float, ptr %there
  %own = load volatile float, ptr %here
  %sum = fadd float %weight, %own
  ret float %sum
}
define float @total(i32 %at) {
  %sum = call float @helper(i32 %at)
  %where = load ptr, ptr @place
  %number = load i32, ptr %where
  %odd = load i8, ptr getelementptr (i8, ptr @odd, i32 2)
  %kept = load i32, ptr @kept
  %all = add i32 %number, %kept
  %wide = zext i8 %odd to i32
  %more = add i32 %all, %wide
  %real = sitofp i32 %more to float
  %result = fadd float %sum, %real
  ret float %result
}
define void @change(i32 %value) {
  store i32 %value, ptr @kept
  ret void
}
define ptr @address() { ret ptr @weights }
define i32 @deep(i32 %n) noinline {
  %frame = alloca [256 x i32]
  %here = getelementptr i32, ptr %frame, i32 %n
  store volatile i32 %n, ptr %here
  %is_last = icmp eq i32 %n, 0
  br i1 %is_last, label %done, label %more
more:
  %less = sub i32 %n, 1
  %below = call i32 @deep(i32 %less)
  %own = load volatile i32, ptr %here
  %sum = add i32 %below, %own
  ret i32 %sum
done:
  ret i32 0
}
"""
NAMES = {name: name for name in ("total", "change", "address", "deep")}
MAP = {"map": "map"}


class Running:
    """A module in wasmtime: its functions, its memory and its numbers."""

    def __init__(self, module: bytes) -> None:
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        compiled = wasmtime.Module(engine, module)
        assert list(compiled.imports) == []
        self.exports = wasmtime.Instance(self.store, compiled, []).exports(self.store)

    def __call__(self, name: str, *arguments: float) -> Any:
        return self.exports[name](self.store, *arguments)

    @property
    def heap_base(self) -> int:
        return int(self.exports["heap_base"].value(self.store))

    @property
    def size(self) -> int:
        return int(self.exports["memory"].data_len(self.store))

    def read(self, at: int, count: int) -> bytes:
        return bytes(self.exports["memory"].read(self.store, at, at + count))

    def write(self, data: bytes, at: int) -> None:
        self.exports["memory"].write(self.store, data, at)


def mapped(module: Running, x: np.ndarray, lanes: int) -> np.ndarray:
    """Call `map(x, result, count)` on memory that is free."""
    padded = np.append(x, np.zeros(-x.size % lanes, x.dtype))
    module.write(padded.tobytes(), module.heap_base)
    module("map", module.heap_base, module.heap_base + padded.nbytes, padded.size)
    return np.frombuffer(module.read(module.heap_base + padded.nbytes, padded.nbytes), x.dtype)[: x.size]


def linked(name: str = "wasm", **options: int) -> bytes:
    return link_web_assembly(emit_object(PROGRAM, WEB_ASSEMBLY[name]), NAMES, **options)


@pytest.mark.parametrize("name", MACHINES)
def test_functions_read_their_data_and_use_their_stack(name: str) -> None:
    module = Running(linked(name))
    assert [module("total", at) for at in range(4)] == [at + 1 + 0.5 - 9 + 5 + 3 for at in range(4)]
    module("change", 6)
    assert module("total", 0) == 1 + 0.5 - 9 + 6 + 3
    assert struct.unpack("<4f", module.read(module("address"), 16)) == (1.0, 2.0, 3.0, 4.0)
    assert module("address") % 16 == 0
    assert module("deep", 10) == 55


@given(stack=st.integers(0, 300_000), room=st.integers(0, 300_000))
@settings(max_examples=12, deadline=None)
def test_memory_has_the_stack_the_data_and_the_room(stack: int, room: int) -> None:
    module = Running(linked(stack=stack, room=room))
    assert module("address") >= max(stack, 1024)
    assert module.heap_base % 64 == 0
    assert module.heap_base > module("address")
    assert module.heap_base + room <= module.size < module.heap_base + room + PAGE
    assert module("total", 3) == 4 + 0.5 - 9 + 5 + 3


def test_a_stack_that_is_too_deep_is_an_error_and_overwrites_nothing() -> None:
    module = Running(linked(stack=8192))
    before = module.read(8192, module.heap_base - 8192)
    with pytest.raises(wasmtime.Trap):
        module("deep", 100)
    assert module.read(8192, module.heap_base - 8192) == before


@needs_linker
@pytest.mark.parametrize("name", MACHINES)
def test_a_linker_makes_the_same(name: str, tmp_path: Path) -> None:
    image = emit_object(PROGRAM, WEB_ASSEMBLY[name])
    (tmp_path / "a.o").write_bytes(image)
    exported = [f"--export={name}" for name in NAMES]
    subprocess.run(
        ["wasm-ld", "a.o", "--no-entry", *exported, "--export=__heap_base", "-o", "a.wasm"],
        cwd=tmp_path,
        check=True,
    )
    theirs, ours = Running((tmp_path / "a.wasm").read_bytes()), Running(linked(name))
    for at in range(4):
        assert ours("total", at) == theirs("total", at)
    assert ours("deep", 12) == theirs("deep", 12)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("function", RENDERED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_have_the_bits_of_native_code_without_fused_multiply_add(
    name: str, function: str, dtype: str
) -> None:
    """And call nothing: a module with a call of the C library can't be linked."""
    lanes = WEB_ASSEMBLY[name].lanes(dtype)
    source = module_of(RENDERED[function], 1, dtype, lanes, UNFUSED)
    module = Running(link_web_assembly(emit_object(source, WEB_ASSEMBLY[name]), MAP, room=2**17))
    x = given_numbers(dtype, 4096)
    found, expected = mapped(module, x, lanes), natively(function, dtype, UNFUSED)(x)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(expected)]))


def test_calls_of_other_functions_are_refused_by_name() -> None:
    source = module_of(lambda v, x: v.call("llvm.fma", x, x, x), 1, "float32", 4)
    with pytest.raises(NativeError, match="calls unavailable functions: fmaf"):
        link_web_assembly(emit_object(source, WEB_ASSEMBLY["wasm"]), MAP)


def test_data_of_others_and_unknown_exports_are_refused() -> None:
    elsewhere = "@there = external global i32\ndefine i32 @read() { %r = load i32, ptr @there\n ret i32 %r }"
    image = emit_object(elsewhere, WEB_ASSEMBLY["wasm"])
    with pytest.raises(NativeError, match="reads unavailable data: there"):
        link_web_assembly(image, {"read": "read"})
    with pytest.raises(NativeError, match=r"exports: expected functions of the object \(read\), got write"):
        link_web_assembly(
            emit_object("define void @read() { ret void }", WEB_ASSEMBLY["wasm"]), {"write": "write"}
        )


def test_a_call_through_a_pointer_is_refused() -> None:
    source = "define i32 @through(ptr %f) { %r = call i32 %f()\n ret i32 %r }"
    with pytest.raises(NativeError, match="expected a whole WebAssembly object file"):
        link_web_assembly(emit_object(source, WEB_ASSEMBLY["wasm"]), {"through": "through"})


IMAGE = emit_object(PROGRAM, WEB_ASSEMBLY["wasm"])


@given(at=st.integers(0, len(IMAGE) - 1), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=80, deadline=None)
def test_damaged_files_are_errors_or_modules(at: int, byte: int, cut: bool) -> None:
    damaged = IMAGE[:at] if cut else IMAGE[:at] + bytes([byte]) + IMAGE[at + 1 :]
    try:
        made = link_web_assembly(damaged, NAMES)
    except NativeError:
        return
    assert made.startswith(b"\0asm")


LANES = st.integers(0, 2**32 - 1)


@given(
    floats=st.lists(st.one_of(LANES.map(lambda one: [one] * 4), st.lists(LANES, min_size=4, max_size=4)),
                    min_size=1, max_size=4),
    doubles=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=2),
)  # fmt: skip
@example(floats=[[0x80000000] * 4, [0x7F800001] * 4, [0xFFFFFFFF] * 4], doubles=[0x7FF0000000000001, 2**63])
@settings(max_examples=20, deadline=None)
def test_constant_vectors_in_fewer_bytes_have_the_same_bits(
    floats: list[list[int]], doubles: list[int]
) -> None:
    rows = [(4, "i32", row) for row in floats] + [(2, "i64", [one, one]) for one in doubles]
    stores = [
        f"%p{at} = getelementptr i8, ptr %to, i32 {16 * at}\n"
        f"store <{lanes} x {kind}> <{', '.join(f'{kind} {one}' for one in row)}>, ptr %p{at}, align 4"
        for at, (lanes, kind, row) in enumerate(rows)
    ]
    lines = "\n".join(stores)
    image = emit_object(f"define void @write(ptr %to) {{\n{lines}\nret void }}", WEB_ASSEMBLY["wasm"])
    expected = b"".join(np.array(row, "<u4" if kind == "i32" else "<u8").tobytes() for _, kind, row in rows)
    sizes = []
    for short in (False, True):
        made = link_web_assembly(image, {"write": "write"}, short=short)
        module = Running(made)
        module("write", module.heap_base)
        assert module.read(module.heap_base, len(expected)) == expected
        sizes.append(len(made))
    is_equal = any(len(set(row)) == 1 for row in floats)
    assert sizes[1] < sizes[0] if is_equal else sizes[1] <= sizes[0]


@pytest.mark.parametrize("lanes", [1, 4])
def test_vectors_of_one_element_give_the_same_bits(lanes: int) -> None:
    """The scalar machine computes one number at a time, or four in turn."""
    x = given_numbers("float32", 1000)
    source = module_of(lambda v, value: v.fma(value, value, v.constant(0.1)), 1, "float32", lanes, UNFUSED)
    module = Running(link_web_assembly(emit_object(source, WEB_ASSEMBLY["wasm-scalar"]), MAP, room=2**16))
    with np.errstate(all="ignore"):
        expected = x * x + np.float32(0.1)
    assert np.array_equal(mapped(module, x, lanes), expected, equal_nan=True)
