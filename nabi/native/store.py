"""The folder in which compiled objects wait for the next process.

A file holds one object after a header with its key and checksum. It is written under another name and
renamed, so that another process sees all of it or nothing; it is not forced to the disk, since after a power
cut the checksum tells and the object is compiled again. Only files of the user's own are read: what is
loaded from here is executed.
"""

import hashlib
import os
import struct
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["STARTED", "Entry", "bound", "clear", "entries", "folder", "read", "write"]

_MAGIC = b"nabi object 1\n"
_HEADER = struct.Struct("<14s32s32sHQ")  # magic, key, checksum of what follows, length of label, of object
_SUFFIX, _PART = ".kernel", ".part"
_DEFAULT_BOUND = 256  # MiB
_ABANDONED = 3600  # seconds after which a file that was never renamed belongs to a process that ended

STARTED = time.time()  # about when this process read nabi's sources

_said: set[str] = set()


class Entry(NamedTuple):
    """A compiled object on the disk.

    Attributes:
        label: what it was compiled from, for people.
        size: of its file, in bytes.
        time: when it was last used, in seconds since 1970.
    """

    label: str
    size: int
    time: float


def folder() -> Path:
    """Return the folder of compiled objects, whether it exists or not.

    `NABI_CACHE_DIR` if that is set; else `nabi` in the user's folder for caches: `XDG_CACHE_HOME` or
    `~/.cache`, on macOS `~/Library/Caches`, on Windows `LOCALAPPDATA`.
    """
    chosen = os.environ.get("NABI_CACHE_DIR", "").strip()
    if chosen:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG base directory specification: a relative path is to be ignored.
        base = base if os.path.isabs(base) else os.path.join(home, ".cache")
    return Path(base) / "nabi"


def bound() -> int:
    """Return how many bytes the folder may hold: `NABI_CACHE_SIZE` in MiB, 256 unless it is set; 0 is off."""
    text = os.environ.get("NABI_CACHE_SIZE", "").strip()
    try:
        size = float(text) if text else _DEFAULT_BOUND
        return max(0, int(size * 2**20))
    except (ValueError, OverflowError):
        _say(f"NABI_CACHE_SIZE: got {text!r}, expected a number of MiB; it is taken as {_DEFAULT_BOUND}")
        return _DEFAULT_BOUND * 2**20


def read(key: bytes) -> bytes | None:
    """Return the object that was written under a key of 32 bytes, or None.

    None also where the file is damaged, of another key or of another user. An object that is found counts as
    used just now.
    """
    place = folder()
    if not bound() or not _may_be_used(place):
        return None
    path = _path(place, key)
    content = _content(path)
    found = None if content is None else _unpacked(content, key)
    if found is not None:
        with suppress(OSError):
            os.utime(path)
    return found


def write(key: bytes, label: str, image: bytes) -> None:
    """Keep an object under a key of 32 bytes, in the place of an earlier one.

    Where the folder cannot be written, a warning says so once. What was not used for longest is deleted
    until all files together are within the bound.

    Args:
        key: under which it is found again.
        label: what it was compiled from, for people.
        image: the object.
    """
    limit, place = bound(), folder()
    if not limit:
        return
    text = label.encode()[:1000]
    following = text + image
    header = _HEADER.pack(_MAGIC, key, hashlib.sha256(following).digest(), len(text), len(image))
    if len(header) + len(following) > limit:
        return
    temporary = None
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        if not _may_be_used(place):
            return
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=_PART, dir=place)
        with os.fdopen(descriptor, "wb") as file:
            file.write(header + following)
        try:
            os.replace(temporary, _path(place, key))
            temporary = None
        except PermissionError:
            # Windows, while another process reads the same object: it is there already.
            if not _path(place, key).is_file():
                raise
        _shrink(place, limit)
    except OSError as problem:
        _say(
            f"Compiled code cannot be kept in {place}: {problem.strerror or problem}. Everything runs, but "
            "is compiled again in every process; NABI_CACHE_DIR names another folder"
        )
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def entries() -> list[Entry]:
    """Return what the folder holds, the last used first; files that are damaged are labelled so."""
    place = folder()
    found = []
    for path, status in _files(place):
        content = _content(path)
        label = None if content is None else _label(content)
        found.append(Entry(label or "(damaged)", status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: -entry.time)


def clear() -> int:
    """Delete all compiled objects; returns how many there were. Other files in the folder stay.

    Raises:
        OSError: if one cannot be deleted.
    """
    place = folder()
    deleted = 0
    for path, _ in _files(place):
        # Another process may have been quicker.
        with suppress(FileNotFoundError):
            os.unlink(path)
            deleted += 1
    _sweep(place)
    return deleted


def _path(place: Path, key: bytes) -> Path:
    return place / f"{key.hex()}{_SUFFIX}"


def _content(path: Path) -> bytes | None:
    """The content of a file that nobody but this user can have written."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    # A pipe under the name of an entry would be waited for.
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            return file.read() if _is_own(os.fstat(file.fileno())) else None
    except OSError:
        return None


def _unpacked(content: bytes, key: bytes) -> bytes | None:
    if len(content) < _HEADER.size:
        return None
    magic, own_key, checksum, label_length, length = _HEADER.unpack_from(content)
    following = content[_HEADER.size :]
    whole = magic == _MAGIC and own_key == key and len(following) == label_length + length
    if not whole or hashlib.sha256(following).digest() != checksum:
        return None
    return following[label_length:]


def _label(content: bytes) -> str | None:
    if len(content) < _HEADER.size:
        return None
    key, label_length = _HEADER.unpack_from(content)[1], _HEADER.unpack_from(content)[3]
    if _unpacked(content, key) is None:
        return None
    return content[_HEADER.size : _HEADER.size + label_length].decode(errors="replace")


def _may_be_used(place: Path) -> bool:
    """Whether a folder exists and is the user's own."""
    try:
        status = os.stat(place)
    except OSError:
        return False
    if _is_own(status):
        return True
    _say(
        f"Compiled code is not kept in {place}: the folder belongs to, or can be written by, another user; "
        "NABI_CACHE_DIR names another"
    )
    return False


def _is_own(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user and only its group, if anyone, can write it too."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & 0o002


def _files(place: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    with suppress(OSError), os.scandir(place) as listing:
        for item in listing:
            # Another process may delete at the same time.
            with suppress(OSError):
                if item.name.endswith(_SUFFIX) and item.is_file(follow_symlinks=False):
                    found.append((Path(item.path), item.stat(follow_symlinks=False)))
    return found


def _shrink(place: Path, limit: int) -> None:
    """Delete what was not used for longest until the rest is within the bound."""
    _sweep(place)
    files = sorted(_files(place), key=lambda found: found[1].st_mtime)
    total = sum(status.st_size for _, status in files)
    # What was written last stays: it is within the bound by itself.
    for path, status in files[:-1]:
        if total <= limit:
            break
        with suppress(OSError):
            os.unlink(path)
        total -= status.st_size


def _sweep(place: Path) -> None:
    """Delete what processes left behind that ended while they wrote."""
    with suppress(OSError), os.scandir(place) as listing:
        for item in listing:
            with suppress(OSError):
                if item.name.endswith(_PART) and time.time() - item.stat().st_mtime > _ABANDONED:
                    os.unlink(item.path)


def _say(text: str) -> None:
    """Warn, once in a process."""
    if text not in _said:
        _said.add(text)
        warnings.warn(text, stacklevel=2)
