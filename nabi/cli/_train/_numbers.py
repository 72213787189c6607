"""`nabi train` on a table of texts and numbers."""

from typing import Any, ClassVar

from nabi.cli._train._column import Task, check_columns, one_target, why_numbers
from nabi.cli._train._form import Said
from nabi.cli._train._given import listed
from nabi.cli._train._texts import TextsForm
from nabi.models import RegressorSettings

__all__ = ["NumbersForm"]


class NumbersForm(TextsForm):
    """A table of texts and numbers."""

    name, short = "a table of texts and numbers", "numbers"
    usage = "nabi train FILE --text COLUMN --target COLUMN"
    what = "FILE: a table as above, with a column of numbers such as ratings or prices"
    settings, model = RegressorSettings, "TextRegressor"
    figures, chosen_by = (("MAE", "mae"), ("RMSE", "rmse"), ("R²", "r2")), ("RMSE", "rmse")
    lower_is_better, written = True, ".4g"
    shared: ClassVar = frozenset(
        {
            "text", "label", "target", "aspect", "columns", "task", "validation", "test", "encoding",
            "separator", "quotes", "header",
        }
    )  # fmt: skip

    def is_meant(self, said: Said) -> bool:
        """Whether texts are named with a column to estimate, or whose labels are numbers."""
        if said["text"] is None or said["task"] == Task.CLASSIFICATION:
            return False
        if said["task"] == Task.REGRESSION or said["target"] is not None:
            return True
        # What only labels have says that they are meant.
        if said["balanced"] is not None or said["label_separator"] is not None:
            return False
        return bool(why_numbers(said))

    def own_settings(self, said: Said) -> dict[str, Any]:
        """Return the settings."""
        return self.said_settings(said)

    def read(self, said: Said, seed: int) -> tuple[Any, list[str]]:
        """Read texts and numbers."""
        from nabi.models import named_columns, read_number_parts

        check_columns(said, "target")
        file, others = said["file"], listed(said["columns"]) or None
        columns = named_columns(file, said["text"], one_target(said), said["aspect"], others)
        parts = read_number_parts(file, columns=columns, **self.reading(said, seed))
        asked = said["task"] is not None or said["target"] is not None
        why = "" if asked else why_numbers(said)
        return parts, [*parts.notes, *([why] if why else [])]

    def columns(self, said: Said) -> dict[str, Any]:
        """Return the columns."""
        others = {"columns": listed(said["columns"])} if said["columns"] else {}
        return {"text": said["text"], "target": one_target(said), "aspect": said["aspect"], **others}

    def pictured(self, report: Any) -> str:
        """Return that it shows estimates against right numbers."""
        return "a picture of estimated against right numbers"

    def beside_network(self, model: Any) -> dict[str, Any]:
        """Return how much the linear model counts."""
        return {
            "seconds_of_words": None if model.words is None else model.words.seconds,
            "share_of_words": model.share,
        }
