"""Tables of JSON objects: an object per line, or an array of objects."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from nabi.data._tables._table_formats import Part
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
        self._expected = (
            "a JSON array of objects, or an object per line" if arrays else "a JSON object per line"
        )
        self._array = arrays and self._begins_an_array()
        names: dict[str, None] = {}
        first = None
        try:
            for place, found in islice(self._objects(), _NAMING):
                first = place if first is None else first
                names.update(dict.fromkeys(found))
        except FileFormatError:
            if first is None:
                raise
            # Whoever reads as far as that row is told.
        if first is None:
            raise FileFormatError(f"path: {file.path}: expected {self._expected}, got an empty file")
        self.columns = list(names)
        if not self.columns:
            raise self._wrong(first, "the JSON object has no columns")

    def _begins_an_array(self) -> bool:
        return next((line.lstrip() for line in self.file.lines() if line.strip()), "").startswith("[")

    def _wrong(self, place: int, what: str) -> FileFormatError:
        if self._array:
            return FileFormatError(f"path: {self.file.path}, row {place}: {what}")
        return self.file.wrong(place, what)

    def _parsed(self, text: str, line: int) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as problem:
            reason = f"{problem.msg.removesuffix(' at')}, at character {problem.colno}"
            raise self.file.wrong(line + problem.lineno - 1, f"this is not JSON ({reason})") from problem
        except (ValueError, RecursionError) as problem:
            raise self.file.wrong(line, f"this is not JSON ({problem})") from problem

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every object with its line, or in an array with its number from 1."""
        for place, found in self._elements() if self._array else self._lines():
            if not isinstance(found, dict):
                raise self._wrong(place, f"expected a JSON object, got {type(found).__name__}")
            yield place, found

    def _elements(self) -> Iterator[tuple[int, Any]]:
        return iter(enumerate(self._parsed("".join(self.file.lines()), 1), 1))

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
            for place, found in islice(objects, rows):
                for column, values in zip(wanted, part, strict=True):
                    values.append(found.get(column))
                if columns is None and not known.issuperset(found):
                    more = next(name for name in found if name not in known)
                    raise self._wrong(
                        place,
                        f"the column {more!r} is in none of the first {_NAMING:,} rows; name the columns to "
                        "read",
                    )
            if not part[0]:
                return
            yield part

    def line_of(self, row: int) -> int | None:
        """Return the line of a row, counted from 0; None in an array."""
        found = None if self._array else next(islice(self._objects(), row, None), None)
        return None if found is None else found[0]
