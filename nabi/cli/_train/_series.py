"""`nabi train` on series with labels: a `.ts` file, or a long table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nabi.cli._never_given import never_given
from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import draw_confusion
from nabi.cli._train._system import Figures, SystemForm
from nabi.errors import ArgumentError, NabiError
from nabi.models import SeriesSettings

if TYPE_CHECKING:
    from nabi.data import TsHeader

__all__ = ["SeriesForm", "columns_said", "fit_on_files", "ts_header"]

_PANEL = "Series"


class SeriesForm(SystemForm):
    """Series with a label each, or with one for every step."""

    name, short = "series with labels", "series"
    usage = "nabi train FILE.ts, or nabi train TABLE --id COLUMN --label COLUMN"
    what = (
        "FILE.ts: series with class labels; TABLE: .csv, .tsv, .jsonl, .json, .parquet, .xlsx with a row for "
        "each step of each series"
    )
    settings, model, learnt = SeriesSettings, "SeriesClassifier", "series are"
    beside = ((".png", "the confusion matrix"),)
    shared = frozenset(
        {
            "time", "group", "label", "task", "balanced", "validation", "test", "encoding", "separator",
            "quotes", "header",
        }
    )  # fmt: skip
    data: ClassVar = {
        "id": given(str, help="Column that says which rows are one series.", metavar="COLUMN", panel=_PANEL),
        "channels": given(
            str,
            help="Columns of numbers, separated by commas.",
            metavar="COLUMNS",
            show_default="all others",
            panel=_PANEL,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether rows are named that are one series, or a .ts file has labels."""
        from nabi.data import is_ts_file, is_typescript

        if said["id"] is not None:
            return True
        header = ts_header(said)
        # Nothing else reads a broken file; the training says what is wrong with it.
        file = said["file"]
        return bool(header.classes) if header is not None else is_ts_file(file) and not is_typescript(file)

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the files."""
        return {"the data": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Take over the columns; `fit` reads and checks the files."""
        labels = said["label"] or []
        if len(labels) > 1:
            raise ArgumentError(f"--label: expected one column, got {len(labels)}")
        if said["id"] is not None and not labels:
            raise ArgumentError("--label: expected the column of the labels, got none")
        columns = {**columns_said(said), "label": labels[0] if labels else None}
        weight = {"class_weight": "balanced"} if said["balanced"] else {}
        return self.make(said, **weight), columns

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the series."""
        return fit_on_files(said, model, data, how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the files and the columns."""
        files = {name: None if said[name] is None else str(said[name]) for name in ("validation", "test")}
        return {"file": str(said["file"]), **files, "columns": data}

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw the confusion matrix, and say which labels were never given."""
        draw_confusion(model, beside[0])
        scores, balanced = model.report.scores, model.settings.class_weight is not None
        never = "" if scores is None else never_given(scores, balanced=balanced)
        return f"\nnote {never}" if never else "", {}


def ts_header(said: Said) -> "TsHeader | None":
    """Return what the header of a .ts file says; None for another file, and for one that cannot be read."""
    from nabi.data import is_ts_file, read_ts_header

    if not is_ts_file(said["file"]):
        return None
    try:
        return read_ts_header(said["file"], encoding=said["encoding"])
    except NabiError:
        return None


def columns_said(said: Said) -> dict[str, Any]:
    """Return the columns that say what the series of a table are."""
    channels = None if said["channels"] is None else [one.strip() for one in said["channels"].split(",")]
    return {"id": said["id"], "time": said["time"], "channels": channels, "group": said["group"]}


def fit_on_files(said: Said, model: Any, columns: Mapping[str, Any], how: Mapping[str, Any]) -> Any:
    """Train a model on the files that the command line names."""
    return model.fit(
        said["file"],
        **columns,
        validation=said["validation"],
        test=said["test"],
        encoding=said["encoding"],
        separator=said["separator"],
        quoted=said["quotes"],
        header=said["header"],
        **how,
    )
