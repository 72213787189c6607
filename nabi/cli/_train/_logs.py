"""What `nabi train` says of a training to files and programs: `--log-dir`, `--log json` and `--json`."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import typer

__all__ = ["Logs", "Trained", "log_files"]

_TABLE = "metrics.csv"


@dataclass(frozen=True)
class Trained:
    """What came of a training, for programs; the file of the figures has more."""

    model: Path
    """Where the model is saved."""
    figures: Path
    """Where its figures are, as JSON."""
    kind: str
    """Of the model, as its file says it: "text classifier"."""
    cell: str
    """That was trained; of several the best on the validation part."""
    epochs: int
    """That were completed, those before an interruption among them."""
    seconds: float
    """That this run took to train and to measure the model."""
    interrupted: bool
    """Whether Ctrl-C or SIGTERM ended it."""
    report: Mapping[str, Any]
    """How good the model is."""


class Logs:
    """The logs that the command line asks for.

    Args:
        said: what it says.

    Raises:
        OutputError: if the folder of --log-dir cannot be written.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        from nabi.training import is_first_worker

        self._out: TextIO = sys.stdout
        self._lines, self._result = said["log"] == "json", bool(said["as_json"])
        self._folders = _folders(said)
        self._is_first = is_first_worker()
        if self._folders and self._is_first:
            from nabi.recipes import RunFolder

            for folder in self._folders.values():
                RunFolder(folder)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Leave standard output to JSON meanwhile, if it is asked for: all else goes to standard error."""
        # Other workers say nothing at all.
        if not (self._lines or self._result) or not self._is_first:
            yield
            return
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            sys.stdout = self._out

    def callbacks(self, cell: str | None = None) -> list[Any]:
        """Return what writes the epochs of a training; of one of several cells if one is named."""
        from nabi.training import CSVLogger, JSONLines, TensorBoard

        found: list[Any] = []
        if self._folders:
            folder = self._folders[cell]
            found.append(CSVLogger(folder / _TABLE, details=True))
            if find_spec("tensorboard") is not None:
                # An earlier training in this folder shall not be drawn below this one.
                found.append(TensorBoard(folder, purge_step=0))
            else:
                typer.echo(
                    f"TensorBoard is not installed, so {folder} gets {_TABLE} only; install it with: "
                    "pip install 'nabi[tensorboard]'"
                )
        if self._lines:
            found.append(JSONLines(self._out, None if cell is None else {"cell": cell}))
        return found

    def tell(self, trained: Trained) -> None:
        """Write the result, if it is asked for."""
        if self._result:
            from nabi.files import strict_json

            print(strict_json(asdict(trained)), file=self._out, flush=True)


def log_files(said: Mapping[str, Any]) -> list[Path]:
    """Return the files under --log-dir that replace others of their name; event files have new names."""
    return [folder / _TABLE for folder in _folders(said).values()]


def _folders(said: Mapping[str, Any]) -> dict[str | None, Path]:
    """Return the folder of each cell; that of None where one is trained."""
    folder: Path | None = said["log_dir"]
    if folder is None:
        return {}
    cells = said["cell"] or []
    if len(cells) < 2:
        return {None: folder}
    return {cell: folder / re.sub(r"[^\w.-]+", "-", cell) for cell in cells}
