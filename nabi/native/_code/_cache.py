"""Compiled code by what it was compiled from: in this process, on the disk, or made now."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
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
    """Return a library by what it is compiled from; compile only what neither memory nor disk holds.

    Args:
        key_parts: everything that the code depends on beside nabi's own sources, the versions of LLVM and
            llvmlite, and the machine. The first part is the label that `nabi cache` shows.
        names: the functions whose addresses are wanted.
        make: writes the module (an `llvmlite.ir.Module` or its text); called when it has to be compiled.
        machine: what to compile for: this machine.
        callees: address of every function that the code may call, `symbols()` unless given.

    Raises:
        NativeError: if the module is wrong or needs functions that are not among `callees`.
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
            pass  # whole, yet of no use: written anew below
    image = emit_object(make(), machine)
    library = load(image, names, callees)
    if key is not None and _sources_are_running():
        _store.write(key, key_parts[0], image)
    return library


def _key(key_parts: tuple[str, ...], names: Sequence[str], machine: Machine) -> bytes | None:
    """The name of an object on the disk; None where its generator cannot be told from another."""
    sources = _digest_of_sources()
    if sources is None or not _sources_are_running():
        return None
    everything = (sources, _versions(), machine, effort(), key_parts, tuple(names))
    return hashlib.sha256(repr(everything).encode()).digest()


# Where the code is that decides what is written. `tests/native/test_cache.py` watches which files run while
# code is written, and fails if one of them lies elsewhere.
_PACKAGE = str(Path(__file__).absolute().parents[2])
_FOLDERS = ("ir", "native", "kernels/_code", "targets/llvm")


@cache
def _sources() -> tuple[str, ...]:
    """The files whose code decides what is written, with their subfolders."""
    found = []
    for folder in _FOLDERS:
        for path, folders, names in os.walk(os.path.join(_PACKAGE, folder)):
            folders.sort()
            found += [os.path.join(path, name) for name in sorted(names) if name.endswith(".py")]
    return tuple(found)


@cache
def _digest_of_sources() -> str | None:
    """A checksum over the sources that write the code, 1 ms, once; None where there are no source files."""
    digest = hashlib.sha256()
    try:
        for path in _sources():
            with open(path, "rb") as file:
                content = file.read()
            # With its folder: files of one name in two folders may change places.
            digest.update(f"{os.path.relpath(path, _PACKAGE)} {len(content)}\n".encode())
            digest.update(content)
    except OSError:
        return None
    return digest.hexdigest() if _sources() else None


def _sources_are_running() -> bool:
    """Whether the source files are those that this process runs: none was edited after it began.

    Else code of the old generator would be kept as that of the new one.
    """
    try:
        times = [os.stat(path).st_mtime for path in _sources()]
    except OSError:
        return False
    now = time.time()
    # A time in the future says nothing: some file systems have another clock.
    return not any(_store.STARTED < changed <= now for changed in times)


@cache
def _versions() -> tuple[object, ...]:
    import llvmlite
    from llvmlite import binding

    return llvmlite.__version__, tuple(binding.llvm_version_info)
