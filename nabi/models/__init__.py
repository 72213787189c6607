"""Models: building, training, prediction, saving and loading; classifiers, writers, composers, captioners."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

# `name as name`: for the command line. Users have what `__all__` lists.
if TYPE_CHECKING:
    from nabi.models._baselines._forecasts import LinearAutoregression as LinearAutoregression
    from nabi.models._captioner._model import Captioner
    from nabi.models._captioner._samples import CaptionSamples as CaptionSamples
    from nabi.models._captioner._settings import CaptionSettings as CaptionSettings
    from nabi.models._captioner._training import CaptionReport
    from nabi.models._captioner._writing import Caption, CaptionAttention
    from nabi.models._classifier._columns import (
        Columns as Columns,
        TableFormat as TableFormat,
        name_columns as name_columns,
    )
    from nabi.models._classifier._held_out import HeldOut as HeldOut
    from nabi.models._classifier._model import Prediction, TextClassifier
    from nabi.models._classifier._other_columns import (
        OtherColumns as OtherColumns,
        beside_texts as beside_texts,
        no_columns as no_columns,
    )
    from nabi.models._classifier._report import LabelFigures, Report
    from nabi.models._classifier._settings import TextSettings as TextSettings
    from nabi.models._classifier._split import read_text_parts as read_text_parts
    from nabi.models._clips._encoder import FrameEncoder as FrameEncoder
    from nabi.models._clips._model import ClipClassifier
    from nabi.models._clips._settings import ClipSettings as ClipSettings
    from nabi.models._dna._front import DNAFront as DNAFront
    from nabi.models._dna._model import DNAClassifier
    from nabi.models._dna._regressor import DNARegressor
    from nabi.models._dna._settings import (
        DNANumberSettings as DNANumberSettings,
        DNASettings as DNASettings,
    )
    from nabi.models._forecaster._backtest import Backtest
    from nabi.models._forecaster._filters import METHODS as METHODS
    from nabi.models._forecaster._forecasts import Forecast, Observation
    from nabi.models._forecaster._model import Forecaster
    from nabi.models._forecaster._network import QUANTILES as QUANTILES
    from nabi.models._forecaster._report import ForecastReport
    from nabi.models._forecaster._sensitivity import ForecastReading
    from nabi.models._forecaster._settings import ForecastSettings as ForecastSettings
    from nabi.models._forecaster._state import ForecastState
    from nabi.models._graph import Slot as Slot
    from nabi.models._keras_models import (
        Functional,
        Model,
        Sequential,
        clone_model,
        load_model,
        model_from_config,
        model_from_json,
        save_model,
    )
    from nabi.models._language._figures import LanguageFigures
    from nabi.models._language._model import LanguageModel
    from nabi.models._language._settings import LanguageSettings as LanguageSettings
    from nabi.models._language._training import LanguageReport
    from nabi.models._language._words import NextWord
    from nabi.models._networks._decoder_steps import NEVER_WRITTEN as NEVER_WRITTEN
    from nabi.models._networks._watching import LayerCall as LayerCall, watched_layers as watched_layers
    from nabi.models._notes._model import NoteModel
    from nabi.models._notes._settings import NoteSettings as NoteSettings
    from nabi.models._notes._training import NoteReport
    from nabi.models._predictor._predictor import predictor
    from nabi.models._quantizing import SmallWeightsReport
    from nabi.models._regressor._model import TextRegressor
    from nabi.models._regressor._report import NumberFigures, RegressionReport
    from nabi.models._regressor._settings import RegressorSettings as RegressorSettings
    from nabi.models._regressor._split import (
        named_columns as named_columns,
        read_number_parts as read_number_parts,
    )
    from nabi.models._sequences._fronts import SeriesFront as SeriesFront
    from nabi.models._sequences._model import SequencePrediction
    from nabi.models._sequences._report import SequenceReport
    from nabi.models._series._model import SeriesClassifier
    from nabi.models._series._settings import SeriesSettings as SeriesSettings
    from nabi.models._series_regressor._model import SeriesRegressor
    from nabi.models._series_regressor._settings import SeriesRegressorSettings as SeriesRegressorSettings
    from nabi.models._sound._classifier import SoundClassifier
    from nabi.models._sound._model import band_features as band_features
    from nabi.models._sound._recognizer import SpeechRecognizer, Transcript
    from nabi.models._sound._settings import SoundSettings as SoundSettings, SpeechSettings as SpeechSettings
    from nabi.models._sound._stream import Heard, SoundStream, SpeechStream
    from nabi.models._tagger._model import TaggedSentence, Tagger
    from nabi.models._tagger._report import TaggerReport
    from nabi.models._tagger._settings import TaggerSettings as TaggerSettings
    from nabi.models._task._answers import Answers as Answers, watched_answers as watched_answers
    from nabi.models._translator._model import Translator
    from nabi.models._translator._settings import TranslatorSettings as TranslatorSettings
    from nabi.models._translator._training import TranslatorReport
    from nabi.models._translator._writing import AttentionWeights, Translation
else:
    # Programs use one or two of these; and settings, which the command line asks for, need no torch.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.models._graph": ["Slot"],
            "nabi.models._keras_models": [
                "Functional",
                "Model",
                "Sequential",
                "clone_model",
                "load_model",
                "model_from_config",
                "model_from_json",
                "predictor",
                "save_model",
            ],
            "nabi.models._baselines._forecasts": ["LinearAutoregression"],
            "nabi.models._captioner._model": ["Captioner"],
            "nabi.models._captioner._samples": ["CaptionSamples"],
            "nabi.models._captioner._settings": ["CaptionSettings"],
            "nabi.models._captioner._training": ["CaptionReport"],
            "nabi.models._captioner._writing": ["Caption", "CaptionAttention"],
            "nabi.models._clips._encoder": ["FrameEncoder"],
            "nabi.models._clips._model": ["ClipClassifier"],
            "nabi.models._clips._settings": ["ClipSettings"],
            "nabi.models._dna._front": ["DNAFront"],
            "nabi.models._dna._model": ["DNAClassifier"],
            "nabi.models._dna._regressor": ["DNARegressor"],
            "nabi.models._dna._settings": ["DNANumberSettings", "DNASettings"],
            "nabi.models._forecaster._backtest": ["Backtest"],
            "nabi.models._forecaster._filters": ["METHODS"],
            "nabi.models._forecaster._forecasts": ["Forecast", "Observation"],
            "nabi.models._forecaster._model": ["Forecaster"],
            "nabi.models._forecaster._network": ["QUANTILES"],
            "nabi.models._forecaster._report": ["ForecastReport"],
            "nabi.models._forecaster._sensitivity": ["ForecastReading"],
            "nabi.models._forecaster._settings": ["ForecastSettings"],
            "nabi.models._forecaster._state": ["ForecastState"],
            "nabi.models._language._figures": ["LanguageFigures"],
            "nabi.models._language._model": ["LanguageModel"],
            "nabi.models._language._settings": ["LanguageSettings"],
            "nabi.models._language._training": ["LanguageReport"],
            "nabi.models._language._words": ["NextWord"],
            "nabi.models._networks._decoder_steps": ["NEVER_WRITTEN"],
            "nabi.models._networks._watching": ["LayerCall", "watched_layers"],
            "nabi.models._notes._model": ["NoteModel"],
            "nabi.models._classifier._columns": ["Columns", "TableFormat", "name_columns"],
            "nabi.models._classifier._held_out": ["HeldOut"],
            "nabi.models._classifier._model": ["Prediction", "TextClassifier"],
            "nabi.models._notes._settings": ["NoteSettings"],
            "nabi.models._notes._training": ["NoteReport"],
            "nabi.models._classifier._report": ["LabelFigures", "Report"],
            "nabi.models._classifier._settings": ["TextSettings"],
            "nabi.models._classifier._other_columns": ["OtherColumns", "beside_texts", "no_columns"],
            "nabi.models._classifier._split": ["read_text_parts"],
            "nabi.models._quantizing": ["SmallWeightsReport"],
            "nabi.models._regressor._model": ["TextRegressor"],
            "nabi.models._regressor._report": ["NumberFigures", "RegressionReport"],
            "nabi.models._regressor._settings": ["RegressorSettings"],
            "nabi.models._regressor._split": ["named_columns", "read_number_parts"],
            "nabi.models._sequences._fronts": ["SeriesFront"],
            "nabi.models._predictor._predictor": ["predictor"],
            "nabi.models._sequences._model": ["SequencePrediction"],
            "nabi.models._sequences._report": ["SequenceReport"],
            "nabi.models._series._model": ["SeriesClassifier"],
            "nabi.models._series._settings": ["SeriesSettings"],
            "nabi.models._series_regressor._model": ["SeriesRegressor"],
            "nabi.models._series_regressor._settings": ["SeriesRegressorSettings"],
            "nabi.models._sound._classifier": ["SoundClassifier"],
            "nabi.models._sound._model": ["band_features"],
            "nabi.models._sound._recognizer": ["SpeechRecognizer", "Transcript"],
            "nabi.models._sound._settings": ["SoundSettings", "SpeechSettings"],
            "nabi.models._sound._stream": ["Heard", "SoundStream", "SpeechStream"],
            "nabi.models._tagger._model": ["TaggedSentence", "Tagger"],
            "nabi.models._tagger._report": ["TaggerReport"],
            "nabi.models._tagger._settings": ["TaggerSettings"],
            "nabi.models._task._answers": ["Answers", "watched_answers"],
            "nabi.models._translator._model": ["Translator"],
            "nabi.models._translator._settings": ["TranslatorSettings"],
            "nabi.models._translator._training": ["TranslatorReport"],
            "nabi.models._translator._writing": ["AttentionWeights", "Translation"],
        },
    )

__all__ = [
    "AttentionWeights",
    "Backtest",
    "Caption",
    "CaptionAttention",
    "CaptionReport",
    "Captioner",
    "ClipClassifier",
    "DNAClassifier",
    "DNARegressor",
    "Forecast",
    "ForecastReading",
    "ForecastReport",
    "ForecastState",
    "Forecaster",
    "Functional",
    "Heard",
    "LabelFigures",
    "LanguageFigures",
    "LanguageModel",
    "LanguageReport",
    "Model",
    "NextWord",
    "NoteModel",
    "NoteReport",
    "NumberFigures",
    "Observation",
    "Prediction",
    "RegressionReport",
    "Report",
    "SequencePrediction",
    "SequenceReport",
    "Sequential",
    "SeriesClassifier",
    "SeriesRegressor",
    "SmallWeightsReport",
    "SoundClassifier",
    "SoundStream",
    "SpeechRecognizer",
    "SpeechStream",
    "TaggedSentence",
    "Tagger",
    "TaggerReport",
    "TextClassifier",
    "TextRegressor",
    "Transcript",
    "Translation",
    "Translator",
    "TranslatorReport",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "predictor",
    "save_model",
]
