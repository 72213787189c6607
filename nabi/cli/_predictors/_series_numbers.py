"""`nabi predict` and `nabi evaluate` for models that estimate a number for a series."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._predictors._numbers import named_target, number_field
from nabi.cli._predictors._predictor import Said
from nabi.cli._predictors._sequences import SequencePredictor, WrongFile
from nabi.cli._rows import RowWriter

if TYPE_CHECKING:
    from nabi.models import RegressionReport

__all__ = ["SeriesNumberPredictor", "write_numbers"]


class SeriesNumberPredictor(SequencePredictor):
    """A `SeriesRegressor`: a number for each series, in the column "number"."""

    added = "number"

    def __init__(self) -> None:
        super().__init__("series regressor", "SeriesRegressor", "series with numbers", tables=True)
        self.predict_options -= {"top"}
        self.evaluate_options |= {"target"}

    def predictions(self, model: Any, files: list[Path], said: Said) -> list[Any]:
        """Return the name of each series in the files, and its number."""
        found = [one for file in files for one in model.read(file, **self.reading(said))]
        numbers = model.predict([values for _, values in found]).tolist()
        return [(name, number) for (name, _), number in zip(found, numbers, strict=True)]

    def report(self, model: Any, file: Path, said: Said) -> Any:
        """Return how far the estimates are from the numbers of a file."""
        found: RegressionReport = model.evaluate(file, target=named_target(said), **self.reading(said))
        return found

    def write(self, found: list[Any], said: Said) -> None:
        """Write a row for each series."""
        write_numbers(found, said)


def write_numbers(found: list[Any], said: Said) -> None:
    """Write a row for each sequence: its name and its number, or a `WrongFile`."""
    with RowWriter(said["out"], said["as_json"]) as writer:
        for one in found:
            if isinstance(one, WrongFile):
                problem = one.problem if writer.as_json else ""
                writer.write({"sequence": one.name}, number_field(None, writer.as_json), problem)
            else:
                name, number = one
                writer.write({"sequence": name}, number_field(number, writer.as_json))
