"""Records of FASTA and FASTQ files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nabi.data._text_files import TextFile, check_file

__all__ = ["Record", "read_records"]

_FASTA, _FASTQ, _COMMENT = ">", "@", ";"


@dataclass(frozen=True)
class Record:
    """A record: its header without the first character, the text below it, and where both stand.

    Attributes:
        file: from which it was read.
        header: name and description.
        line: of the header, counted from 1.
        lines: the text, line by line, each with its number.
    """

    file: TextFile
    header: str
    line: int
    lines: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        """The first word of the header."""
        return self.header.split(maxsplit=1)[0] if self.header else ""

    @property
    def text(self) -> str:
        """The lines joined, without spaces."""
        return "".join(text for _, text in self.lines)

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file.path}, line {self.line}"


def read_records(path: Path, encoding: str = "utf-8") -> Iterator[Record]:
    """Yield the records of a file; its first character says whether it is FASTA (`>`) or FASTQ (`@`).

    Sequences may span several lines. Blank lines, and lines of FASTA that begin with `;`, are skipped. The
    qualities of FASTQ are checked for their length and not kept. Records without a sequence are yielded too.

    Raises:
        MissingFileError: if the file does not exist.
        ArgumentError: for a folder, or an unknown encoding.
        FileFormatError: for a file that is neither, that has no record, or that is damaged, with the line.
    """
    check_file(path)
    file = TextFile(path, encoding)
    lines = ((number, line.strip()) for number, line in enumerate(file.lines(), 1))
    filled = ((number, line) for number, line in lines if line and not line.startswith(_COMMENT))
    first = next(filled, None)
    if first is None:
        raise file.wrong(1, "the file has no sequence; expected FASTA or FASTQ")
    number, line = first
    if line.startswith(_FASTA):
        yield from _fasta(file, number, line, filled)
    elif line.startswith(_FASTQ):
        # A line of qualities may begin with any character.
        yield from _fastq(file, number, line, lines)
    else:
        raise file.wrong(
            number,
            f"expected FASTA, which begins with '>', or FASTQ, which begins with '@', got {line[:40]!r}",
        )


def _fasta(file: TextFile, line: int, header: str, rest: Iterator[tuple[int, str]]) -> Iterator[Record]:
    found: list[tuple[int, str]] = []
    for number, text in rest:
        if text.startswith(_FASTA):
            yield Record(file, header[1:].strip(), line, tuple(found))
            line, header, found = number, text, []
        else:
            found.append((number, "".join(text.split())))
    yield Record(file, header[1:].strip(), line, tuple(found))


def _fastq(file: TextFile, line: int, header: str, rest: Iterator[tuple[int, str]]) -> Iterator[Record]:
    begun: tuple[int, str] | None = (line, header)
    while begun is not None:
        line, header = begun
        if not header.startswith(_FASTQ):
            raise file.wrong(line, f"expected a record that begins with '@', got {header[:40]!r}")
        found: list[tuple[int, str]] = []
        number, ended = line, False
        for number, text in rest:
            if text.startswith("+"):
                ended = True
                break
            if text:
                found.append((number, text))
        if not ended:
            raise file.wrong(number, f"the record {header!r} ends before its '+' line")
        wanted, got = sum(len(text) for _, text in found), 0
        while got < wanted:
            after = next(rest, None)
            if after is None:
                raise file.wrong(number, f"the record {header!r} has {wanted} bases and {got} qualities")
            number, text = after
            got += len(text)
        if got > wanted:
            raise file.wrong(number, f"the record {header!r} has {wanted} bases and {got} qualities")
        yield Record(file, header[1:].strip(), line, tuple(found))
        begun = next(((number, text) for number, text in rest if text), None)
