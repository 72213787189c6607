"""Models: layers put together, trained, asked, saved and loaded; and a classifier of texts around them."""

from nabi.models._files import load_model
from nabi.models._functional import Functional
from nabi.models._model import Model
from nabi.models._report import LabelFigures, Report
from nabi.models._sequential import Sequential
from nabi.models._text_classifier import TextClassifier
from nabi.models._text_prediction import Prediction

__all__ = [
    "Functional",
    "LabelFigures",
    "Model",
    "Prediction",
    "Report",
    "Sequential",
    "TextClassifier",
    "load_model",
]
