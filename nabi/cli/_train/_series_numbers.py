"""`nabi train` on series with a number each: a `.ts` file, or a long table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from nabi.cli._messages import in_words_of_options
from nabi.cli._train._column import Task, one_target, why_numbers
from nabi.cli._train._form import Said
from nabi.cli._train._series import columns_said, fit_on_files, ts_header
from nabi.cli._train._system import Figures, SystemForm
from nabi.errors import ArgumentError
from nabi.models import SeriesRegressorSettings

__all__ = ["SeriesNumbersForm"]


class SeriesNumbersForm(SystemForm):
    """Series with a number each."""

    name, short = "series with numbers", "numbers of series"
    usage = "nabi train FILE.ts, or nabi train TABLE --id COLUMN --target COLUMN"
    what = (
        "FILE.ts: series with numbers (@targetlabel); TABLE: as for series with labels, with a column of "
        "numbers that is the same in all rows of a series, such as the wear of a tool"
    )
    settings, model, learnt = SeriesRegressorSettings, "SeriesRegressor", "numbers of series are"
    beside = ((".png", "a picture of estimated against right numbers"),)
    shared = frozenset(
        {
            "id", "channels", "time", "group", "label", "target", "task", "validation", "test", "encoding",
            "separator", "quotes", "header",
        }
    )  # fmt: skip

    def is_meant(self, said: Said) -> bool:
        """Whether rows are named that are one series, with a column of numbers, or a .ts file has numbers."""
        if said["task"] == Task.CLASSIFICATION:
            return False
        asked = said["task"] == Task.REGRESSION
        if said["id"] is not None:
            if asked or said["target"] is not None:
                return True
            # What only labels have says that they are meant.
            if said["balanced"] is not None or said["label_per_step"]:
                return False
            return bool(why_numbers(said))
        header = ts_header(said)
        return header is not None and (header.has_targets or (asked and bool(header.classes)))

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the files."""
        return {"the data": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Take over the columns; `fit` reads and checks the files."""
        target = one_target(said)
        if said["id"] is not None and target is None:
            raise ArgumentError("--target: expected the column of the numbers, got none")
        asked = said["task"] is not None or said["target"] is not None
        why = "" if asked else why_numbers(said)
        if why:
            names = {name: f"--{name.replace('_', '-')}" for name in said}
            typer.echo(in_words_of_options(why, names, ()))
        return self.make(said), {**columns_said(said), "target": target}

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the series."""
        return fit_on_files(said, model, data, how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the files, the columns, and how much the linear model counts."""
        files = {name: None if said[name] is None else str(said[name]) for name in ("validation", "test")}
        more = {"notes": list(model.notes), "share_of_linear": model.share}
        return {"file": str(said["file"]), **files, "columns": data, **more}

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw estimated against right numbers."""
        model.report.picture(beside[0])
        return "", {}
