"""Text files, compressed or not, with errors that say where in the file something is wrong."""

import bz2
import codecs
import gzip
import importlib
import io
import lzma
import os
import reprlib
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nabi.errors import ArgumentError, FileFormatError, MissingFileError

__all__ = ["COMPRESSED", "TextFile", "check_file"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_BLOCK = 1 << 20
# Longer marks first: that of UTF-16 is the beginning of that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def check_file(path: Path) -> None:
    """Raise `MissingFileError` if there is no such file, `ArgumentError` if it is a folder or a pipe."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"path: there is no file {path}") from None
    except (OSError, ValueError) as problem:
        # Often a text where a name belongs: it is too long, or has characters that no name has.
        reason = getattr(problem, "strerror", None) or problem
        raise MissingFileError(f"path: there is no file {reprlib.repr(str(path))} ({reason})") from None
    if stat.S_ISDIR(mode):
        raise ArgumentError(f"path: {path} is a folder, a file is expected")
    if not stat.S_ISREG(mode):
        raise ArgumentError(f"path: {path} is no file that can be read more than once")


class TextFile:
    """A file of text that is read line by line, as often as is needed.

    Args:
        path: of the file; `.gz`, `.bz2`, `.xz` and, from Python 3.14 on, `.zst` are unpacked.
        encoding: of the text. A mark at the beginning (BOM) of a file said to be UTF-8 tells UTF-16 and
            UTF-32 from it.

    Raises `ArgumentError` for an unknown encoding and where a compression needs a newer Python,
    `FileFormatError` if the file begins with what no text begins with.
    """

    def __init__(self, path: Path, encoding: str = "utf-8") -> None:
        self.path, self.encoding = path, _known_encoding(encoding)
        self._open = _opener(path)
        if self.encoding == "utf-8":
            with self.readable(), self._open(path, "rb") as file:
                start = file.read(4)
            self.encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
            if self.encoding == "utf-8" and b"\0" in start:
                raise self.wrong(
                    1, 'this is no text, or not utf-8; say which encoding it is, such as encoding="utf-16-le"'
                )

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Say of what goes wrong inside what is wrong with the file."""
        try:
            yield
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as problem:
            raise self._damaged(problem) from problem
        except OSError as problem:
            # bz2 and zstd report damage as errors of the system that have no number.
            if problem.errno is not None:
                raise FileFormatError(f"path: {self.path} cannot be read: {problem.strerror}") from problem
            raise self._damaged(problem) from problem
        except UnicodeDecodeError as problem:
            with self.readable():
                line, what = self._undecodable(problem)
            raise self.wrong(line, what) from problem

    def lines(self, newline: str = "") -> Iterator[str]:
        """The lines with their ends; `newline` as for `open`."""
        with (
            self.readable(),
            self._open(self.path, "rb") as file,
            io.TextIOWrapper(file, self.encoding, newline=newline) as text,
        ):
            yield from text

    def wrong(self, line: int, what: str) -> FileFormatError:
        """The error for what a reader found in a line: that the file is damaged, if that is why.

        A packed file with a wrong byte gives nonsense at first, and tells at its end that it is.
        """
        if self.path.suffix.lower() in COMPRESSED:
            with self.readable(), self._open(self.path, "rb") as file:
                while file.read(_BLOCK):
                    pass
        return FileFormatError(f"path: {self.path}, line {line}: {what}")

    def _damaged(self, problem: Exception) -> FileFormatError:
        return FileFormatError(f"path: {self.path} is damaged or cut short ({problem})")

    def _undecodable(self, problem: UnicodeDecodeError) -> tuple[int, str]:
        """In which line and where the first byte is that the encoding does not know."""
        # A mark at the beginning counts as bytes too.
        decoder = codecs.getincrementaldecoder(self.encoding.removesuffix("-sig"))()
        line, before, pending = 1, 0, b""
        with self._open(self.path, "rb") as file:
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
            f"{self.encoding.removesuffix('-sig')}; "
            'say which encoding it is, such as encoding="cp1252", "cp949" or "utf-16"'
        )


def _known_encoding(encoding: Any) -> str:
    try:
        found = codecs.lookup(encoding)
        "".encode(found.name)  # refuses codecs that are no encodings of text, such as hex
    except (LookupError, TypeError, ValueError):
        raise ArgumentError(
            f"encoding: {encoding!r} is not known, an encoding of text such as 'utf-8' is expected"
        ) from None
    return found.name


def _opener(path: Path) -> Callable[[str | os.PathLike[str], str], IO[bytes]]:
    suffix = path.suffix.lower()
    if suffix == ".zst":
        try:
            return importlib.import_module("compression.zstd").open  # type: ignore[no-any-return]
        except ImportError:
            raise ArgumentError(f"path: {path} is compressed as .zst, which needs Python 3.14") from None
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return openers.get(suffix, open)  # type: ignore[no-any-return]
