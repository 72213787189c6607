"""The kinds of model files, and what reads each of them."""

import os

from nabi.errors import FileFormatError
from nabi.interchange._model_file import ModelFile, read_model_file

__all__ = ["READERS", "read_kind"]

READERS = {
    "captioner": "nabi.Captioner.load",
    "captioner training": "checkpoint= of nabi.Captioner.fit",
    "model": "nabi.models.load_model",
    "weights": "load_weights of a model",
    "text classifier": "nabi.TextClassifier.load",
    "language model": "nabi.LanguageModel.load",
    "language model training": "checkpoint= of nabi.LanguageModel.fit",
    "note model": "nabi.NoteModel.load",
    "note model training": "checkpoint= of nabi.NoteModel.fit",
    "translator": "nabi.Translator.load",
    "translator training": "checkpoint= of nabi.Translator.fit",
}
"""For each kind what reads it, as an error says it to those who read it with something else."""


def read_kind(path: str | os.PathLike[str], kinds: tuple[str, ...]) -> ModelFile:
    """Read a model file that holds one of these kinds.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged or holds another kind.
    """
    file = read_model_file(path)
    if file.kind not in kinds:
        hint = f"; read it with {READERS[file.kind]}" if file.kind in READERS else ""
        raise FileFormatError(f"path: {file.path} holds {file.kind}, expected {' or '.join(kinds)}{hint}")
    return file
