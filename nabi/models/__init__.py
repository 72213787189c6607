"""Models: layers put together, trained, asked, saved, loaded; what classifies, writes, composes, captions."""

from nabi.models._caption_report import CaptionReport
from nabi.models._caption_writing import Caption, CaptionAttention
from nabi.models._captioner import Captioner
from nabi.models._files import load_model
from nabi.models._functional import Functional
from nabi.models._language_model import LanguageModel
from nabi.models._language_report import LanguageReport
from nabi.models._language_words import NextWord
from nabi.models._model import Model
from nabi.models._note_model import NoteModel
from nabi.models._note_report import NoteReport
from nabi.models._report import LabelFigures, Report
from nabi.models._sequential import Sequential
from nabi.models._text_classifier import TextClassifier
from nabi.models._text_prediction import Prediction
from nabi.models._translator import Translator
from nabi.models._translator_report import TranslatorReport
from nabi.models._translator_writing import AttentionWeights, Translation

__all__ = [
    "AttentionWeights",
    "Caption",
    "CaptionAttention",
    "CaptionReport",
    "Captioner",
    "Functional",
    "LabelFigures",
    "LanguageModel",
    "LanguageReport",
    "Model",
    "NextWord",
    "NoteModel",
    "NoteReport",
    "Prediction",
    "Report",
    "Sequential",
    "TextClassifier",
    "Translation",
    "Translator",
    "TranslatorReport",
    "load_model",
]
