"""`nabi predict` and `nabi evaluate` for models that estimate a number for a text."""

from typing import TYPE_CHECKING, Any

from nabi.cli._bad_rows import BadRows
from nabi.cli._figures import give_figures
from nabi.cli._load import load_with_cells
from nabi.cli._predictors._predictor import Said
from nabi.cli._rows import RowWriter, check_rows_file
from nabi.cli._terminal import make_console
from nabi.cli._texts import text_parts
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import TextRegressor

__all__ = ["NumberPredictor", "named_target", "number_field"]

_ALWAYS = frozenset(
    {"model", "file", "text", "aspect", "out", "as_json", "encoding", "separator", "quotes", "header",
     "overwrite", "cell", "threads"}
)  # fmt: skip


class NumberPredictor:
    """A `TextRegressor`: a number for each text, in the column "number"."""

    kind, what = "text regressor", "texts with numbers"
    predict_options = _ALWAYS | {"texts"}
    evaluate_options = _ALWAYS | {"label", "target", "picture"}

    def predict(self, said: Said) -> None:
        """Write the number of each text after the columns of the table that it is from."""
        from nabi.training import on_threads

        if bool(said["texts"]) == (said["file"] is not None):
            raise ArgumentError("TEXT: expected either texts or --file FILE, got both or neither")
        check_rows_file(said["out"], said["as_json"])
        model = self._load(said)
        bad, count = BadRows(), 0
        parts = text_parts(said, model, bad)
        with on_threads(said["threads"]), RowWriter(said["out"], said["as_json"]) as writer:
            for part in parts:
                places = part.readable
                texts, aspects, columns = part.arguments()
                numbers = model.predict(texts, aspects, columns=columns)
                found = dict(zip(places, numbers.tolist(), strict=True))
                for place, row in enumerate(part.rows()):
                    writer.write(
                        row, number_field(found.get(place), writer.as_json), part.wrong.get(place, "")
                    )
                count += len(part.texts)
                writer.flush()
            writer.begin([*(["text", "aspect"] if model.has_aspects else ["text"]), "number"])
            bad.end(count)

    def evaluate(self, said: Said) -> None:
        """Show how far the estimates are from the right numbers, and how far those of simpler models."""
        from nabi.drawing import check_suffix
        from nabi.training import on_threads

        target = named_target(said)
        if said["picture"] is not None:
            check_suffix(said["picture"])
        model = self._load(said)
        with on_threads(said["threads"]):
            report = model.evaluate(
                said["file"],
                text=said["text"],
                target=target,
                aspect=said["aspect"],
                encoding=said["encoding"],
                separator=said["separator"],
                quoted=said["quotes"],
                header=said["header"],
                wrong_rows="keep",
            )
        give_figures(
            "evaluate", report.to_dict(), said["out"], said["as_json"], lambda: make_console().print(report)
        )
        if said["picture"] is not None:
            report.picture(said["picture"])

    def _load(self, said: Said) -> "TextRegressor":
        found: TextRegressor = load_with_cells("TextRegressor", said["model"], said["cell"] or ())
        return found


def named_target(said: Said) -> str | None:
    """Return where the right numbers are, which --label names too; None for none.

    Raises:
        ArgumentError: for several.
    """
    labels = said["label"] or []
    target: str | None = said.get("target")
    if len(labels) > 1 or (labels and target is not None):
        raise ArgumentError("--label: expected one column of numbers, got several")
    return labels[0] if labels else target


def number_field(value: float | None, as_json: bool) -> dict[str, Any]:
    """Return what is added to a row; float32 has about seven digits."""
    if value is None:
        return {"number": None if as_json else ""}
    written = f"{value:.7g}"
    return {"number": float(written) if as_json else written}
