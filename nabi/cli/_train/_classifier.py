"""`nabi train` on a table of texts and labels."""

from typing import Any, ClassVar

from nabi.cli._never_given import never_given
from nabi.cli._train._column import Task, check_columns, taken_as_labels
from nabi.cli._train._folders import is_of_labelled_texts
from nabi.cli._train._form import Said
from nabi.cli._train._given import given, listed
from nabi.cli._train._options import TABLE
from nabi.cli._train._texts import TextsForm
from nabi.errors import ArgumentError
from nabi.models import TextSettings

__all__ = ["LabelsForm"]


class LabelsForm(TextsForm):
    """A table of texts and labels."""

    name, short = "a table of texts and labels", "labels"
    usage = "nabi train FILE --text COLUMN --label COLUMN, or nabi train FOLDER --label-from folder"
    what = (
        "FILE: .csv, .tsv, .jsonl, .json, .parquet, .xlsx, all but the last two may be compressed; FOLDER: a "
        "folder of texts for each label, also as .zip"
    )
    settings, model = TextSettings, "TextClassifier"
    figures, chosen_by = (("accuracy", "accuracy"), ("macro F1", "macro_f1")), ("F1", "macro_f1")
    # --label-from belongs to recordings, too.
    shared = frozenset({"validation", "test", "encoding", "separator", "quotes", "header", "label_from"})
    data: ClassVar = {
        "text": given(str, help="Text column.", metavar="COLUMN", panel=TABLE),
        "label": given(
            list[str],
            help="Label column; repeat it for several columns of 0 and 1.",
            metavar="COLUMN",
            panel=TABLE,
        ),
        "aspect": given(
            str, help="Column with the aspect to judge a text by.", metavar="COLUMN", panel=TABLE
        ),
        "columns": given(
            str,
            help="Other columns to read beside the text, numbers or categories, separated by commas.",
            metavar="COLUMNS",
            panel=TABLE,
        ),
        "task": given(
            Task,
            help="What to learn from the column: each value as a label, or its numbers.",
            show_default="regression for numbers with decimals, or many different ones",
            panel=TABLE,
        ),
        "balanced": given(
            bool,
            "--balanced/--not-balanced",
            help="Weight rare labels as much as frequent ones in training; or leave decisions as they are.",
            show_default="decisions are moved where a label is rare",
            panel=TABLE,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether a column of texts or of labels is named, or texts lie in folders of labels."""
        return said["text"] is not None or bool(said["label"]) or is_of_labelled_texts(said)

    def own_settings(self, said: Said) -> dict[str, Any]:
        """Return the settings; --balanced is one."""
        settings = self.said_settings(said)
        if said["balanced"] is not None:
            settings["class_weight"] = "balanced" if said["balanced"] else None
        return settings

    def read(self, said: Said, seed: int) -> tuple[Any, list[str]]:
        """Read texts and labels."""
        from nabi.models import name_columns, read_text_parts

        if not is_of_labelled_texts(said):
            if said["label_from"] is not None:
                raise ArgumentError(
                    "--label-from: it means nothing for a table of texts and labels; --label-from folder "
                    "goes with a folder that has a subfolder of texts for each label"
                )
            check_columns(said, "label")
        file, others = said["file"], listed(said["columns"]) or None
        parts = read_text_parts(
            file,
            columns=name_columns(file, said["text"], said["label"] or None, said["aspect"], others),
            label_separator=said["label_separator"],
            **self.reading(said, seed),
        )
        return parts, [*parts.notes, *taken_as_labels(said)]

    def columns(self, said: Said) -> dict[str, Any]:
        """Return the columns."""
        labels = None if not said["label"] else said["label"] if len(said["label"]) > 1 else said["label"][0]
        others = {"columns": listed(said["columns"])} if said["columns"] else {}
        return {"text": said["text"], "label": labels, "aspect": said["aspect"], **others}

    def pictured(self, report: Any) -> str:
        """Return that it is the confusion matrix, where there is one."""
        return "" if report.confusion is None else "the confusion matrix"

    def beside_network(self, model: Any) -> dict[str, Any]:
        """Return how much the linear model counts."""
        return {
            "seconds_of_words": None if model.simple is None else model.simple.seconds,
            "decisions": None if model.decisions is None else model.decisions.to_dict(),
        }

    def remarks(self, report: Any, model: Any) -> list[str]:
        """Say which labels were never given."""
        never = never_given(report, balanced=model.settings.class_weight == "balanced")
        return [never] if never else []
