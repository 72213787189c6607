"""Compiled code, looked up by its inputs: in this process, on disk, or compiled now."""

import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import get_ident

from nabi._once import LOCK
from nabi.native import store as _store
from nabi.native._code._compiler import Library, effort, emit_object, load, symbols
from nabi.native._code._machine import Machine, NativeError
from nabi.native._leaving import CLOSED, INSIDE, stay_outside

__all__ = ["compiled"]

_loaded: dict[tuple[object, ...], Library] = {}


def compiled(
    key_parts: tuple[str, ...],
    names: Sequence[str],
    make: Callable[[], object],
    machine: Machine,
    *,
    callees: Mapping[str, int] | None = None,
) -> Library:
    """Return a library by the inputs of its compilation; compile only if neither memory nor disk holds it.

    Args:
        key_parts: everything that the code depends on besides nabi's own sources, the versions of LLVM and
            llvmlite, and the machine. The first part is the label shown by `nabi cache`.
        names: the functions whose addresses are needed.
        make: writes the module (an `llvmlite.ir.Module` or its text); called only to compile it.
        machine: the target of the compilation: this machine.
        callees: address of every function that the code may call (default: `symbols()`).

    Raises:
        NativeError: if the module is invalid or needs functions that are not in `callees`.
    """
    callees = symbols() if callees is None else callees
    place = (key_parts, tuple(names), machine, effort(), tuple(callees.items()))
    found = _loaded.get(place)
    if found is not None:
        return found
    thread = get_ident()
    INSIDE[thread] = True
    if CLOSED:
        stay_outside()
    try:
        with LOCK:
            found = _loaded.get(place)
            if found is None:
                found = _loaded[place] = _from_disk_or_new(key_parts, names, make, machine, callees)
            return found
    finally:
        INSIDE[thread] = False
        if CLOSED:
            stay_outside()


def _from_disk_or_new(
    key_parts: tuple[str, ...],
    names: Sequence[str],
    make: Callable[[], object],
    machine: Machine,
    callees: Mapping[str, int],
) -> Library:
    key = _key(key_parts, names, machine)
    image = None if key is None else _store.read(key)
    if image is not None:
        try:
            return load(image, names, callees)
        except NativeError:
            pass  # intact but unusable: rewritten below
    with _garbage_waits():
        image = emit_object(make(), machine)
    library = load(image, names, callees)
    if key is not None and _sources_are_running():
        _store.write(key, key_parts[0], image)
    return library


@contextmanager
def _garbage_waits() -> Iterator[None]:
    """Pause the search for reference cycles: while a module is written, everything new is still in use.

    Its tens of thousands of objects would start dozens of searches, which look at torch's objects as well and
    find nothing. They took half of the time that a kernel takes.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _key(key_parts: tuple[str, ...], names: Sequence[str], machine: Machine) -> bytes | None:
    """Return the key of an object on disk; None if its generator can't be identified."""
    sources = _digest_of_sources()
    if sources is None or not _sources_are_running():
        return None
    everything = (sources, _versions(), machine, effort(), key_parts, tuple(names))
    return hashlib.sha256(repr(everything).encode()).digest()


# The folders with the code that determines the generated code. `tests/native/test_cache.py` records which
# files run during code generation and fails if one of them is elsewhere.
_PACKAGE = str(Path(__file__).absolute().parents[2])
_FOLDERS = ("ir", "native", "kernels/_code", "shipping", "targets/llvm")
_AT_ONCE = 1 << 17  # bytes, more than any of them has


@cache
def _sources() -> tuple[str, ...]:
    """Return the source files that determine the generated code, including subfolders."""
    found = []
    for folder in _FOLDERS:
        for path, folders, names in os.walk(os.path.join(_PACKAGE, folder)):
            folders.sort()
            found += [os.path.join(path, name) for name in sorted(names) if name.endswith(".py")]
    return tuple(found)


@cache
def _digest_of_sources() -> str | None:
    """Return a checksum of the generator's sources (3 ms, once); None if there are no source files."""
    digest = hashlib.sha256()
    try:
        for path in _sources():
            content = _content(path)
            # With the folder: files of the same name in two folders may be swapped.
            digest.update(f"{path[len(_PACKAGE) + 1 :]} {len(content)}\n".encode())
            digest.update(content)
    except OSError:
        return None
    return digest.hexdigest() if _sources() else None


def _content(path: str) -> bytes:
    """Return what is in a file, in half the time that a file object takes: there are many, all small."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = b""
        while part := os.read(descriptor, _AT_ONCE):
            found += part
        return found
    finally:
        os.close(descriptor)


def _sources_are_running() -> bool:
    """Tell whether this process runs the current source files: none was edited after it started.

    Otherwise code from the old generator would be stored as that of the new one.
    """
    try:
        times = [os.stat(path).st_mtime for path in _sources()]
    except OSError:
        return False
    now = time.time()
    # Ignore times in the future: some file systems have another clock.
    return not any(_store.STARTED < changed <= now for changed in times)


@cache
def _versions() -> tuple[object, ...]:
    import llvmlite
    from llvmlite import binding

    return llvmlite.__version__, tuple(binding.llvm_version_info)
