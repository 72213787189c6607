"""Atomic writing of files."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nabi import _checks
from nabi.errors import ArgumentError, OutputError

__all__ = ["check_writable", "write_atomically"]

_MODES = ("wb", "w")
# Error codes when the rest of a file cannot be stored.
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def write_atomically(
    path: str | os.PathLike[str], mode: str = "wb", *, encoding: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file that appears under its name only once it is complete.

    The output goes to a temporary file in the same folder, which is flushed to disk and renamed at the end.
    If the body raises, an existing file of that name is left unchanged. Missing folders are created.

    Args:
        path: of the file.
        mode: "wb" for bytes, "w" for text.
        encoding: of text; UTF-8 by default.

    Raises:
        ArgumentError: for another mode.
        OutputError: if the folder cannot be created or written, the disk is full, or the path is a folder, a
            device or a pipe.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with write_atomically(folder / "notes.txt", "w") as file:
    ...     _ = file.write("g8 e8 e4")
    >>> (folder / "notes.txt").read_text()
    'g8 e8 e4'
    """
    if mode not in _MODES:
        raise ArgumentError(f"mode: expected one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    target = _target(path)
    if mode == "w" and encoding is None:
        encoding = "utf-8"
    descriptor, temporary = _open_beside(target, path)
    try:
        with os.fdopen(descriptor, mode, encoding=encoding) as file:
            yield file
            _finish(file, temporary, target, path)
        _replace(temporary, target, path)
    except BaseException as problem:
        with suppress(OSError):
            os.unlink(temporary)
        # The body may fail because of other files; these error codes can only be of the one being written.
        if isinstance(problem, OSError) and not isinstance(problem, OutputError) and problem.errno in _FULL:
            raise OutputError(f"path: cannot write {os.fspath(path)}: {problem.strerror}") from problem
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Try out whether `write_atomically` could write a file; nothing is left of it but missing folders.

    Raises:
        OutputError: if the folder cannot be created or written, or the path is a folder, a device or a pipe.
    """
    descriptor, temporary = _open_beside(_target(path), path)
    os.close(descriptor)
    os.unlink(temporary)


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the file that is replaced: that of a link, where `path` is one."""
    _checks.path("path", path, wrong=OutputError)
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise OutputError(f"path: cannot write {os.fspath(path)}: expected a file name, got a folder")
    # A device or a pipe would be replaced by a file.
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(f"path: cannot write {os.fspath(path)}: it is not a regular file")
    return target


def _open_beside(target: Path, path: str | os.PathLike[str]) -> tuple[int, str]:
    """Open a temporary file in the folder of the one to be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(prefix=".nabi-", suffix=".part", dir=target.parent)
    except OSError as problem:
        raise OutputError(f"path: cannot write {os.fspath(path)}: {problem.strerror or problem}") from problem


def _finish(file: IO[Any], temporary: str, target: Path, path: str | os.PathLike[str]) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
        # mkstemp creates files that only the owner may read; restore the usual permissions.
        os.chmod(temporary, _permissions(target))
    except OSError as problem:
        raise OutputError(f"path: cannot write {os.fspath(path)}: {problem.strerror or problem}") from problem


def _replace(temporary: str, target: Path, path: str | os.PathLike[str]) -> None:
    try:
        os.replace(temporary, target)
    except OSError as problem:
        raise OutputError(f"path: cannot write {os.fspath(path)}: {problem.strerror or problem}") from problem
    # The new name must survive a power failure too; not every file system can fsync a folder.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _permissions(target: Path) -> int:
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
