"""Files in tar archives, read without unpacking."""

import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from nabi.errors import FileFormatError

__all__ = ["archive_members"]

_PIECE = 1 << 20
_LARGEST_MEMBER = 1 << 26  # bytes; the largest file actually read has a fortieth of it


def archive_members(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yield the files in a tar archive whose full names match a pattern, in archive order.

    Nothing is unpacked to disk, so the names in the archive are harmless.

    Args:
        path: of the archive, compressed or not.
        pattern: of the names.

    Raises:
        FileFormatError: if the archive is damaged, has no such file, or has one that is implausibly large.
    """
    found = None
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = pattern.fullmatch(member.name)
                if name and member.isfile():
                    found = name
                    yield name, _content(path, archive, member)
                # tarfile would keep each of 100,000 members in memory.
                archive.members = []  # type: ignore[attr-defined]
            # A damaged header looks like the end; the checksum of a compressed file follows all bytes.
            while archive.fileobj is not None and archive.fileobj.read(_PIECE):
                pass
    except (EOFError, OSError, lzma.LZMAError, tarfile.TarError, zlib.error) as problem:
        # Errors of the operating system have an errno.
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        reason = str(problem).split("\n", maxsplit=1)[0] or type(problem).__name__
        raise FileFormatError(f"path: {path} is damaged or not an archive ({reason})") from problem
    if found is None:
        raise FileFormatError(f"path: {path} has no file whose name matches {pattern.pattern}")


def _content(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _LARGEST_MEMBER:
        raise FileFormatError(
            f"path: {path}: {member.name} has {member.size:,} bytes, too many for a file of a data set"
        )
    file = archive.extractfile(member)
    return file.read() if file is not None else b""
