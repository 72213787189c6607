"""What a comparison has found, for reading and for files."""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.comparison._runs import Row, Run, row_of
from nabi.comparison._task import Task
from nabi.comparison._training import Look
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["FILES", "Comparison", "described"]

FILES = ("result.json", "table.csv", "learning.png")
"""What `Comparison.write` writes into a folder."""
_WRITTEN_BY = "nabi compare"


def described(task: Task) -> dict[str, Any]:
    """Return what is kept of a task."""
    return {
        "name": task.name,
        "data": task.data,
        "length": task.length,
        "steps": task.steps,
        "measure": task.measure.name,
        "smaller_is_better": task.measure.smaller_is_better,
        "baseline": task.baseline,
        "baseline_of": task.baseline_of,
    }


@dataclass
class Comparison:
    """Cells that were trained alike on a task.

    Attributes:
        task: its name, its data, its `length` and `steps`, the `measure` of its figures and whether
            `smaller_is_better`, and the `baseline`.
        settings: that all cells share.
        runs: one for each cell and seed.
        interrupted: whether Ctrl-C ended it.
    """

    task: Mapping[str, Any]
    settings: Mapping[str, Any]
    runs: list[Run] = field(default_factory=list)
    interrupted: bool = False

    @property
    def rows(self) -> list[Row]:
        """A row for each cell, from the best figure to the worst; cells without a figure come last."""
        names = dict.fromkeys(run.cell for run in self.runs)
        rows = [row_of([run for run in self.runs if run.cell == name]) for name in names]
        sign = 1 if self.task["smaller_is_better"] else -1
        return sorted(rows, key=lambda row: (row.figure is None, sign * (row.figure or 0)))

    def table(self) -> "Table":
        """Return the rows as a table for a terminal."""
        from nabi.comparison._showing import table

        return table(self.task, self.settings, self.rows)

    def picture(self, path: str | os.PathLike[str]) -> Path:
        """Draw the figures on the validation sequences against the time of training, as .svg or .png.

        Raises:
            ArgumentError: another suffix.
            OutputError: the file cannot be written.
        """
        from nabi.comparison._picture import draw

        return draw(self.task, self.settings, self.rows, self.runs, path)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "written_by": _WRITTEN_BY,
            "task": dict(self.task),
            "settings": dict(self.settings),
            "interrupted": self.interrupted,
            "rows": [asdict(row) for row in self.rows],
            "runs": [
                asdict(run) | {"looks": [[look.steps, look.seconds, look.figure] for look in run.looks]}
                for run in self.runs
            ],
        }

    def to_csv(self) -> str:
        """Return the rows as CSV, with a line of names."""
        text = io.StringIO()
        names = list(Row.__dataclass_fields__)
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        return text.getvalue()

    def keep(self, folder: Path) -> None:
        """Write what `read` reads."""
        with write_atomically(folder / FILES[0], "w") as file:
            json.dump(self.to_dict(), file, indent=1, ensure_ascii=False)
            file.write("\n")

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write result.json, table.csv and learning.png into a folder.

        Raises:
            OutputError: a file cannot be written.
        """
        place = Path(folder)
        self.keep(place)
        with write_atomically(place / FILES[1], "w") as file:
            file.write(self.to_csv())
        self.picture(place / FILES[2])

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Comparison":
        """Read what `write` has written.

        Raises:
            MissingFileError: there is nothing of that kind in the folder.
            FileFormatError: it is damaged, or of something else.
        """
        path = Path(folder) / FILES[0]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise MissingFileError(f"out: there is no comparison in {os.fspath(folder)}") from None
        except (OSError, ValueError) as problem:
            raise FileFormatError(f"out: {path} is damaged ({problem})") from problem
        try:
            if content["written_by"] != _WRITTEN_BY:
                raise FileFormatError(f"out: {path} is not of a comparison")
            runs = [_run(one) for one in content["runs"]]
            return cls(content["task"], content["settings"], runs, content["interrupted"])
        except (KeyError, TypeError, ValueError) as problem:
            if isinstance(problem, FileFormatError):
                raise
            raise FileFormatError(f"out: {path} is damaged or not of a comparison") from problem

    def go_on_from(self, before: "Comparison", where: str) -> None:
        """Take over the runs of an earlier comparison.

        Raises:
            ArgumentError: it was of another task, or with other settings.
        """
        for own, other in ((self.task, before.task), (self.settings, before.settings)):
            for name in own:
                if own[name] != other.get(name):
                    raise ArgumentError(
                        f"resume: expected the settings of {where}, which has {name} = {other.get(name)!r}, "
                        f"got {own[name]!r}; choose another folder"
                    )
        self.runs = [run for run in before.runs if not run.problem]


def _run(content: Mapping[str, Any]) -> Run:
    looks = tuple(
        Look(int(steps), float(seconds), float(figure)) for steps, seconds, figure in content["looks"]
    )
    return Run(**{**content, "looks": looks})
