"""The on-disk cache of compiled objects.

A file holds one object after a header with its key and checksum. It is written under another name and
renamed, so other processes see all of it or nothing. It is not flushed to disk: after a power failure, the
checksum reveals damage and the object is compiled again. Only files owned by the user are read, because their
content is executed.
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
_ABANDONED = 3600  # seconds after which the process of a file that was never renamed must have ended

STARTED = time.time()  # roughly when this process read nabi's sources

_said: set[str] = set()


class Entry(NamedTuple):
    """A compiled object on disk.

    Attributes:
        label: a readable description of its source.
        size: size of its file in bytes.
        time: time of its last use, in seconds since 1970.
    """

    label: str
    size: int
    time: float


def folder() -> Path:
    """Return the folder of compiled objects, whether it exists or not.

    `NABI_CACHE_DIR` if it is set, otherwise `nabi` in the user's cache folder: `XDG_CACHE_HOME` or
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
        # According to the XDG base directory specification, a relative path must be ignored.
        base = base if os.path.isabs(base) else os.path.join(home, ".cache")
    return Path(base) / "nabi"


def bound() -> int:
    """Return the size limit of the folder in bytes: `NABI_CACHE_SIZE` in MiB (default 256); 0 disables it."""
    text = os.environ.get("NABI_CACHE_SIZE", "").strip()
    try:
        size = float(text) if text else _DEFAULT_BOUND
        return max(0, int(size * 2**20))
    except (ValueError, OverflowError):
        _say(f"NABI_CACHE_SIZE: expected a number of MiB, got {text!r}; using {_DEFAULT_BOUND}")
        return _DEFAULT_BOUND * 2**20


def read(key: bytes) -> bytes | None:
    """Return the object stored under a key of 32 bytes, or None.

    Also returns None if the file is damaged or has another key or owner. Finding an object updates its time
    of last use.
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
    """Store an object under a key of 32 bytes, replacing an earlier one.

    If the folder can't be written, a warning is issued once. The least recently used objects are deleted
    until the total size is within the bound.

    Args:
        key: the key for `read`.
        label: a readable description of its source.
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
            # On Windows, while another process reads the same object: it already exists.
            if not _path(place, key).is_file():
                raise
        _shrink(place, limit)
    except OSError as problem:
        _say(
            f"Compiled code can't be cached in {place}: {problem.strerror or problem}. It is compiled again "
            "in every process; set NABI_CACHE_DIR to use another folder"
        )
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def entries() -> list[Entry]:
    """Return the cached objects, most recently used first; damaged files are labelled so."""
    place = folder()
    found = []
    for path, status in _files(place):
        content = _content(path)
        label = None if content is None else _label(content)
        found.append(Entry(label or "(damaged)", status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: -entry.time)


def clear() -> int:
    """Delete all compiled objects and return their number. Other files in the folder are kept.

    Raises:
        OSError: if an object can't be deleted.
    """
    place = folder()
    deleted = 0
    for path, _ in _files(place):
        # Another process may have deleted it first.
        with suppress(FileNotFoundError):
            os.unlink(path)
            deleted += 1
    _sweep(place)
    return deleted


def _path(place: Path, key: bytes) -> Path:
    return place / f"{key.hex()}{_SUFFIX}"


def _content(path: Path) -> bytes | None:
    """Return the content of a file that only this user can have written."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    # Opening a pipe with the name of an entry would block.
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
    """Tell whether a folder exists and belongs to the user."""
    try:
        status = os.stat(place)
    except OSError:
        return False
    if _is_own(status):
        return True
    _say(
        f"Compiled code is not cached in {place}: the folder belongs to, or can be written by, another user; "
        "set NABI_CACHE_DIR to use another"
    )
    return False


def _is_own(status: os.stat_result) -> bool:
    """Tell whether a file or folder belongs to this user and at most its group can also write it."""
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
    """Delete the least recently used objects until the rest is within the bound."""
    _sweep(place)
    files = sorted(_files(place), key=lambda found: found[1].st_mtime)
    total = sum(status.st_size for _, status in files)
    # The last one written is kept: it is within the bound itself.
    for path, status in files[:-1]:
        if total <= limit:
            break
        with suppress(OSError):
            os.unlink(path)
        total -= status.st_size


def _sweep(place: Path) -> None:
    """Delete temporary files of processes that ended while writing."""
    with suppress(OSError), os.scandir(place) as listing:
        for item in listing:
            with suppress(OSError):
                if item.name.endswith(_PART) and time.time() - item.stat().st_mtime > _ABANDONED:
                    os.unlink(item.path)


def _say(text: str) -> None:
    """Warn once per process."""
    if text not in _said:
        _said.add(text)
        warnings.warn(text, stacklevel=2)
