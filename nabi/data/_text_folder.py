"""Folders and `.zip` files of texts: one text per file, labelled by the folder that it is in."""

import errno
import lzma
import os
import posixpath
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from nabi import _checks
from nabi._public import public
from nabi.data._text_files import decoded, known_encoding
from nabi.data._ts_content import BEGINNING, begins_like_source
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

__all__ = ["TEXT_ENDINGS", "FileOfText", "FolderFiles", "TextFolder", "folder_files", "read_text_folder"]

_PROSE = (".txt", ".text", ".md", ".rst", ".tex")
_SOURCES = (
    ".py", ".pyi", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cs", ".java", ".kt", ".scala", ".js",
    ".jsx", ".mjs", ".tsx", ".go", ".rs", ".rb", ".php", ".pl", ".lua", ".r", ".jl", ".swift", ".m", ".hs",
    ".ml", ".lisp", ".el", ".clj", ".sh", ".bat", ".sql", ".html", ".htm", ".css", ".f", ".f90", ".pas",
    ".asm", ".v", ".vhd",
)  # fmt: skip
_SERIES_OR_SOURCE = ".ts"
TEXT_ENDINGS = (*_PROSE, *_SOURCES)
"""What the names of texts in a folder end in; those without any ending, such as LICENSE, are texts, too."""
_LARGEST = 100 << 20  # bytes of a text
_LARGEST_ARCHIVE = 2 << 30  # bytes of all texts of a .zip file, unpacked
_LARGEST_IN_WORDS, _LARGEST_ARCHIVE_IN_WORDS = "100 MB", "2 GB"
_NAMED = 5
_NUMBER = re.compile(r"([0-9]+)")
_PACKED_BY_MACOS = "__MACOSX"
_PASSWORD, _UTF8_NAME = 0x1, 0x800  # flags of a file in a .zip file


class FileOfText(NamedTuple):
    """A file of a folder: its text, or what is wrong with it."""

    name: str
    """Its path in the folder, with slashes."""
    text: str
    problem: str = ""
    """Why it has no text; "" for one that could be read."""

    @property
    def label(self) -> str | None:
        """The top-level subfolder that it is in; None for a file outside of all."""
        parts = self.name.split("/")
        # macOS takes the syllables of Hangul apart in file names.
        return unicodedata.normalize("NFC", parts[0]) if len(parts) > 1 else None


@dataclass(frozen=True)
class TextFolder:
    """The texts of a folder or a `.zip` file, in the order of their names."""

    texts: list[str]
    files: list[str]
    """Their paths in the folder."""
    labels: list[str | None]
    """The top-level subfolder of each; None for a file outside of all."""
    skipped: tuple[str, ...]
    """Which files were left out, and why."""

    def __len__(self) -> int:
        return len(self.texts)


