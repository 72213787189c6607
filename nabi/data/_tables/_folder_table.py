"""A folder, or a `.zip` file, of texts as a table: a row for each file."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from nabi.data._tables._table_formats import Part
from nabi.data._text_folder import FolderFiles
from nabi.errors import FileFormatError

__all__ = ["FolderReader"]

_FILE, _LABEL, _TEXT = "file", "label", "text"


class FolderReader:
    """The columns `file`, the path in the folder; `label`, the top-level subfolder, if there are any; `text`.

    Rows come in the order of their paths. A file that cannot be read is a wrong row.
    """

    def __init__(self, files: FolderFiles, encoding: str) -> None:
        files.check()
        self._files, self._encoding = files, encoding
        self.joined: list[tuple[int, int]] = []
        self.keeps_wrong, self.wrong = False, dict[int, str]()
        self.left_out = files.left_out
        self.columns = [_FILE, _LABEL, _TEXT] if files.has_labels else [_FILE, _TEXT]
        files.texts(encoding)  # an unknown encoding is an error before any row is asked for

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns`, at most `rows` rows at a time."""
        texts = self._files.texts(self._encoding)
        while True:
            part: Part = [[] for _ in columns or self.columns]
            self.wrong = {}
            for place, one in enumerate(islice(texts, rows)):
                if one.problem:
                    if not self.keeps_wrong:
                        raise FileFormatError(f"path: {self._files.path}: {one.problem}")
                    self.wrong[place] = one.problem
                row: dict[str, Any] = {_FILE: one.name, _LABEL: one.label, _TEXT: one.text}
                for column, values in zip(columns or self.columns, part, strict=True):
                    values.append(row[column])
            if not part[0]:
                return
            yield part

    def line_of(self, row: int) -> int | None:
        """Return None: rows are files."""
        return None
