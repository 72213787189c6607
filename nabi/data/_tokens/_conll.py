"""Files with a token in each line and its labels in columns: CoNLL-2003 and the like, and CoNLL-U."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi.data._text_files import COMPRESSED, TextFile, check_file
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = ["CONLLU_COLUMNS", "ConllFile", "is_conll_file", "is_conllu_file", "read_conll"]

CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
"""The columns of CoNLL-U, as Universal Dependencies names them."""
_CONLL = (
    ".conll", ".conllu", ".conll02", ".conll03", ".conll2000", ".conll2002", ".conll2003", ".bio", ".iob",
    ".iob1", ".iob2", ".iobes", ".bioes", ".bilou",
)  # fmt: skip
_DOCUMENT = "-DOCSTART-"
_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b|#begin document\b")
_COMMENT = re.compile(r"#\s*[\w.:-]+\s*=|#(begin|end) document\b")
_TOKEN_ID, _OTHER_ID = re.compile(r"[1-9]\d*"), re.compile(r"\d+[-.]\d+")
_NOTHING = "_"


@dataclass(frozen=True)
class _Line:
    """A line with a token."""

    place: int
    """Of the line in the file, from 0."""
    columns: tuple[str, ...]


class ConllFile:
    """The lines of a file, and which of them are the tokens of which sentence.

    Attributes:
        path: of the file.
        lines: without line ends.
        sentences: of each sentence the lines with its tokens.
        documents: of each sentence the number of its document; all 0 where nothing separates documents.
        is_conllu: whether it is CoNLL-U.
        width: columns of every line.
    """

    def __init__(self, file: TextFile, is_conllu: bool, separator: str | None) -> None:
        self.path, self.is_conllu, self._file = file.path, is_conllu, file
        self.lines = [line.rstrip("\r\n") for line in file.lines("\n")]
        self.sentences: list[list[_Line]] = []
        self.documents: list[int] = []
        self._separator = "\t" if is_conllu else separator or self._found_separator()
        self.width = len(CONLLU_COLUMNS) if is_conllu else 0
        self._first, self._other = 0, set[int]()
        self._read()

    def _found_separator(self) -> str | None:
        """Return a tab if the first line with a token has one; None for any spaces."""
        for line in self.lines:
            if line.strip() and not line.startswith(("#", _DOCUMENT)):
                return "\t" if "\t" in line else None
        return None

    def _read(self) -> None:
        sentence: list[_Line] = []
        document = 0

        def end() -> None:
            nonlocal sentence
            if sentence:
                self.sentences.append(sentence)
                self.documents.append(document)
                sentence = []

        for place, line in enumerate(self.lines):
            if not line.strip():
                end()
                continue
            if line.startswith(_DOCUMENT):
                end()
                document += 1
                self._other.add(place)
                continue
            if self._is_comment(line, bool(sentence)):
                if _NEW_DOCUMENT.match(line):
                    end()
                    document += 1
                continue
            columns = tuple(line.split(self._separator))
            self._check_width(place, columns)
            if self.is_conllu and not self._is_token(place, columns, len(sentence) + 1):
                self._other.add(place)
                continue
            if "" in columns:
                raise self.wrong(place, f"column {columns.index('')} is empty")
            sentence.append(_Line(place, columns))
        end()
        if not self.sentences:
            raise self.wrong(0, "expected a token in each line and a blank line between sentences, got none")

    def _is_comment(self, line: str, within: bool) -> bool:
        if not line.startswith("#"):
            return False
        if self.is_conllu:
            return True
        # "# NN B-NP O" is the token "#", with as many columns as the other lines.
        if _COMMENT.match(line):
            return self._separator is None or self._separator not in line
        if within or self.width == len(line.split(self._separator)):
            return False
        return self.width > 0 or self._separator is None or self._separator not in line

    def _check_width(self, place: int, columns: Sequence[str]) -> None:
        if not self.width:
            self.width, self._first = len(columns), place
        if len(columns) == self.width:
            return
        between = {"\t": "tabs", None: "spaces"}.get(self._separator, repr(self._separator))
        like = "of CoNLL-U" if self.is_conllu else f"as in line {self._first + 1}"
        raise self.wrong(
            place, f"expected {self.width} columns with {between} between them, {like}, got {len(columns)}"
        )

    def _is_token(self, place: int, columns: Sequence[str], number: int) -> bool:
        """Return whether a line of CoNLL-U is a token, and no range of tokens (1-2) or empty node (1.1)."""
        if _OTHER_ID.fullmatch(columns[0]):
            return False
        if not _TOKEN_ID.fullmatch(columns[0]) or int(columns[0]) != number:
            raise self.wrong(
                place,
                f"expected the ID {number}, a range such as 1-2 or an empty node such as 1.1, got "
                f"{columns[0]!r}",
            )
        return True

    def wrong(self, place: int, what: str) -> FileFormatError:
        """Return the error for a line, counted from 0."""
        return self._file.wrong(place + 1, what)

    def column(self, column: int | str | None, default: int, argument: str) -> int:
        """Return the number of a column.

        Args:
            column: its name in CoNLL-U; its number from 0, or from the end if negative; None for the default.
            default: its number.
            argument: whose value it is, for messages.

        Raises:
            ArgumentError: for a column that there is not; `UnknownNameError` for its name.
        """
        if column is None:
            column = default
        if isinstance(column, str) and re.fullmatch(r"-?\d+", column):
            column = int(column)
        if isinstance(column, str):
            if not self.is_conllu:
                raise ArgumentError(
                    f"{argument}: expected the number of a column, from 0 to {self.width - 1}, as columns "
                    f"have no names in {self.path}, got {column!r}"
                )
            if column.upper() not in CONLLU_COLUMNS:
                raise unknown_name(argument, column, CONLLU_COLUMNS)
            return CONLLU_COLUMNS.index(column.upper())
        if not -self.width <= column < self.width:
            raise ArgumentError(
                f"{argument}: expected a column from 0 to {self.width - 1}, which {self.path} has, "
                f"got {column}"
            )
        return column % self.width

    def values(self, column: int, what: str) -> list[list[str]]:
        """Return the values of a column by sentence.

        Raises:
            FileFormatError: for a value that CoNLL-U leaves open, with its line.
        """
        if self.is_conllu and column > 1:
            for sentence in self.sentences:
                for line in sentence:
                    if line.columns[column] == _NOTHING:
                        raise self.wrong(
                            line.place,
                            f"expected {what} in the column {CONLLU_COLUMNS[column]}, got '_', which is none",
                        )
        return [[line.columns[column] for line in sentence] for sentence in self.sentences]

    def with_column(self, values: Sequence[Sequence[str]]) -> Iterator[str]:
        """Yield all lines, those of tokens with one more column; comments and blank lines stay."""
        between = " " if self._separator is None else self._separator
        added = {
            line.place: value
            for sentence, row in zip(self.sentences, values, strict=True)
            for line, value in zip(sentence, row, strict=True)
        }
        added.update(dict.fromkeys(self._other, _NOTHING))
        for place, line in enumerate(self.lines):
            yield f"{line}{between}{added[place]}" if place in added else line


def read_conll(path: Path, *, encoding: str = "utf-8", separator: str | None = None) -> ConllFile:
    """Read a file of tokens in columns; a name that ends in .conllu means CoNLL-U.

    Raises:
        MissingFileError: if there is no such file.
        ArgumentError: for a folder, or an unknown encoding.
        FileFormatError: for a line that has another number of columns than the others, or is broken
            otherwise, with its number.
    """
    check_file(path)
    return ConllFile(TextFile(path, encoding), is_conllu_file(path), separator)


def is_conll_file(path: Path) -> bool:
    """Return whether a file is one of tokens in columns by its name: `.conll`, `.conllu`, `.bio`, ..."""
    return _ending(path) in _CONLL


def is_conllu_file(path: Path) -> bool:
    """Return whether a file is CoNLL-U by its name."""
    return _ending(path) == ".conllu"


def _ending(path: Path) -> str:
    suffixes = [one.lower() for one in path.suffixes]
    return next((one for one in reversed(suffixes) if one not in (*COMPRESSED, ".zip")), "")
