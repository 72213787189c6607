"""Which kinds of models there are beside text classifiers, and which one a file holds."""

from pathlib import Path

import typer

from nabi.cli._predictors._clips import ClipPredictor
from nabi.cli._predictors._dna import DNANumberPredictor, DNAPredictor
from nabi.cli._predictors._forecasts import ForecastPredictor
from nabi.cli._predictors._numbers import NumberPredictor
from nabi.cli._predictors._predictor import Evaluator, Predictor, Said
from nabi.cli._predictors._sequences import SequencePredictor
from nabi.cli._predictors._series_numbers import SeriesNumberPredictor
from nabi.cli._predictors._sound import SoundPredictor
from nabi.cli._predictors._tags import TagPredictor
from nabi.cli._predictors._written import WRITERS
from nabi.cli._uses import check_kind
from nabi.errors import ArgumentError

__all__ = ["EVALUATORS", "PREDICTORS", "other_evaluator", "other_predictor", "refuse_options"]

PREDICTORS: tuple[Predictor, ...] = (
    SequencePredictor("series classifier", "SeriesClassifier", "series", tables=True),
    ClipPredictor(),
    DNAPredictor(),
    DNANumberPredictor(),
    ForecastPredictor(),
    NumberPredictor(),
    SeriesNumberPredictor(),
    SoundPredictor("sound classifier", "SoundClassifier", "sound"),
    TagPredictor(),
)
"""All kinds that label something, by the kind of their files."""
EVALUATORS: tuple[Evaluator, ...] = (*PREDICTORS, *WRITERS)
"""All kinds that can be compared with what is right."""


def other_predictor(model: Path) -> Predictor | None:
    """Return what predicts with a model; None for a text classifier.

    Raises:
        ArgumentError: for a model that labels nothing, with the command that it is for, and for data.
        MissingFileError, FileFormatError: for a file that cannot be read.
    """
    kinds = ("text classifier", *(one.kind for one in PREDICTORS))
    kind = check_kind(model, kinds, "a model that labels something").kind
    return next((one for one in PREDICTORS if one.kind == kind), None)


def other_evaluator(model: Path) -> Evaluator | None:
    """Return what measures a model; None for a text classifier.

    Raises:
        ArgumentError: for a model of layers, and for data.
        MissingFileError, FileFormatError: for a file that cannot be read.
    """
    kinds = ("text classifier", *(one.kind for one in EVALUATORS))
    kind = check_kind(model, kinds, "a model from `nabi train` or `nabi run`").kind
    return next((one for one in EVALUATORS if one.kind == kind), None)


def refuse_options(context: typer.Context, options: frozenset[str], what: str) -> Said:
    """Return what the command line says, and refuse what means nothing for a kind of model.

    Raises:
        ArgumentError: for an option that was given and is not among `options`.
    """
    for name in sorted(set(context.params) - options):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "json" if name == "as_json" else name.replace("_", "-")
            raise ArgumentError(f"--{option}: it means nothing for a model of {what}")
    return dict(context.params)
