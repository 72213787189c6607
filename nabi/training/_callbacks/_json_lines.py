"""The record of every epoch, as a line of JSON."""

from typing import Any, TextIO

from nabi.files import strict_json
from nabi.training._callbacks._records import EpochRecord, RecordWriter

__all__ = ["JSONLines"]


class JSONLines(RecordWriter):
    """Write a JSON object for every epoch to a stream, each on a line of its own, as soon as it has ended.

    Its entries are `epoch` (counted from 0), `epochs` (how many there are at most), `seconds`,
    `learning_rate` and the figures, of which those that are not finite are null.

    Args:
        stream: a text stream, such as `sys.stdout`.
        more: entries that come first in every line, such as the name of the run.
    """

    only_reads = True

    def __init__(self, stream: TextIO, more: dict[str, Any] | None = None) -> None:
        self._stream, self._more = stream, more or {}

    def begin(self, resumed: int | None) -> None:
        """Need nothing."""

    def write(self, record: EpochRecord) -> None:
        """Write the line."""
        row = record.row()
        line = {**self._more, "epoch": row.pop("epoch"), "epochs": self.params.get("epochs"), **row}
        print(strict_json(line), file=self._stream, flush=True)
