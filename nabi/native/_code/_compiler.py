"""From LLVM's text to code that can be called: object files written, and loaded into this process."""

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

# LLVM is entered by one thread at a time, the one that holds LOCK, and a forked child finds it at rest. What
# LLVM holds is therefore also given back under it.

_numbers = itertools.count()


class Library:
    """Machine code in this process, where it stays to the end."""

    def __init__(self, addresses: Mapping[str, int]) -> None:
        self._addresses = dict(addresses)

    def address(self, name: str) -> int:
        """Return where a function begins.

        Raises:
            NativeError: if the library has no function of that name.
        """
        try:
            return self._addresses[name]
        except KeyError:
            known = ", ".join(sorted(self._addresses))
            raise NativeError(f"name: {name!r} is not in the library; known are {known}") from None


def emit_object(module: object, machine: Machine) -> bytes:
    """Compile a module to an object file.

    The code may stand anywhere in memory: it reaches its constants relative to itself and other functions
    through a table. LLVM's passes over the module are left out: on code that is written in vectors already
    they cost more than the code generator and gain nothing.

    Args:
        module: an `llvmlite.ir.Module`, or its text.
        machine: what to compile for; need not be this one.

    Returns:
        The object file: ELF, Mach-O or COFF, as the machine has it.

    Raises:
        NativeError: if LLVM finds the module wrong.
    """
    with LOCK, _parsed(module, machine) as parsed:
        return bytes(_target(machine).emit_object(parsed))


def emit_assembly(module: object, machine: Machine) -> str:
    """Compile a module to assembly to read; arguments and errors as for `emit_object`."""
    with LOCK, _parsed(module, machine) as parsed:
        return str(_target(machine).emit_assembly(parsed))


def load(image: bytes, names: Sequence[str], symbols: Mapping[str, int]) -> Library:
    """Load an object file into this process.

    Args:
        image: the object file, compiled for this machine.
        names: the functions whose addresses are wanted.
        symbols: address of every function that the object may call but does not define.

    Raises:
        NativeError: if the object needs a function that is not in `symbols`, is no object file, or lacks
            a function of `names`.
    """
    try:
        missing = undefined_symbols(image) - symbols.keys()
    except ValueError as problem:
        raise NativeError(f"image: not an object file that can be loaded: {problem}") from problem
    if missing:
        # Looked for here and not left to the linker, which would find tanhf in the C library.
        raise NativeError(
            "The generated code calls functions that it must not need: "
            f"{', '.join(sorted(missing))}; this is a mistake in nabi"
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
            raise NativeError(f"image: the object file cannot be loaded: {problem}") from problem
        addresses = {name: tracker[name] for name in names}
        # LLVM unloads a library when its tracker goes. A thread may still run it then, even when the
        # interpreter has ended: so it is never unloaded.
        tracker.detach()
        return Library(addresses)


@cache
def symbols() -> dict[str, int]:
    """Return the functions that generated code may call, by name.

    `nabi_yield(microseconds)` leaves the processor to others for so long (on Windows: for a turn). A thread
    that has waited for long at a barrier calls it: the one it waits for may be without a processor, and the
    system moves that one to a processor only when it becomes idle.
    """
    if os.name == "nt":
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
        # Microsoft's linker asks for `_fltused` where numbers have a point; LLVM names it, nothing reads it.
        # Called by a function whose frame is larger than a page, before it uses that: touches page by page.
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
        raise NativeError(f"module: LLVM finds it wrong: {problem}; this is a mistake in nabi") from problem
    finally:
        if parsed is not None:
            parsed.close()


def effort() -> int:
    """Return how hard LLVM tries, 0 to 3, from NABI_LLVM_EFFORT: 0 compiles ten times faster to slow code."""
    value = os.environ.get("NABI_LLVM_EFFORT", "").strip() or "3"
    if value not in ("0", "1", "2", "3"):
        raise NativeError(f"NABI_LLVM_EFFORT: expected 0, 1, 2 or 3, got {value!r}")
    return int(value)


def _target(machine: Machine) -> Any:
    """LLVM's view of a machine."""
    return _target_with(machine, effort())


@cache
def _target_with(machine: Machine, level: int) -> Any:
    from llvmlite import binding

    _initialise(machine.triple == binding.get_process_triple())
    # Small code that is independent of its position: JITLink puts all sections of an object into one piece
    # of memory, so that constants are near, and makes a table for functions that are far.
    return binding.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=level, reloc="pic", codemodel="small"
    )


@cache
def _initialise(own: bool) -> None:
    """Make LLVM ready for this machine's own kind of processor, or for all, which takes longer."""
    from llvmlite import binding

    if own:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        return
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@cache
def _jit() -> Any:
    """The linker of this process, made for its own machine."""
    from llvmlite import binding

    return binding.create_lljit_compiler(_target(host()), use_jit_link=True, suppress_errors=True)
