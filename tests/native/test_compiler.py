"""Object files are written, checked for what they need, and loaded."""

import ctypes
import mmap
import os
import subprocess
import sys
import threading

import pytest

from nabi.native import OTHER_MACHINES, Library, NativeError, emit_assembly, host
from nabi.native._code._compiler import emit_object, load, symbols
from nabi.native._code._objects import undefined_symbols

from .machines import called_by

# What stands in the code, and not what it computes, depends on the effort.
pytestmark = pytest.mark.usefixtures("full_effort")

CALLS_TANH = """
declare float @llvm.tanh.f32(float)
declare void @nabi_yield(i32)
define float @f(float %x) nounwind {
  call void @nabi_yield(i32 50)
  %y = call float @llvm.tanh.f32(float %x)
  ret float %y
}
"""
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@pytest.fixture(scope="module")
def tables() -> str:
    """A function with 64 KB of constants: it returns entry `i` of `i * i` for all i below 8192."""
    entries = ", ".join(f"i64 {i * i}" for i in range(8192))
    return f"""
        @table = private constant [8192 x i64] [{entries}]
        declare void @nabi_yield(i32)
        define i64 @entry(i64 %i) nounwind {{
          call void @nabi_yield(i32 50)
          %at = getelementptr [8192 x i64], ptr @table, i64 0, i64 %i
          %value = load i64, ptr %at, align 8
          ret i64 %value
        }}
        """


def scaled(library: Library) -> list[float]:
    x = (ctypes.c_float * 8)(*range(8))
    KERNEL(library.address("scale"))(ctypes.addressof(x), 0, 1)
    return list(x)


def test_what_is_compiled_runs(kernels, names):
    image = emit_object(kernels, host())
    assert undefined_symbols(image) == {"nabi_yield"}
    assert scaled(load(image, names, symbols())) == [3.5 * i for i in range(8)]


def test_an_llvmlite_module_is_as_good_as_its_text():
    from llvmlite import ir

    module = ir.Module("sum")
    number = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(number, [number, number]), "sum")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(builder.add(*function.args))
    library = load(emit_object(module, host()), ["sum"], {})
    two = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    assert two(library.address("sum"))(40, 2) == 42


def test_assembly_is_text_for_the_machine(kernels):
    assert "vfmadd" in emit_assembly(kernels, OTHER_MACHINES["x86_64-linux-avx2"])
    assert "fmla" in emit_assembly(kernels, OTHER_MACHINES["arm64-macos"])


@pytest.mark.skipif(host().architecture != "x86_64", reason="other processors can have no AVX-512")
def test_a_processor_that_prefers_short_vectors_is_given_the_long_ones():
    text = """
        define void @add(ptr %p) nounwind {
          %a = load <16 x float>, ptr %p, align 4
          %b = fadd <16 x float> %a, %a
          store <16 x float> %b, ptr %p, align 4
          ret void
        }
        """
    assert "zmm" in emit_assembly(text, OTHER_MACHINES["x86_64-linux-avx512"])


def test_functions_that_nobody_provides_are_named():
    image = emit_object(CALLS_TANH, host())
    with pytest.raises(NativeError, match="calls unavailable functions: nabi_yield, tanhf;"):
        load(image, ["f"], {})
    # The C library of this process has it; it is not to be used by accident.
    with pytest.raises(NativeError, match="calls unavailable functions: tanhf;"):
        load(image, ["f"], symbols())
    library = load(image, ["f"], symbols() | {"tanhf": ctypes.cast(c_library().tanhf, ctypes.c_void_p).value})
    assert ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)(library.address("f"))(0.0) == 0.0


def c_library() -> ctypes.CDLL:
    from ctypes.util import find_library

    return ctypes.CDLL(find_library("m"))


@pytest.mark.parametrize("text", ["define void", "define i32 @f() { ret i64 0 }"])
def test_a_wrong_module_is_a_mistake_in_nabi(text):
    with pytest.raises(NativeError, match="a bug in nabi"):
        emit_object(text, host())


def test_a_function_that_the_object_does_not_have(kernels):
    image = emit_object(kernels, host())
    with pytest.raises(NativeError, match="can't be loaded"):
        load(image, ["scale", "shrink"], symbols())
    with pytest.raises(NativeError, match=r"expected a function of the library .*scale.*, got 'tell'"):
        load(image, ["scale"], symbols()).address("tell")


def test_an_object_that_is_cut_off_is_never_loaded_or_a_crash(kernels, names):
    image = emit_object(kernels, host())
    for length in [*range(0, len(image), 97), len(image) - 1]:
        with pytest.raises(NativeError):
            load(image[:length], names, symbols())


@pytest.mark.parametrize("name", sorted(OTHER_MACHINES))
def test_undefined_symbols_of_every_format(name):
    found = called_by(CALLS_TANH, OTHER_MACHINES[name])
    assert found - {"_fltused"} == {"tanhf", "nabi_yield"}


@pytest.mark.parametrize("name", sorted(OTHER_MACHINES))
def test_symbols_of_an_object_that_is_cut_off(name):
    image = emit_object(CALLS_TANH, OTHER_MACHINES[name])
    whole = undefined_symbols(image)
    for length in range(len(image)):
        try:
            found = undefined_symbols(image[:length])
        except ValueError:
            continue
        # What stands before the cut is read; names may be cut.
        assert len(found) <= len(whole)


def test_constants_and_functions_are_reached_from_far_away(tables):
    """Gaps of 4 GiB lie between libraries: an offset of 32 bits from one to another would break."""
    image = emit_object(tables, host())
    gaps, libraries = [], []
    for _ in range(4):
        gaps.append(mmap.mmap(-1, 4 << 30, prot=mmap.PROT_READ))
        libraries.append(load(image, ["entry"], symbols()))
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    for library in libraries:
        function = entry(library.address("entry"))
        assert [function(i) for i in (0, 1, 8191)] == [0, 1, 8191 * 8191]
    for gap in gaps:
        gap.close()


def test_many_libraries_at_once(tables):
    image = emit_object(tables, host())
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    addresses = [load(image, ["entry"], symbols()).address("entry") for _ in range(200)]
    assert len(set(addresses)) == 200
    assert all(entry(address)(7) == 49 for address in addresses)


def test_several_threads_compile_and_load(kernels, names):
    results, problems = [], []

    def work() -> None:
        try:
            for _ in range(5):
                results.append(scaled(load(emit_object(kernels, host()), names, symbols())))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert results == [[3.5 * i for i in range(8)]] * 20


FORK = """
import os, sys, threading
sys.path.insert(0, {folder!r})
from conftest import KERNELS, NAMES
from nabi.native._code._compiler import emit_object, load, symbols
from nabi.native._code._machine import host
load(emit_object(KERNELS, host()), NAMES, symbols())
stop = threading.Event()
def compile_on():
    while not stop.is_set():
        emit_object(KERNELS, host())
threading.Thread(target=compile_on, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        load(emit_object(KERNELS, host()), NAMES, symbols())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_compiles_though_it_was_born_while_another_thread_did():
    script = FORK.format(folder=os.path.dirname(__file__))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
