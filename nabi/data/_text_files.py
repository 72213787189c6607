"""Text files, plain or compressed, with errors that say where the file is wrong."""

import bz2
import codecs
import gzip
import importlib
import io
import lzma
import os
import reprlib
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nabi.errors import ArgumentError, FileFormatError, MissingFileError

__all__ = ["COMPRESSED", "TextFile", "check_file", "decoded", "known_encoding", "only_member"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_BLOCK = 1 << 20
_START = 1 << 13  # bytes in which a zero says that a file is binary
_OTHER_ENCODING = 'pass its encoding, such as encoding="cp1252", "cp949" or "utf-16"'
# Longer marks first: the UTF-32 mark begins with the UTF-16 one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def check_file(path: Path) -> None:
    """Raise `MissingFileError` if the file does not exist, `ArgumentError` if it is a folder or a pipe."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"path: there is no file {path}") from None
    except (OSError, ValueError) as problem:
        # Often a text passed in place of a file name: too long, or with characters not allowed in names.
        reason = getattr(problem, "strerror", None) or problem
        raise MissingFileError(f"path: there is no file {reprlib.repr(str(path))} ({reason})") from None
    if stat.S_ISDIR(mode):
        raise ArgumentError(f"path: expected a file, got the folder {path}")
    if not stat.S_ISREG(mode):
        raise ArgumentError(f"path: expected a regular file, got {path}, which cannot be read more than once")


def only_member(path: Path) -> str:
    """Return the name of the only file in a `.zip` file; what macOS adds is not counted.

    Raises `FileFormatError` for a file that is damaged or no ZIP, `ArgumentError` for none or several files
    in it and for one with a password.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = [
                one
                for one in archive.infolist()
                if not one.is_dir()
                and not one.filename.startswith("__MACOSX/")
                and ".DS_Store" not in one.filename
            ]
    # What zipfile raises for a damaged directory of files: a bad size, an unknown version.
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise FileFormatError(f"path: {path} is damaged or not a .zip file ({problem})") from problem
    if len(held) != 1:
        names = ", ".join(sorted(one.filename for one in held)[:5])
        got = f"{len(held):,}: {names}" if held else "none"
        raise ArgumentError(f"path: expected one file in {path}, got {got}; unpack it, and name the file")
    if held[0].flag_bits & 1:
        raise ArgumentError(f"path: {held[0].filename} in {path} has a password; unpack it first")
    return held[0].filename


class TextFile:
    """A text file that can be read line by line, any number of times.

    Args:
        path: of the file; `.gz`, `.bz2`, `.xz` and, from Python 3.14 on, `.zst` are decompressed,
            and of a `.zip` file with one file in it, that one is read.
        encoding: of the text. With UTF-8, a byte order mark (BOM) of UTF-16 or UTF-32 takes precedence.
        called: what messages call it; its path by default.

    Raises `ArgumentError` for an unknown encoding or a compression that needs a newer Python,
    `FileFormatError` if the file does not begin like a text.
    """

    def __init__(self, path: Path, encoding: str = "utf-8", called: Path | None = None) -> None:
        self.path, self.encoding = called or path, known_encoding(encoding)
        self._place, self._open = path, _opener(path)
        if self.encoding == "utf-8":
            with self.readable(), self._open(path, "rb") as file:
                start = file.read(4)
            self.encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
            if self.encoding == "utf-8" and b"\0" in start:
                raise self.wrong(
                    1, 'this is not text, or not utf-8; pass its encoding, such as encoding="utf-16-le"'
                )

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn errors raised inside into errors that say what is wrong with the file."""
        try:
            yield
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as problem:
            raise self._damaged(problem) from problem
        except OSError as problem:
            # bz2 and zstd report damage as an OSError without an errno.
            if problem.errno is not None:
                raise FileFormatError(f"path: {self.path} cannot be read: {problem.strerror}") from problem
            raise self._damaged(problem) from problem
        except UnicodeDecodeError as problem:
            with self.readable():
                line, what = self._undecodable(problem)
            raise self.wrong(line, what) from problem

    def lines(self, newline: str = "") -> Iterator[str]:
        """Yield the lines with their line ends; `newline` as for `open`."""
        with (
            self.readable(),
            self._open(self._place, "rb") as file,
            io.TextIOWrapper(file, self.encoding, newline=newline) as text,
        ):
            yield from text

    def wrong(self, line: int, what: str) -> FileFormatError:
        """Return the error for a problem in a line, unless the cause is a damaged file.

        A damaged compressed file decompresses to nonsense first; its checksum only fails at the end.
        """
        if self.path.suffix.lower() in (*COMPRESSED, ".zip"):
            with self.readable(), self._open(self._place, "rb") as file:
                while file.read(_BLOCK):
                    pass
        return FileFormatError(f"path: {self.path}, line {line}: {what}")

    def _damaged(self, problem: Exception) -> FileFormatError:
        return FileFormatError(f"path: {self.path} is damaged or cut short ({problem})")

    def _undecodable(self, problem: UnicodeDecodeError) -> tuple[int, str]:
        """Return the line with the first byte that cannot be decoded, and a description of it."""
        # A byte order mark counts as bytes too.
        decoder = codecs.getincrementaldecoder(self.encoding.removesuffix("-sig"))()
        line, before, pending = 1, 0, b""
        with self._open(self._place, "rb") as file:
            while True:
                block = file.read(_BLOCK)
                pending = decoder.getstate()[0]
                try:
                    line += decoder.decode(block, final=not block).count("\n")
                except UnicodeDecodeError as found:
                    line += found.object[: found.start].decode(self.encoding, "replace").count("\n")
                    problem, before = found, before - len(pending)
                    break
                if not block:
                    break
                before += len(block)
        wrong = problem.object[problem.start]
        return line, (
            f"byte {before + problem.start + 1} of the text, 0x{wrong:02x}, is not "
            f"{self.encoding.removesuffix('-sig')}; {_OTHER_ENCODING}"
        )


def decoded(content: bytes, encoding: str) -> tuple[str, str]:
    """Return the text of a whole file, with newlines as line ends, and what is wrong with it: "" if nothing.

    Args:
        content: of the file.
        encoding: its name as `known_encoding` gives it; a byte order mark takes precedence over UTF-8.
    """
    if encoding == "utf-8":
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), encoding)
    if b"\0" in content[:_START] and not encoding.startswith(("utf-16", "utf-32")):
        return "", f"it is binary, or not {encoding.removesuffix('-sig')}"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as problem:
        line = content[: problem.start].decode(encoding, "replace").count("\n") + 1
        wrong, name = content[problem.start], encoding.removesuffix("-sig")
        return "", f"line {line}: byte 0x{wrong:02x} is not {name}; {_OTHER_ENCODING}"
    return text.replace("\r\n", "\n").replace("\r", "\n"), ""


def known_encoding(encoding: Any) -> str:
    """Return the usual name of an encoding; raise `ArgumentError` for one that is not known."""
    try:
        found = codecs.lookup(encoding)
        "".encode(found.name)  # refuses codecs that are not text encodings, such as hex
    except (LookupError, TypeError, ValueError):
        raise ArgumentError(f"encoding: expected a text encoding such as 'utf-8', got {encoding!r}") from None
    return found.name


def _opener(path: Path) -> Callable[[str | os.PathLike[str], str], IO[bytes]]:
    suffix = path.suffix.lower()
    if suffix == ".zst":
        try:
            return importlib.import_module("compression.zstd").open  # type: ignore[no-any-return]
        except ImportError:
            raise ArgumentError(f"path: {path} is compressed as .zst, which needs Python 3.14") from None
    if suffix == ".zip":
        return _open_member
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return openers.get(suffix, open)  # type: ignore[no-any-return]


def _open_member(path: str | os.PathLike[str], mode: str) -> IO[bytes]:
    """Open the only file in a `.zip` file."""
    name = only_member(Path(path))
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.open(name)
        except NotImplementedError as problem:
            raise FileFormatError(f"path: {path} cannot be unpacked here ({problem})") from problem
