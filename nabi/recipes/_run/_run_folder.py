"""The output folder of a run."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi import _checks
from nabi.errors import OutputError
from nabi.files import write_atomically, writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RunFolder"]


class RunFolder:
    """A folder for results, created (with its parents) and tested for writing before any training.

    Raises `OutputError` if the folder cannot be created or written.

    >>> folder = RunFolder(tempfile.mkdtemp())
    >>> folder.write_text("song.txt", "g8 e8 e4").read_text()
    'g8 e8 e4'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _checks.path("out", path, wrong=OutputError)
        self._new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Permissions are unreliable on some file systems and for root; only writing is a real test.
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as problem:
            reason = problem.strerror or problem
            raise OutputError(f"out: cannot write into the folder {self.path}: {reason}") from problem

    def remove_if_new(self) -> None:
        """Remove the folder if this run created it and it is still empty."""
        if self._new:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of that name and return its path."""
        with write_atomically(self / name, "w") as file:
            file.write(text)
        return self / name

    def write_json(self, name: str, content: dict[str, Any]) -> Path:
        """Write a JSON file of that name and return its path."""
        return self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_picture(self, name: str, figure: "Figure") -> Path:
        """Write a matplotlib figure as PNG and return its path."""
        with write_atomically(self / name) as file:
            figure.savefig(file, format="png", dpi=150, metadata={"Software": writer()})
        return self / name
