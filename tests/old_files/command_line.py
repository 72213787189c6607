"""Old files in the hands of the command `nabi`: asked, and trainings that go on from a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from nabi import LanguageModel, Translator
from nabi.data import read_midi_frames

from . import own_objects
from .old_file import OldFile, StopAfter, run_nabi
from .task_models import GRAY, SOURCES, TARGETS, TEXT, ask_language, ask_translator, write_table

OWN_CELL = f"{own_objects.__file__}:MinimalGatedUnit"


def _predict_table(file: Path) -> str:
    table = write_table(file.with_name("table.csv"))
    return run_nabi("predict", file, "--file", table) + run_nabi("evaluate", file, table)


def _caption(file: Path) -> str:
    picture = file.with_name("picture.png")
    Image.fromarray(GRAY).save(picture)
    return run_nabi("caption", file, picture, "--best", 2)


def _compose(file: Path) -> list[Any]:
    music = file.with_name("music.mid")
    run_nabi("compose", file, "--bars", 2, "--label", "b", "--out", music)
    return [list(frame) for frame in read_midi_frames(music, 1).frames]


ASKED: dict[str, Callable[[Path], Any]] = {
    "classifier": lambda file: run_nabi("predict", file, "a good film", "so bad", "--top", 2),
    "classifier of aspects": lambda file: run_nabi("predict", file, "good food", "--aspect", "food"),
    "classifier of characters": lambda file: run_nabi("explain", file, "a good film"),
    "classifier of own cell": lambda file: run_nabi("predict", file, "a good film", "--cell", OWN_CELL),
    "classifier of a table": _predict_table,
    "language of lstm": lambda file: run_nabi("write", file, "--start", "the ", "--length", 9, "--seed", 3),
    "language of words": lambda file: run_nabi("next", file, "the cat sat", "-n", 3),
    "language of own cell": lambda file: run_nabi("write", file, "--length", 9, "--cell", OWN_CELL),
    "notes of labels": _compose,
    "translator of bahdanau": lambda file: run_nabi("translate", file, "one two", "two", "--json"),
    "translator of own cell": lambda file: run_nabi("translate", file, "one two", "--cell", OWN_CELL),
    "captioner": _caption,
}
"""By the name of a file: what the command is asked of it."""


def _training_of_a_text() -> OldFile:
    """`nabi train FILE.txt`, stopped and called again."""
    settings = {"units": 4, "embedding_size": 3, "epochs": 2, "window": 8, "batch_size": 4}

    def train(folder: Path) -> tuple[str, Any]:
        (folder / "tale.txt").write_text(TEXT)
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        printed = run_nabi("train", folder / "tale.txt", *options, "--out", folder / "tale.nabi")
        return printed, ask_language(LanguageModel.load(folder / "tale.nabi"))

    def stop(path: Path, folder: Path) -> None:
        (folder / "tale.txt").write_text(TEXT)
        model = LanguageModel(**settings)
        model.fit(folder / "tale.txt", checkpoint=path, verbose=0, callbacks=StopAfter(10))

    return _training("tale.training", train, stop)


def _training_of_pairs() -> OldFile:
    """`nabi train PAIRS.tsv`, stopped and called again; a table of its own is for validation."""
    settings = {"units": 4, "embedding_size": 4, "epochs": 2, "vocabulary_size": 20, "attention": "bahdanau"}

    def write_pairs(folder: Path) -> list[Path]:
        lines = [f"{source}\t{target}" for source, target in zip(SOURCES, TARGETS, strict=True)]
        paths = [folder / name for name in ("pairs.tsv", "validation.tsv", "test.tsv")]
        for path, part in zip(paths, (lines[:12], lines[12:15], lines[15:]), strict=True):
            path.write_text("\n".join([*part, ""]))
        return paths

    def train(folder: Path) -> tuple[str, Any]:
        pairs, validation, test = write_pairs(folder)
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        held_out = ["--validation", validation, "--test", test]
        columns = ["--source", 0, "--target", 1]
        printed = run_nabi("train", pairs, *columns, *held_out, *options, "--out", folder / "pairs.nabi")
        return printed, ask_translator(Translator.load(folder / "pairs.nabi"))

    def stop(path: Path, folder: Path) -> None:
        given = {"validation": (SOURCES[12:15], TARGETS[12:15])}
        stopping = {"checkpoint": path, "verbose": 0, "callbacks": StopAfter(1)}
        Translator(**settings).fit(SOURCES[:12], TARGETS[:12], **given, **stopping)

    return _training("pairs.training", train, stop)


def _training(
    name: str, train: Callable[[Path], tuple[str, Any]], stop: Callable[[Path, Path], None]
) -> OldFile:
    def write(path: Path) -> Any:
        import tempfile

        with tempfile.TemporaryDirectory() as place:
            stop(path, Path(place))
            assert path.exists()
            return train(Path(place))[1]

    def read(path: Path) -> Any:
        checkpoint = path.rename(path.with_name(name))
        printed, answer = train(path.parent)
        assert f"going on from {checkpoint}" in printed
        assert not checkpoint.exists()
        return answer

    return OldFile(write, read)


FILES: dict[str, OldFile] = {
    "nabi train of a text": _training_of_a_text(),
    "nabi train of pairs": _training_of_pairs(),
}
