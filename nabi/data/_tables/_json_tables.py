"""Tables of JSON objects: an object per line, or an array of objects."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from nabi.data._tables._table_formats import Part, WrongRow
from nabi.data._text_files import TextFile
from nabi.errors import FileFormatError

__all__ = ["JsonReader"]

_NAMING = 1000  # rows whose names are the columns


class JsonReader:
    """JSON objects; the columns are the names in the first 1,000, and what an object lacks is None.

    Args:
        file: with an object per line.
        arrays: whether the file may also be one array of objects, which is then read as a whole.
    """

    def __init__(self, file: TextFile, arrays: bool = False) -> None:
        self.file = file
        self.joined: list[tuple[int, int]] = []
        self.keeps_wrong, self.wrong = False, dict[int, str]()
        self._expected = (
            "a JSON array of objects, or an object per line" if arrays else "a JSON object per line"
        )
        self._array = arrays and self._begins_an_array()
        names: dict[str, None] = {}
        first = wrong = None
        for place, found in islice(self._objects(), _NAMING):
            if isinstance(found, WrongRow):  # whoever reads as far as that row is told
                wrong = wrong or found
                continue
            first = place if first is None else first
            names.update(dict.fromkeys(found))
        if first is None:
            if wrong is not None:
                raise self._error(wrong)
            raise FileFormatError(f"path: {file.path}: expected {self._expected}, got an empty file")
        self.columns = list(names)
        if not self.columns:
            raise self._error(self._wrong(first, "the JSON object has no columns"))

    def _begins_an_array(self) -> bool:
        return next((line.lstrip() for line in self.file.lines() if line.strip()), "").startswith("[")

    def _wrong(self, place: int, what: str) -> WrongRow:
        return WrongRow(place, what, not self._array)

    def _error(self, wrong: WrongRow) -> FileFormatError:
        if self._array:
            return FileFormatError(f"path: {self.file.path}, {wrong}")
        return self.file.wrong(wrong.place, wrong.what)

    def _parsed(self, text: str, line: int) -> Any:
        """Return what a JSON text says, or what is wrong with it."""
        try:
            return json.loads(text)
        except json.JSONDecodeError as problem:
            reason = f"{problem.msg.removesuffix(' at')}, at character {problem.colno}"
            return WrongRow(line + problem.lineno - 1, f"this is not JSON ({reason})")
        except (ValueError, RecursionError) as problem:
            return WrongRow(line, f"this is not JSON ({problem})")

    def _objects(self) -> Iterator[tuple[int, dict[str, Any] | WrongRow]]:
        """Yield every object with its line, or in an array with its number from 1."""
        for place, found in self._elements() if self._array else self._lines():
            if isinstance(found, dict | WrongRow):
                yield place, found
            else:
                yield place, self._wrong(place, f"expected a JSON object, got {type(found).__name__}")

    def _elements(self) -> Iterator[tuple[int, Any]]:
        whole = self._parsed("".join(self.file.lines()), 1)
        if isinstance(whole, WrongRow):
            raise self.file.wrong(whole.place, whole.what)
        return iter(enumerate(whole, 1))

    def _lines(self) -> Iterator[tuple[int, Any]]:
        # Only "\n" ends a line: the other line breaks of str.splitlines may occur in a text.
        for number, line in enumerate(self.file.lines("\n"), 1):
            if text := line.strip():
                yield number, self._parsed(text, number)

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns`, of their JSON types, at most `rows` rows at a time."""
        wanted = self.columns if columns is None else columns
        known = set(wanted)
        objects = self._objects()
        while True:
            part: Part = [[] for _ in wanted]
            self.wrong = {}
            for place, found in islice(objects, rows):
                if isinstance(found, WrongRow):
                    self._keep(found, len(part[0]))
                    found = {}
                elif columns is None and not known.issuperset(found):
                    more = next(name for name in found if name not in known)
                    what = (
                        f"the column {more!r} is in none of the first {_NAMING:,} rows; name the columns to "
                        "read"
                    )
                    self._keep(self._wrong(place, what), len(part[0]))
                for column, values in zip(wanted, part, strict=True):
                    values.append(found.get(column))
            if not part[0]:
                return
            yield part

    def _keep(self, wrong: WrongRow, at: int) -> None:
        """Keep what is wrong with a row of the part; raise it where wrong rows are errors."""
        if not self.keeps_wrong:
            raise self._error(wrong)
        self.wrong[at] = str(wrong)

    def line_of(self, row: int) -> int | None:
        """Return the line of a row, counted from 0; None in an array."""
        found = None if self._array else next(islice(self._objects(), row, None), None)
        return None if found is None else found[0]
