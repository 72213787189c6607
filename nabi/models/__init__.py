"""Models: layers put together, trained, asked, saved, loaded; what classifies, writes, composes, captions."""

from typing import TYPE_CHECKING

from nabi._when_asked import loaded_when_asked
from nabi.models._cloning import clone_model, model_from_config, model_from_json, save_model
from nabi.models._files import load_model
from nabi.models._functional import Functional
from nabi.models._model import Model
from nabi.models._sequential import Sequential

if TYPE_CHECKING:
    from nabi.models._caption_report import CaptionReport
    from nabi.models._caption_writing import Caption, CaptionAttention
    from nabi.models._captioner import Captioner
    from nabi.models._language_model import LanguageModel
    from nabi.models._language_report import LanguageReport
    from nabi.models._language_words import NextWord
    from nabi.models._note_model import NoteModel
    from nabi.models._note_report import NoteReport
    from nabi.models._report import LabelFigures, Report
    from nabi.models._text_classifier import TextClassifier
    from nabi.models._text_prediction import Prediction
    from nabi.models._translator import Translator
    from nabi.models._translator_report import TranslatorReport
    from nabi.models._translator_writing import AttentionWeights, Translation
else:
    # Most programs use none or one of these.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.models._caption_report": ["CaptionReport"],
            "nabi.models._caption_writing": ["Caption", "CaptionAttention"],
            "nabi.models._captioner": ["Captioner"],
            "nabi.models._language_model": ["LanguageModel"],
            "nabi.models._language_report": ["LanguageReport"],
            "nabi.models._language_words": ["NextWord"],
            "nabi.models._note_model": ["NoteModel"],
            "nabi.models._note_report": ["NoteReport"],
            "nabi.models._report": ["LabelFigures", "Report"],
            "nabi.models._text_classifier": ["TextClassifier"],
            "nabi.models._text_prediction": ["Prediction"],
            "nabi.models._translator": ["Translator"],
            "nabi.models._translator_report": ["TranslatorReport"],
            "nabi.models._translator_writing": ["AttentionWeights", "Translation"],
        },
    )

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
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "save_model",
]
