"""`nabi predict` and `nabi evaluate` for models that give recordings a label."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._predictors._predictor import Said
from nabi.cli._predictors._sequences import SequencePredictor

if TYPE_CHECKING:
    from nabi.models import SequencePrediction, SequenceReport

__all__ = ["SoundPredictor"]


class SoundPredictor(SequencePredictor):
    """A classifier of recordings: it predicts for files, and is measured on a table of files and labels."""

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return the label of each file."""
        found: list[SequencePrediction] = model.predict(files)
        return found

    def report(self, model: Any, file: Path, said: Said) -> "SequenceReport":
        """Return how good the model is on the recordings of a table, which stands in their folder."""
        from nabi.data import read_recordings

        recordings = read_recordings(file.parent, file, rate=model.rate)
        found: SequenceReport = model.evaluate(recordings)
        return found
