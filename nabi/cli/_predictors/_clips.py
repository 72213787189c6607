"""`nabi predict` and `nabi evaluate` for models of clips."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._predictors._predictor import Said
from nabi.cli._predictors._sequences import SequencePredictor

if TYPE_CHECKING:
    from nabi.models import SequencePrediction

__all__ = ["ClipPredictor"]


class ClipPredictor(SequencePredictor):
    """A clip is a file or a folder; what is evaluated is a folder of clips with their labels."""

    def __init__(self) -> None:
        super().__init__("clip classifier", "ClipClassifier", "clips")
        self.evaluate_options -= {"label"}

    def predictions(self, model: Any, files: list[Path], said: Said) -> "list[SequencePrediction]":
        """Return what the model says of clips."""
        found: list[SequencePrediction] = model.predict(files)
        return found
