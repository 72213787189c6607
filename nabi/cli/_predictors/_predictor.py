"""What `nabi predict` and `nabi evaluate` ask of a kind of model."""

from typing import Any, Protocol

__all__ = ["Evaluator", "Predictor", "Said"]

Said = dict[str, Any]
"""What the command line says: the value of each option by the name of its argument."""


class Evaluator(Protocol):
    """A kind of model that can be compared with what is right."""

    @property
    def kind(self) -> str:
        """Of its model files."""

    @property
    def what(self) -> str:
        """What the model is of, in messages: "series"."""

    @property
    def evaluate_options(self) -> frozenset[str]:
        """Arguments of `nabi evaluate` that mean something for it; others are refused."""

    def evaluate(self, said: Said, /) -> None:
        """Measure the model, show and write how good it is."""


class Predictor(Evaluator, Protocol):
    """A kind of model that predicts something for files."""

    @property
    def predict_options(self) -> frozenset[str]:
        """Arguments of `nabi predict` that mean something for it; others are refused."""

    def predict(self, said: Said, /) -> None:
        """Predict what the command line asks for, and write it."""
