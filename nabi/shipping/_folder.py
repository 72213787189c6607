"""Folders whose files appear under their names only once all of them are written."""

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from nabi import _checks
from nabi.errors import OutputError

__all__ = ["check_folder", "write_folder"]

_MARK = b"written by nabi"
_START = 1 << 12


def check_folder(
    path: str | os.PathLike[str], names: Collection[str], sign: str, *, overwrite: bool = False
) -> Path:
    """Return the folder that a path leads to, after checking that files may be written there.

    Args:
        path: of the folder.
        names: of the files.
        sign: which of them says that nabi wrote them all.
        overwrite: whether files that nabi did not write may be replaced.

    Raises:
        OutputError: if it is a file or not writable, or has such files.
    """
    given = _checks.path("out", path, wrong=OutputError)
    folder = Path(os.path.realpath(given))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"out: cannot write {given}: expected a folder, got a file")
    present = next(one for one in (folder, *folder.parents) if one.exists())
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        raise OutputError(f"out: cannot write {given}: Permission denied")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite and not _is_own(folder / sign):
        raise OutputError(
            f"out: {given} has a file {there[0]} that nabi did not write; choose another folder, or pass "
            "overwrite=True (--overwrite)"
        )
    for name in there:
        if not (folder / name).is_file():
            raise OutputError(f"out: cannot write {given}: {name} is not a regular file")
    return folder


def _is_own(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_START)
    except OSError:
        return False


def write_folder(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files beside the folder and rename them; other files in it stay.

    Raises:
        OutputError: if they cannot be written; a folder that did not exist then still does not.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".nabi-", suffix=".part", dir=folder.parent))
    except OSError as problem:
        raise OutputError(f"out: cannot write {folder}: {problem.strerror or problem}") from problem
    try:
        for name, content in files.items():
            with (fresh / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            for name in files:
                os.replace(fresh / name, folder / name)
        else:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(fresh, 0o777 & ~mask)
            os.rename(fresh, folder)
    except OSError as problem:
        raise OutputError(f"out: cannot write {folder}: {problem.strerror or problem}") from problem
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return [folder / name for name in files]
