"""The kinds of model files, and their readers."""

import os

from nabi.errors import FileFormatError
from nabi.files._model_file import ModelFile, read_model_file

__all__ = ["READERS", "read_kind"]

READERS = {
    "captioner": "nabi.Captioner.load",
    "captioner training": "checkpoint= of nabi.Captioner.fit",
    "clip classifier": "nabi.ClipClassifier.load",
    "clip classifier training": "checkpoint= of nabi.ClipClassifier.fit",
    "DNA classifier": "nabi.DNAClassifier.load",
    "DNA classifier training": "checkpoint= of nabi.DNAClassifier.fit",
    "DNA regressor": "nabi.DNARegressor.load",
    "DNA regressor training": "checkpoint= of nabi.DNARegressor.fit",
    "forecast state": "nabi.Forecaster.load_state",
    "forecaster": "nabi.Forecaster.load",
    "forecaster training": "checkpoint= of nabi.Forecaster.fit",
    "model": "nabi.models.load_model",
    "weights": "load_weights of a model",
    "series classifier": "nabi.SeriesClassifier.load",
    "series classifier training": "checkpoint= of nabi.SeriesClassifier.fit",
    "series regressor": "nabi.SeriesRegressor.load",
    "series regressor training": "checkpoint= of nabi.SeriesRegressor.fit",
    "text classifier": "nabi.TextClassifier.load",
    "text regressor": "nabi.TextRegressor.load",
    "language model": "nabi.LanguageModel.load",
    "language model training": "checkpoint= of nabi.LanguageModel.fit",
    "note model": "nabi.NoteModel.load",
    "note model training": "checkpoint= of nabi.NoteModel.fit",
    "sound classifier": "nabi.SoundClassifier.load",
    "sound classifier training": "checkpoint= of nabi.SoundClassifier.fit",
    "speech recognizer": "nabi.SpeechRecognizer.load",
    "speech recognizer training": "checkpoint= of nabi.SpeechRecognizer.fit",
    "tagger": "nabi.Tagger.load",
    "tagger training": "checkpoint= of nabi.Tagger.fit",
    "translator": "nabi.Translator.load",
    "translator training": "checkpoint= of nabi.Translator.fit",
}
"""The reader of each kind, named in the error for reading it with another one."""


def read_kind(path: str | os.PathLike[str], kinds: tuple[str, ...]) -> ModelFile:
    """Read a model file of one of these kinds.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged or of another kind.
    """
    file = read_model_file(path)
    if file.kind not in kinds:
        hint = f"; read it with {READERS[file.kind]}" if file.kind in READERS else ""
        raise FileFormatError(f"path: {file.path}: expected {' or '.join(kinds)}, got {file.kind}{hint}")
    return file
