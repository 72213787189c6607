"""No command replaces what it reads, nor what nabi did not write."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import typer

from nabi.cli import _main
from nabi.cli._outputs import check_outputs, check_run_folder
from nabi.data import write_midi_frames
from nabi.errors import OutputError
from nabi.recipes import RunFolder
from nabi.recipes._run._unfinished import Unfinished

OUTPUTS = ("out", "attention", "picture")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files that are not models: a command that reads them would say so."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.nabi", "table.csv", "table.jsonl", "text.txt", "cell.py", "image.png", "music.mid"):
        Path(name).write_text("mine")
    Path("pictures").mkdir()
    Path("pictures/cat.png").write_text("mine")
    Path("link.csv").symlink_to("table.csv")
    Path("link.png").symlink_to("pictures/cat.png")
    os.link("table.csv", "hard.csv")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


PREDICT = ["predict", "m.nabi", "--file"]
TRAIN = ["train", "table.csv", "--text", "t", "--label", "l"]
PAIRS = ["train", "table.csv", "--source", "a", "--target", "b"]
CAPTIONS = ["train", "pictures", "--captions", "table.csv"]
FORECASTS = ["train", "table.csv", "--time", "t", "--target", "l"]
SERIES = ["train", "table.csv", "--id", "t", "--label", "l"]
CLIPS = ["train", "pictures", "--frames"]
SOUND = ["train", "pictures", "--label-from", "name"]
REFUSED = [
    ([*PREDICT, "table.csv", "--out", "table.csv"], "--file"),
    ([*PREDICT, "table.csv", "--out", "./pictures/../table.csv"], "--file"),
    ([*PREDICT, "table.csv", "--out", "link.csv"], "--file"),
    ([*PREDICT, "link.csv", "--out", "table.csv"], "--file"),
    ([*PREDICT, "table.csv", "--out", "hard.csv"], "--file"),
    ([*PREDICT, "table.jsonl", "--out", "table.jsonl"], "--file"),
    (["evaluate", "m.nabi", "table.csv", "--out", "table.csv"], "FILE"),
    (["evaluate", "m.nabi", "table.csv", "--out", "m.nabi"], "MODEL"),
    (["evaluate", "image.png", "table.csv", "--picture", "image.png"], "MODEL"),
    (["explain", "image.png", "a text", "--out", "image.png"], "MODEL"),
    (["caption", "m.nabi", "image.png", "--attention", "image.png"], "IMAGE"),
    (["caption", "m.nabi", "pictures/cat.png", "image.png", "--attention", "link.png"], "IMAGE"),
    (["translate", "image.png", "a text", "--attention", "image.png"], "MODEL"),
    (["compose", "m.nabi", "--primer", "music.mid", "--out", "music.mid"], "the primer"),
    (["show", "cell.py:Mine", "--as", "latex", "--out", "cell.py"], "CELL"),
    (["show", "m.nabi", "--out", "m.nabi"], "FILE"),
    (["convert", "m.nabi", "m.nabi"], "IN"),
    (["convert", "table.csv", "link.csv"], "IN"),
    ([*TRAIN, "--out", "table.csv"], "the data"),
    ([*TRAIN, "--test", "table.jsonl", "--out", "table.jsonl"], "--test"),
    ([*TRAIN, "--cell", "cell.py:Mine", "--out", "cell.py"], "the file of a cell"),
    ([*PAIRS, "--out", "link.csv"], "the data"),
    ([*CAPTIONS, "--out", "table.csv"], "the captions"),
    ([*CAPTIONS, "--out", "pictures/cat.nabi"], "a picture"),
    (["train", "text.txt", "--out", "text.txt"], "the text"),
    (["forecast", "m.nabi", "--file", "table.csv", "--out", "table.csv"], "--file"),
    (["forecast", "image.png", "--picture", "image.png"], "MODEL"),
    ([*FORECASTS, "--out", "table.csv"], "the observations"),
    ([*SERIES, "--out", "link.csv"], "the data"),
    ([*CLIPS, "--out", "pictures/cat.nabi"], "the clips"),
    ([*SOUND, "--out", "pictures/cat.png"], "a recording"),
    (["compare", "gru", "--task", "table.csv", "--text", "t", "--label", "l", "--out", "."], "--task"),
    (["export", "m.nabi", "--out", "m.nabi"], "MODEL"),
    (["export", "m.nabi", "--cell", "cell.py:Mine", "--out", "cell.py"], "--cell"),
    (["quantize", "m.nabi", "--out", "m.nabi"], "MODEL"),
    (["quantize", "m.nabi", "--file", "table.csv", "--out", "link.csv"], "--file"),
]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("arguments", "what"), REFUSED, ids=lambda value: " ".join(value))
def test_an_input_is_never_replaced(
    nabi: Any, place: Path, arguments: list[str], what: str, overwrite: bool
) -> None:
    before = contents(place)
    done = nabi(*arguments, *(["--overwrite"] if overwrite else []))
    assert (done.status, done.out) == (2, "")
    assert f"would overwrite {what}; choose another name" in done.err
    assert done.err.count("\n") == 1
    assert contents(place) == before


EXISTING = [
    (["evaluate", "m.nabi", "table.csv", "--out", "x.json"], "x.json"),
    (["evaluate", "m.nabi", "table.csv", "--picture", "x.png"], "x.png"),
    (["explain", "m.nabi", "a text", "--out", "x.svg"], "x.svg"),
    (["caption", "m.nabi", "image.png", "--attention", "x.png"], "x.png"),
    (["translate", "m.nabi", "a text", "--attention", "x.png"], "x.png"),
    (["compose", "m.nabi", "--out", "x.mid"], "x.mid"),
    (["compose", "m.nabi", "--out", "x.mid"], "x.png"),
    (["show", "lstm", "--as", "picture", "--out", "x.svg"], "x.svg"),
    (["show", "lstm", "--as", "picture"], "lstm.svg"),
    (["show", "lstm", "--as", "latex", "--out", "x.tex"], "x.tex"),
    (["show", "m.nabi", "--out", "x.txt"], "x.txt"),
    (["convert", "m.nabi", "x.safetensors"], "x.safetensors"),
    (["convert", "m.nabi", "x.onnx"], "x.json"),
    ([*PREDICT, "table.csv", "--out", "x.csv"], "x.csv"),
    (["forecast", "m.nabi", "--out", "x.csv"], "x.csv"),
    (["forecast", "m.nabi", "--reading", "x.png"], "x.png"),
    (["export", "m.nabi"], "m.onnx"),
    (["quantize", "m.nabi"], "m.int8.nabi"),
    (["quantize", "m.nabi", "--weights", "float16", "--out", "x.nabi"], "x.nabi"),
    (["export", "m.nabi", "--to", "onnx", "--out", "x.onnx"], "x.onnx"),
    (["export", "m.nabi", "--out", "x.onnx"], "x.json"),
    *(
        ([*form, "--out", "x.nabi"], f"x{suffix}")
        for form in (
            *(TRAIN, PAIRS, CAPTIONS, FORECASTS, SERIES, CLIPS, SOUND),
            *(["train", "text.txt"], ["train", "pictures"]),
        )
        for suffix in (".nabi", ".json", *([".png"] if form in (TRAIN, CAPTIONS) else [".training"]))
    ),
]


@pytest.mark.parametrize(("arguments", "existing"), EXISTING, ids=lambda value: "".join(value))
def test_a_file_of_somebody_else_is_kept_side_files_too(
    nabi: Any, place: Path, arguments: list[str], existing: str
) -> None:
    if arguments[:2] == ["train", "pictures"] and "--captions" not in arguments:
        write_midi_frames(place / "pictures" / "a.mid", [[60]])
    (place / existing).write_text("mine")
    before = contents(place)
    done = nabi(*arguments)
    assert (done.status, done.out) == (2, "")
    assert (
        f"{existing} exists and was not written by nabi; choose another name, or pass --overwrite" in done.err
    )
    assert contents(place) == before


def test_a_picture_of_nabi_is_replaced_and_another_with_overwrite(nabi: Any, place: Path) -> None:
    show = ["show", "gru", "--as", "picture", "--steps", 2, "--out"]
    for name in ("x.svg", "x.png"):
        for _ in range(2):
            assert nabi(*show, name).status == 0
        (place / name).write_text("mine")
        assert nabi(*show, name).status == 2
        assert nabi(*show, name, "--overwrite").status == 0
        assert (place / name).read_bytes() != b"mine"


def test_figures_and_music_of_nabi_are_known_by_their_marks(place: Path) -> None:
    (place / "x.json").write_text(json.dumps({"written_by": "nabi train", "report": {}}, indent=2))
    write_midi_frames(place / "x.mid", [[60]])
    check_outputs({"--out": [place / "x.json", place / "x.mid"]}, {})


def test_two_outputs_are_two_files(place: Path) -> None:
    with pytest.raises(OutputError, match=r"--picture: .*x\.png would be written twice"):
        check_outputs({"--out": Path("x.png"), "--picture": place / "x.png"}, {})
    with pytest.raises(OutputError, match="would be written twice"):
        check_outputs({"--out": [place / "x.json", (place / "x.json").with_suffix(".json")]}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_not_a_regular_file_is_not_replaced(place: Path) -> None:
    os.mkfifo(place / "pipe.csv")
    for path in (place / "pipe.csv", Path(os.devnull)):
        with pytest.raises(OutputError, match="it is not a regular file"):
            check_outputs({"--out": path}, {}, overwrite=True)


def test_a_folder_of_results_holds_nothing_else(nabi: Any, place: Path) -> None:
    done = nabi("run", "hello", "--epochs", 1, "--out", "pictures")
    assert (done.status, done.out) == (2, "")
    assert "pictures has files that are not from an earlier run, such as cat.png" in done.err
    done = nabi("compare", "gru", "--out", "pictures")
    assert done.status == 2
    assert "pictures has files that are not from an earlier run, such as cat.png" in done.err
    for _ in range(2):
        assert nabi("run", "hello", "--epochs", 1, "--out", "new").status == 0
    check_run_folder(place / "new")
    check_run_folder(place / "nowhere")
    check_run_folder(place / "pictures", overwrite=True)


def test_a_folder_of_an_unfinished_run_can_be_gone_on_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    Unfinished(folder)
    folder.write_json("folds.json", {"written_by": "nabi run", "of": "", "folds": []})
    check_run_folder(folder.path)
    folder.write_text("mine.txt", "something of the user")
    with pytest.raises(OutputError, match=r"such as mine\.txt"):
        check_run_folder(folder.path)


def test_every_command_that_writes_has_the_rule() -> None:
    group = typer.main.get_command(_main.app())
    commands = group.commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        options = {parameter.name for parameter in command.params}
        if options & set(OUTPUTS) and name != "next":
            assert "overwrite" in options, f"nabi {name} writes a file and does not know --overwrite"
            tried = [arguments for arguments, _ in (*REFUSED, *EXISTING) if arguments[0] == name]
            assert tried or name == "run", f"nabi {name} is not tried here"