class FolderFiles:
    """What is in a folder or a `.zip` file: names first, then one text after the other.

    Hidden files and folders, whose names begin with a dot, are as good as not there.

    Attributes:
        path: the folder or the archive.
        names: paths of the texts in it, sorted, numbers in names by their value.
        others: how many files have other endings, by ending.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_archive = not path.is_dir()
        self._members: dict[str, str] = {}  # names in the archive by what they are called here
        found = self._in_archive() if self._is_archive else self._in_folder()
        self.names: list[str] = []
        self.others: Counter[str] = Counter()
        perhaps: list[str] = []
        for name in found:
            ending = PurePosixPath(name).suffix.lower()
            if ending in TEXT_ENDINGS or not ending:
                self.names.append(name)
            else:
                self.others[ending] += 1
                if ending == _SERIES_OR_SOURCE:
                    perhaps.append(name)
        if perhaps:
            with self._reader() as read:
                source = [name for name in perhaps if begins_like_source(read(name, BEGINNING)[0])]
            self.names += source
            self.others -= Counter({_SERIES_OR_SOURCE: len(source)})
        self.names.sort(key=_place)

    @property
    def has_labels(self) -> bool:
        """Whether a text is in a subfolder."""
        return any("/" in name for name in self.names)

    @property
    def left_out(self) -> str:
        """Say which files are no texts by their names; "" where all are."""
        if not self.others:
            return ""
        shown = ", ".join(f"{count:,} {ending}" for ending, count in self.others.most_common(_NAMED))
        more = ", ..." if len(self.others) > _NAMED else ""
        return f"files that are no texts by their names are left out: {shown}{more}"

    def check(self) -> None:
        """Raise `ArgumentError` where there is no text."""
        if not self.names:
            got = self.left_out or "no file"
            raise ArgumentError(
                f"path: expected texts in {self.path} ({', '.join(_PROSE)} or .py and the like), got {got}"
            )

    def texts(self, encoding: str = "utf-8") -> Iterator[FileOfText]:
        """Yield the texts in order; lines end with a newline, whatever they ended with in the file.

        Raises:
            ArgumentError: at once, for an unknown encoding.
            FileFormatError: for an archive that is damaged, or whose texts are larger than 2 GB in all.
        """
        return self._texts(known_encoding(encoding))

    def _texts(self, encoding: str) -> Iterator[FileOfText]:
        total = 0
        with self._reader() as read:
            for name in self.names:
                content, problem = read(name)
                total += len(content)
                if self._is_archive and total > _LARGEST_ARCHIVE:
                    raise FileFormatError(
                        f"path: the texts of {self.path} are larger than {_LARGEST_ARCHIVE_IN_WORDS}; "
                        "unpack it, and name the folder"
                    )
                text = ""
                if not problem:
                    text, problem = decoded(content, encoding)
                yield FileOfText(name, text, f"{name}: {problem}" if problem else "")

    # A folder ----------------------------------------------------------------------------------------------

    def _in_folder(self) -> Iterator[str]:
        for folder, inside, files in os.walk(self.path):
            inside[:] = [name for name in inside if not _is_hidden(name)]
            place = Path(folder).relative_to(self.path)
            for file in files:
                if not _is_hidden(file) and os.path.isfile(os.path.join(folder, file)):
                    yield (place / file).as_posix()

    # An archive: nothing of it is written to a disk, so the names in it are harmless -----------------------

    def _in_archive(self) -> list[str]:
        with _unpacking(self.path), zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                parts = [part for part in _member_name(member).split("/") if part]
                # A hidden part may also be "..", which leads nowhere here.
                if not member.is_dir() and parts and not any(map(_is_hidden, parts)):
                    self._members.setdefault("/".join(parts), member.filename)
        names = list(self._members)
        # An archive of a folder has all files in that folder.
        above = posixpath.commonpath([posixpath.dirname(name) for name in names]) if names else ""
        root = above.split("/")[0]
        if root and len({name.split("/")[1] for name in names}) > 1:
            self._members = {name[len(root) + 1 :]: member for name, member in self._members.items()}
        return list(self._members)

    # Reading -----------------------------------------------------------------------------------------------

    @contextmanager
    def _reader(self) -> Iterator[Callable[..., tuple[bytes, str]]]:
        """Give what reads a file, or its first bytes: its content, and what is wrong with it."""
        if not self._is_archive:
            yield self._read_file
            return
        with _unpacking(self.path), zipfile.ZipFile(self.path) as archive:
            yield lambda name, most=_LARGEST + 1: self._read_member(archive, name, most)

    def _read_file(self, name: str, most: int = _LARGEST + 1) -> tuple[bytes, str]:
        try:
            with (self.path / name).open("rb") as file:
                return _limited(file.read(most))
        except OSError as problem:
            return b"", f"it cannot be read: {problem.strerror or errno.errorcode.get(problem.errno or 0)}"

    def _read_member(self, archive: zipfile.ZipFile, name: str, most: int) -> tuple[bytes, str]:
        member = archive.getinfo(self._members[name])
        if member.flag_bits & _PASSWORD:
            return b"", "it has a password"
        try:
            with archive.open(member) as file:
                # The size that the archive states may be wrong on purpose; what comes is counted.
                return _limited(file.read(most))
        except NotImplementedError as problem:
            return b"", f"it cannot be unpacked here ({problem})"
        except (zipfile.BadZipFile, EOFError, OSError, lzma.LZMAError, zlib.error) as problem:
            return b"", f"it is damaged ({problem})"


def _limited(content: bytes) -> tuple[bytes, str]:
    if len(content) > _LARGEST:
        return content, f"it is larger than {_LARGEST_IN_WORDS}"
    return content, ""


def _member_name(member: zipfile.ZipInfo) -> str:
    """Return a name in an archive: those of old programs are not marked as UTF-8, but mostly are."""
    name = member.filename
    if not member.flag_bits & _UTF8_NAME and not name.isascii():
        for encoding in ("utf-8", "cp949"):
            try:
                name = name.encode("cp437").decode(encoding)
                break
            except UnicodeError:
                continue
    return name.replace("\\", "/")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == _PACKED_BY_MACOS


def _place(name: str) -> tuple[list[list[Any]], str]:
    """Return the sort key of a path: folder by folder, `chapter 2` before `chapter 10`."""
    parts = [_NUMBER.split(part) for part in name.split("/")]
    # Of two numbers, the one with more digits is greater: names in an archive may have thousands of them.
    return [
        [(len(one.lstrip("0")), one.lstrip("0")) if at % 2 else one for at, one in enumerate(part)]
        for part in parts
    ], name


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """Turn what zipfile raises into errors that say what is wrong with the archive."""
    try:
        yield
    except FileFormatError:
        raise
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise FileFormatError(f"path: {path} is damaged or not a .zip file ({problem})") from problem
    except OSError as problem:
        raise FileFormatError(f"path: {path} cannot be read: {problem.strerror or problem}") from problem


def folder_files(path: str | os.PathLike[str]) -> FolderFiles | None:
    """Return what is in a folder, or in a `.zip` file with several texts; None for anything else.

    A `.zip` file with one file in it stands for that file, and one without several texts may be anything.
    """
    place = Path(path)
    if place.is_dir():
        return FolderFiles(place)
    if place.suffix.lower() != ".zip" or not place.is_file():
        return None
    found = FolderFiles(place)
    return found if len(found.names) > 1 else None


@public
def read_text_folder(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> TextFolder:
    """Read the texts of a folder and its subfolders, or of a `.zip` file, one text per file.

    Texts are files that end in .txt, .text, .md, .rst or .tex, source files (.py, .c, .java, ...; .ts unless
    it holds series) and files without an ending, such as LICENSE. They come in the order of
    their paths, numbers in names by their value: `chapter 2.txt` before `chapter 10.txt`. Hidden files and
    folders are passed over. Left out and named in `skipped` are files with other endings, larger than 100 MB,
    binary or not in the encoding.

    Nothing of a `.zip` file is written to a disk. If all is in one folder of the archive, paths begin below
    it.

    Args:
        path: of the folder or the `.zip` file.
        encoding: of the texts. With UTF-8, a byte order mark (BOM) of UTF-16 or UTF-32 takes precedence.

    Raises:
        MissingFileError: if there is no such folder or file.
        ArgumentError: if there is no text in it, or no such encoding.
        FileFormatError: if none of the texts can be read, the archive is damaged, or its texts are larger
            than 2 GB in all.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, text in (("good/10.txt", "warm"), ("good/9.txt", "fun"), ("bad/1.txt", "dull")):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     _ = (folder / name).write_text(text)
    >>> found = read_text_folder(folder)
    >>> found.files, found.labels
    (['bad/1.txt', 'good/9.txt', 'good/10.txt'], ['bad', 'good', 'good'])
    >>> found.texts
    ['dull', 'fun', 'warm']
    """
    place = _checks.path("path", path)
    if not place.exists():
        raise MissingFileError(f"path: there is no folder or file {place}")
    if not place.is_dir() and place.suffix.lower() != ".zip":
        raise ArgumentError(f"path: expected a folder or a .zip file, got {place}")
    files = FolderFiles(place)
    files.check()
    texts: list[FileOfText] = []
    skipped: list[str] = []
    for one in files.texts(encoding):
        if one.problem:
            skipped.append(one.problem)
        else:
            texts.append(one)
    if not texts:
        raise FileFormatError(f"path: none of the texts in {place} can be read: {skipped[0]}")
    if files.left_out:
        skipped.append(files.left_out)
    return TextFolder(
        [one.text for one in texts], [one.name for one in texts], [one.label for one in texts], tuple(skipped)
    )
