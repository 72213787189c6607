"""What each kind of model file is for: the command that uses it, as it is suggested to users."""

import shlex
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from nabi.errors import ArgumentError, FileFormatError

__all__ = ["check_kind", "named_kind", "quoted", "refuse_model", "suggestion"]

# What it does, the command, and what comes after the name of the file.
_USES = {
    "captioner": ("captions pictures", "caption", "IMAGE"),
    "clip classifier": ("labels clips", "predict", "CLIP"),
    "DNA classifier": ("labels DNA", "predict", "FILE"),
    "DNA regressor": ("estimates a number for a sequence of DNA", "predict", "FILE"),
    "forecaster": ("forecasts", "forecast", ""),
    "language model": ("writes on", "write", '--start "..."'),
    "note model": ("composes", "compose", ""),
    "series classifier": ("labels series", "predict", "FILE"),
    "series regressor": ("estimates a number for a series", "predict", "FILE"),
    "sound classifier": ("recognises recordings", "recognise", "NEW.wav"),
    "speech recognizer": ("recognises recordings", "recognise", "NEW.wav"),
    "tagger": ("tags tokens", "predict", '"..."'),
    "text classifier": ("labels texts", "predict", '"..."'),
    "text regressor": ("estimates a number for a text", "predict", '"..."'),
    "translator": ("translates", "translate", '"..."'),
}
_VOWELS = "aeio"
_MODELS = (".nabi", ".training")


def quoted(word: str | PathLike[str]) -> str:
    """Return a word as a shell takes it: quoted if it has a space or another special character.

    >>> quoted("my model.nabi"), quoted("model.nabi")
    ("'my model.nabi'", 'model.nabi')
    """
    return shlex.quote(fspath(word))


def suggestion(kind: str, path: str | PathLike[str], *more: str, data: str | None = None) -> str:
    """Return what can be done with a model file: "It translates with: nabi translate m.nabi ...".

    Args:
        kind: of the file.
        path: of the file.
        more: words after the path, as they are to be typed.
        data: what comes after them, where it is not what is usual for the kind.
    """
    what, command, rest = _USES[kind]
    words = ["nabi", command, quoted(path), *more, rest if data is None else data]
    return f"It {what} with: {' '.join(word for word in words if word)}"


def check_kind(path: str | PathLike[str], kinds: Iterable[str], what: str = "") -> Any:
    """Read a model file of one of these kinds; return a `ModelFile`.

    Args:
        path: of the file.
        kinds: those that are right.
        what: they are in messages; their names by default.

    Raises:
        ArgumentError: for a file of another kind, with the command that it is for, and for a file that is no
            model but data.
        MissingFileError, FileFormatError: as `read_model_file`.
    """
    from nabi.files import read_model_file

    wanted = what or " or ".join(f"{_article(kind)} {kind}" for kind in kinds)
    try:
        file = read_model_file(path)
    except FileFormatError:
        data = _data(fspath(path))
        if data is None:
            raise
        raise ArgumentError(
            f"MODEL: expected {wanted}, got {data}: {fspath(path)}. What can be learnt from it is said by: "
            f"nabi train {quoted(path)}"
        ) from None
    if file.kind in kinds:
        return file
    got = f"MODEL: expected {wanted}, got {named_kind(file.kind)}: {fspath(path)}"
    if file.kind in _USES:
        raise ArgumentError(f"{got}. {suggestion(file.kind, path)}")
    if file.kind.endswith(" training"):
        raise ArgumentError(f"{got}. It is a checkpoint: the `nabi train` that wrote it goes on from it")
    raise ArgumentError(f"{got}. What is in it is shown by: nabi show {quoted(path)}")


def refuse_model(path: Path | None) -> None:
    """Refuse a file that is a model where data are expected.

    Raises:
        ArgumentError: with the command that it is for.
    """
    from nabi.errors import NabiError
    from nabi.files import read_model_file

    if path is None or path.suffix.lower() not in _MODELS or not path.is_file():
        return
    try:
        kind = read_model_file(path).kind
    except NabiError:
        return  # whoever reads it next says what is wrong
    more = suggestion(kind, path) if kind in _USES else f"What is in it is shown by: nabi show {quoted(path)}"
    raise ArgumentError(f"FILE: expected data to learn from, got {named_kind(kind)}: {path}. {more}")


def named_kind(kind: str) -> str:
    """Return what a file is, in a sentence: "a translator", "a file of kind 'weights'"."""
    return f"{_article(kind)} {kind}" if kind in _USES else f"a file of kind {kind!r}"


def _article(kind: str) -> str:
    return "an" if kind[0].lower() in _VOWELS else "a"


_DATA = {
    "a table": (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".json", ".xlsx", ".zip"),
    "a text": (".txt", ".md"),
    "tagged tokens": (".conll", ".conllu"),
    "series": (".ts", ".tsf"),
    "sequences of DNA": (".fa", ".fasta", ".fastq", ".fq"),
    "a picture": (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"),
    "a recording": (".wav", ".flac", ".ogg", ".mp3"),
    "music": (".mid", ".midi"),
}


def _data(path: str) -> str | None:
    """Return what a file of data is, by its name; None if the name does not say."""
    import os

    if os.path.isdir(path):
        return "a folder"
    name = path.lower().removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
    return next((what for what, endings in _DATA.items() if name.endswith(endings)), None)
