"""From LLVM IR to callable code: writing object files and loading them into this process."""

import ctypes
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from nabi._once import LOCK
from nabi.native._code._machine import Machine, NativeError, host
from nabi.native._code._objects import undefined_symbols

__all__ = ["Library", "effort", "emit_assembly", "emit_object", "load", "symbols"]

# Only the thread that holds LOCK calls LLVM, so LLVM is idle in a forked child. LLVM's memory is therefore
# freed under the lock too.

_numbers = itertools.count()


class Library:
    """Machine code loaded into this process until it ends."""

    def __init__(self, addresses: Mapping[str, int]) -> None:
        self._addresses = dict(addresses)

    def address(self, name: str) -> int:
        """Return the address of a function.

        Raises:
            NativeError: if the library has no function of that name.
        """
        try:
            return self._addresses[name]
        except KeyError:
            known = ", ".join(sorted(self._addresses))
            raise NativeError(f"name: expected a function of the library ({known}), got {name!r}") from None


def emit_object(module: object, machine: Machine, level: int | None = None, *, passes: bool = False) -> bytes:
    """Compile a module to an object file.

    The code is position-independent: it addresses its constants relative to itself and other functions
    through a table.

    Args:
        module: an `llvmlite.ir.Module`, or its text.
        machine: the target machine, not necessarily this one.
        level: LLVM's optimization level; by default that of the environment.
        passes: whether to run LLVM's passes on the module before. On code that is already vectorized they
            cost more than the code generator and gain no time, but bytes.

    Returns:
        The object file in the machine's format: ELF, Mach-O or COFF.

    Raises:
        NativeError: if LLVM rejects the module.
    """
    with LOCK, _parsed(module, machine) as parsed:
        target = _target(machine, level)
        if passes:
            _simplify(parsed, target)
        return bytes(target.emit_object(parsed))


def emit_assembly(module: object, machine: Machine, level: int | None = None) -> str:
    """Compile a module to readable assembly; arguments and errors as for `emit_object`."""
    with LOCK, _parsed(module, machine) as parsed:
        return str(_target(machine, level).emit_assembly(parsed))


def load(image: bytes, names: Sequence[str], symbols: Mapping[str, int]) -> Library:
    """Load an object file into this process.

    Args:
        image: the object file, compiled for this machine.
        names: the functions whose addresses are needed.
        symbols: address of every function that the object may call but does not define.

    Raises:
        NativeError: if the object needs a function that is not in `symbols`, is not an object file, or lacks
            a function in `names`.
    """
    try:
        missing = undefined_symbols(image) - symbols.keys()
    except ValueError as problem:
        raise NativeError(f"image: expected a loadable object file ({problem})") from problem
    if missing:
        # Checked here and not by the linker, which would find tanhf in the C library.
        raise NativeError(
            "The generated code calls unavailable functions: "
            f"{', '.join(sorted(missing))}; this is a bug in nabi"
        )
    from llvmlite import binding

    with LOCK:
        builder = binding.JITLibraryBuilder().add_object_img(image)
        for name, address in symbols.items():
            builder.import_symbol(name, address)
        for name in names:
            builder.export_symbol(name)
        try:
            tracker = builder.link(_jit(), f"nabi-{next(_numbers)}")
        except RuntimeError as problem:
            raise NativeError(f"image: the object file can't be loaded: {problem}") from problem
        addresses = {name: tracker[name] for name in names}
        # LLVM unloads a library with its tracker. A thread may still run it then, even after the interpreter
        # has ended, so it is never unloaded.
        tracker.detach()
        return Library(addresses)


@cache
def symbols() -> dict[str, int]:
    """Return the functions that generated code may call, by name.

    `nabi_yield(microseconds)` yields the processor for that time (on Windows: for a time slice). A thread
    that has waited long at a barrier calls it: the thread it waits for may have no processor, and the system
    assigns it one only when a processor becomes idle.
    """
    if os.name == "nt":
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
        # Microsoft's linker requires `_fltused` in floating-point code; LLVM refers to it, nothing reads it.
        # `__chkstk` touches the stack page by page; functions with a frame larger than a page call it first.
        check = ctypes.WinDLL("ntdll")["__chkstk"]  # type: ignore[attr-defined,unused-ignore]
        return {
            "nabi_yield": _address(kernel.SwitchToThread),
            "__chkstk": _address(check),
            "_fltused": ctypes.addressof(_fltused),
        }
    return {"nabi_yield": _address(ctypes.CDLL(None).usleep)}


_fltused = ctypes.c_int(0)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@contextmanager
def _parsed(module: object, machine: Machine) -> Iterator[Any]:
    from llvmlite import binding

    target = _target(machine)
    parsed = None
    try:
        parsed = binding.parse_assembly(str(module))
        parsed.triple = machine.triple
        parsed.data_layout = str(target.target_data)
        parsed.verify()
        yield parsed
    except RuntimeError as problem:
        raise NativeError(f"module: rejected by LLVM: {problem}; this is a bug in nabi") from problem
    finally:
        if parsed is not None:
            parsed.close()


def _simplify(parsed: Any, target: Any) -> None:
    """Run LLVM's passes on a module, without those that write code more than once."""
    from llvmlite import binding

    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = options.loop_interleaving = False
    options.loop_vectorization = options.slp_vectorization = False
    builder = binding.create_pass_builder(target, options)
    builder.getModulePassManager().run(parsed, builder)


def effort() -> int:
    """Return LLVM's optimization level from NABI_LLVM_EFFORT; 0 compiles 10 times faster to slow code."""
    value = os.environ.get("NABI_LLVM_EFFORT", "").strip() or "3"
    if value not in ("0", "1", "2", "3"):
        raise NativeError(f"NABI_LLVM_EFFORT: expected 0, 1, 2 or 3, got {value!r}")
    return int(value)


def _target(machine: Machine, level: int | None = None) -> Any:
    """Return LLVM's target machine."""
    return _target_with(machine, effort() if level is None else level)


@cache
def _target_with(machine: Machine, level: int) -> Any:
    from llvmlite import binding

    _initialise(machine.triple == binding.get_process_triple())
    # Small position-independent code: JITLink puts all sections of an object into one block of memory, so
    # constants are near, and creates a table for distant functions. Processors without an operating system,
    # and WebAssembly, have fixed addresses instead.
    reloc = "static" if "-none-" in machine.triple or machine.triple.startswith("wasm") else "pic"
    return binding.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=level, reloc=reloc, codemodel="small"
    )


@cache
def _initialise(own: bool) -> None:
    """Initialize LLVM for this machine's architecture, or for all, which takes longer."""
    from llvmlite import binding

    if own:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        return
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@cache
def _jit() -> Any:
    """Return the linker of this process, for its own machine."""
    from llvmlite import binding

    return binding.create_lljit_compiler(_target(host()), use_jit_link=True, suppress_errors=True)
