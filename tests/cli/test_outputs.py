"""No command replaces what it reads, nor what it did not write: every command and all its outputs."""

import inspect
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest

from nabi import layers, models
from nabi.cli import _main
from nabi.cli._outputs import Files, Results, Together, files_of
from nabi.cli._train._command import FORMS
from nabi.data import write_midi_frames
from nabi.errors import MissingFileError, OutputError
from nabi.files import write_model_file, writing_as
from nabi.recipes import RunFolder
from nabi.recipes._run._unfinished import Unfinished

COMMANDS: dict[str, Callable[..., Any]] = {
    str(one.name): one.callback for one in _main.app().registered_commands if one.callback is not None
}
# What stands for a word that a command needs; "word" where any will do.
WORDS = {"show": "lstm", "run": "hello", "bench": "lstm", "compare": "gru"}
# A command line for each kind of data of `nabi train`.
TRAINED = {
    "tags": ["table.conll"],
    "DNA": ["table.fasta", "--label-from", "name"],
    "numbers of DNA": ["table.fasta", "--target", "header"],
    "series": ["table.csv", "--id", "t", "--label", "l"],
    "numbers of series": ["table.csv", "--id", "t", "--target", "n"],
    "forecasts": ["table.csv", "--time", "t", "--target", "l"],
    "labels": ["table.csv", "--text", "t", "--label", "l"],
    "numbers": ["table.csv", "--text", "t", "--target", "n"],
    "pairs": ["table.csv", "--source", "a", "--target", "b"],
    "captions": ["pictures", "--captions", "table.csv"],
    "clips": ["pictures", "--frames"],
    "speech": [
        "pictures",
        "--label-from",
        "labels.csv",
    ],
    "sound": ["pictures", "--label-from", "name"],
    "writing": ["text.txt"],
    "music": ["music"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with files that are not models: a command that reads them would say so."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.nabi", "o.nabi", "table.csv", "table.conll", "table.fasta", "text.txt", "cell.py"):
        Path(name).write_text("mine")
    Path("labels.csv").write_text("file,text\na.wav,a text\n")
    for folder in ("pictures", "music"):
        Path(folder).mkdir()
    Path("pictures/cat.png").write_text("mine")
    write_midi_frames("music/a.mid", [[60]])
    return tmp_path


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command; `option` is empty for an argument."""

    name: str
    option: str
    required: bool
    kinds: frozenset[Any]

    @property
    def is_path(self) -> bool:
        return Path in self.kinds


def parameters(name: str) -> Iterator[Parameter]:
    for one in inspect.signature(COMMANDS[name], eval_str=True).parameters.values():
        if not get_args(one.annotation):  # the context
            continue
        kind, about, *_ = get_args(one.annotation)
        kinds = {kind, *get_args(kind), *(inner for part in get_args(kind) for inner in get_args(part))}
        option = ""
        if type(about).__name__ == "OptionInfo":
            # In an annotation, Typer takes the first name for the default.
            words = (about.default, *(about.param_decls or ()))
            said = [word for word in words if isinstance(word, str) and word.startswith("--")]
            option = said[0].partition("/")[0] if said else "--" + one.name.replace("_", "-")
        yield Parameter(one.name, option, one.default is one.empty, frozenset(kinds))


def needed(name: str) -> list[str]:
    """The arguments that a command cannot do without."""
    given = []
    files = iter(("m.nabi", "o.nabi"))
    for parameter in parameters(name):
        if parameter.required:
            value = next(files) if parameter.is_path else WORDS.get(name, "word")
            given += [parameter.option, value] if parameter.option else [value]
    return given


def choices(name: str) -> Iterator[list[str]]:
    """Each value of each option of a command that has a fixed set of them."""
    for parameter in parameters(name):
        for kind in parameter.kinds:
            if isinstance(kind, type) and issubclass(kind, Enum):
                yield from ([parameter.option, str(value.value)] for value in kind)


def lines() -> Iterator[list[str]]:
    """Command lines of every command: its arguments, with each choice, and each kind of data."""
    for name in COMMANDS:
        if name == "train":
            yield from ([name, *given] for given in TRAINED.values())
        else:
            yield from ([name, *needed(name), *choice] for choice in ([], *choices(name)))


LINES = list(lines())


class Stopped(Exception):
    """Raised in place of a check."""


def looked_into(monkeypatch: pytest.MonkeyPatch, line: list[str]) -> tuple[Files, dict[str, Any]]:
    """What a command declares, and what it would check for a command line."""
    seen: list[tuple[Files, dict[str, Any]]] = []

    def check(files: Files, said: dict[str, Any]) -> None:
        seen.append((files, said))
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Files, "check", check)
        with pytest.raises(Stopped):
            _main.main(line)
    return seen[0]


def places(output: Path | Together | Results) -> list[Path]:
    """Files that an output would write, or may."""
    if isinstance(output, Results):
        return [output.folder / "model.nabi"]
    return list(output.paths) if isinstance(output, Together) else [output]


def written(files: Files, said: dict[str, Any]) -> list[Path]:
    return [path for _, output in files.outputs(said) for path in places(output)]


def with_path(line: list[str], parameter: Parameter, path: str) -> list[str]:
    """The command line with this path for a parameter."""
    if parameter.option:
        return [*line, parameter.option, path]
    if not parameter.required:
        return [*line, path]
    arguments = [one.name for one in parameters(line[0]) if not one.option]
    place = 1 + arguments.index(parameter.name)
    return [*line[:place], path, *line[place + 1 :]]


def path_parameters(name: str) -> list[Parameter]:
    """The parameters that are paths; of `train` without the data, which stand in its lines."""
    return [one for one in parameters(name) if one.is_path and (name, one.name) != ("train", "file")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(nabi: Any, line: list[str], message: str) -> None:
    """Check that a command says in one line why it does nothing, and that it does nothing."""
    before = contents(Path())
    done = nabi(*line)
    assert (done.status, done.out) == (2, ""), line
    assert message in done.err
    assert done.err.count("\n") == 1
    assert contents(Path()) == before


# The table ---------------------------------------------------------------------------------------------


def test_there_is_a_line_for_each_kind_of_data(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(TRAINED) == {form.short for form in FORMS}
    for short, given in TRAINED.items():
        _, said = looked_into(monkeypatch, ["train", *given])
        assert next(form for form in FORMS if form.is_meant(said)).short == short


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_is_declared(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "probe.csv").write_text("mine")
    for parameter in path_parameters(name):
        assert files_of(COMMANDS[name]) is not None, f"nabi {name} does not declare its files"
        known = False
        for line in (one for one in LINES if one[0] == name):
            files, said = looked_into(monkeypatch, with_path(line, parameter, "probe.csv"))
            inputs = [path for _, path in files.inputs(said)]
            probe = Path("probe.csv")
            known |= any(path == probe or probe in path.parents for path in inputs + written(files, said))
        assert known, f"nabi {name} declares {parameter.name} neither as read nor as written"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_can_be_told_to_overwrite(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(COMMANDS[name])
    options = {parameter.name for parameter in parameters(name)}
    assert ("overwrite" in options) == (files is not None and bool(files.writes))


# Outputs and inputs ------------------------------------------------------------------------------------


def roles(line: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters of a command line that name inputs, and those that name outputs."""
    Path("probe.csv").write_text("mine")
    read, write = [], []
    for parameter in path_parameters(line[0]):
        files, said = looked_into(monkeypatch, with_path(line, parameter, "probe.csv"))
        if Path("probe.csv") in [path for _, path in files.inputs(said)]:
            read.append(parameter)
        if any(path.is_relative_to("probe.csv") for path in written(files, said)):
            write.append(parameter)
    Path("probe.csv").unlink()
    return read, write


def ids(line: list[str]) -> str:
    return " ".join(line)


WRITING = [line for line in LINES if getattr(files_of(COMMANDS[line[0]]), "writes", None)]


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("line", WRITING, ids=ids)
def test_an_input_is_never_replaced(
    nabi: Any, line: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = roles(line, monkeypatch)
    tried = 0
    for source, target in itertools.product(read, write):
        out = with_path(line, target, "w.onnx")
        for path in written(*looked_into(monkeypatch, out)):
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")
            both = with_path(out, source, str(path))
            # Another input can change which files are written, so those beside OUT are not always there.
            if path in written(*looked_into(monkeypatch, both)):
                refused(nabi, [*both, "--overwrite"], f"{path} would overwrite ".replace(str(path), ""))
                refused(nabi, both, "; choose another ")
                tried += 1
            path.unlink()
            if path.parent == Path("w.onnx"):  # where the target is a folder
                path.parent.rmdir()
    assert tried or not (read and write)


SPELLED = ("table.csv", "./pictures/../table.csv", "link.csv", "hard.csv")


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize(
    "line", [["predict", "m.nabi"], ["evaluate", "m.nabi", "table.csv"], TRAINED["labels"]], ids=ids
)
def test_an_input_is_known_by_whatever_name(nabi: Any, line: list[str], place: Path, spelled: str) -> None:
    Path("link.csv").symlink_to("table.csv")
    os.link("table.csv", "hard.csv")
    line = ["train", *line] if line[0] == "table.csv" else line
    line = [*line, "--file", "table.csv"] if line[0] == "predict" else line
    refused(nabi, [*line, "--out", spelled, "--overwrite"], "would overwrite ")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (["train", *TRAINED["captions"], "--out", "pictures/cat.png"], "a picture"),
        (["train", *TRAINED["clips"], "--out", "pictures/cat.nabi"], "the clips"),
        (["train", *TRAINED["speech"], "--out", "labels.csv"], "the labels"),
        (["train", *TRAINED["writing"], "--out", "text.txt"], "the text"),
        (["train", "table.fasta", "--base-labels", "table.csv", "--out", "table.csv"], "--base-labels"),
        (["train", *TRAINED["labels"], "--cell", "gru", "--cell", "cell.py:A", "--out", "cell.py"], "a cell"),
        (["export", "m.nabi", "--cell", "cell.py:Mine", "--out", "cell.py"], "the file of a cell"),
        (["show", "cell.py:Mine", "--as", "latex", "--out", "cell.py"], "the file of a cell"),
        (["show", "./m.nabi", "--out", "m.nabi"], "FILE"),
        (["predict", "m.nabi", "one text", "table.csv", "--out", "table.csv"], "FILE"),
        (["caption", "m.nabi", "table.csv", "pictures/cat.png", "--attention", "pictures/cat.png"], "IMAGE"),
    ],
    ids=lambda value: " ".join(value),
)
def test_files_in_folders_and_in_words_are_inputs(nabi: Any, place: Path, line: list[str], what: str) -> None:
    refused(nabi, [*line, "--overwrite"], what)
    refused(nabi, [*line, "--overwrite"], "would overwrite ")


def test_an_input_that_is_missing_is_named_whatever_its_ending(nabi: Any, place: Path) -> None:
    for name in ("none", "none.csv", "none.txt", "none.xyz", "none.csv.gz", "folder/none"):
        for line in (
            *(["train", name], ["train", name, "--text", "t", "--label", "l"], ["train", name, "--frames"]),
            *(
                ["predict", "m.nabi", "--file", name],
                ["evaluate", "m.nabi", name],
                ["caption", "m.nabi", name],
            ),
            *(["predict", name, "a text"], ["write", name], ["quantize", name], ["export", name]),
            *(["convert", name, "x.onnx"], ["forecast", "m.nabi", "--file", name], ["watch", name]),
        ):
            refused(nabi, line, f"file {name}")


# What is there already ---------------------------------------------------------------------------------


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("line", WRITING, ids=ids)
def test_a_file_of_somebody_else_is_kept_side_files_too(
    nabi: Any, line: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, write = roles(line, monkeypatch)
    assert write
    for given in (line, *(with_path(line, target, "w.onnx") for target in write)):
        files, said = looked_into(monkeypatch, given)
        for path in written(files, said):
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text("mine")
            with pytest.raises(OutputError, match=r"exists and was not written by|not from an earlier run"):
                files.check(said)
            files.check({**said, "overwrite": True})
            if path == written(files, said)[-1]:
                refused(nabi, given, ", or pass --overwrite")
            path.unlink()
            if given != line and path.parent != Path():
                path.parent.rmdir()
        files.check(said)


def checks(command: str, *paths: str, overwrite: bool = False) -> None:
    Files(command, {}, {"--out": lambda _: map(Path, paths)}).check({"overwrite": overwrite})


def test_a_command_replaces_its_own_pictures_and_no_others(nabi: Any, place: Path) -> None:
    show = ["show", "gru", "--as", "picture", "--steps", 2, "--out"]
    for name in ("x.svg", "x.png"):
        for _ in range(2):
            assert nabi(*show, name).status == 0
        with pytest.raises(OutputError, match=r"exists and was not written by nabi explain"):
            checks("explain", name)
        (place / name).write_text("mine")
        assert nabi(*show, name).status == 2
        assert nabi(*show, name, "--overwrite").status == 0
        assert (place / name).read_bytes() != b"mine"


def test_figures_and_music_are_known_by_their_marks(place: Path) -> None:
    (place / "x.json").write_text(json.dumps({"written_by": "nabi train", "report": {}}, indent=2))
    checks("train", "x.json")
    with pytest.raises(OutputError, match="not written by nabi evaluate"):
        checks("evaluate", "x.json")
    with writing_as("nabi compose"):
        write_midi_frames(place / "x.mid", [[60]])
    checks("compose", "x.mid")
    write_midi_frames(place / "x.mid", [[60]])
    with pytest.raises(OutputError, match="not written by nabi compose"):
        checks("compose", "x.mid")


def test_a_model_is_replaced_only_by_the_training_that_goes_on(place: Path) -> None:
    write_model_file("x.nabi", "translator", {}, {})
    for command in ("train", "convert", "quantize", "export", "compose"):
        with pytest.raises(OutputError, match=r"x\.nabi (is a model|exists and was not written by)"):
            checks(command, "x.nabi")
        checks(command, "x.nabi", overwrite=True)
    Path("x.training").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.nabi is a model"):
        checks("train", "x.nabi", "x.training")
    write_model_file("x.training", "translator training", {}, {})
    checks("train", "x.nabi", "x.training")
    Path("x.nabi").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.nabi exists"):
        checks("train", "x.nabi", "x.training")


def test_what_is_made_from_a_model_is_made_again(nabi: Any, place: Path) -> None:
    models.Sequential([layers.GRU(2, input_shape=(None, 1)), layers.Dense(1)]).save("m.nabi")
    for line in (["export", "m.nabi"], ["export", "m.nabi", "--to", "c"], ["quantize", "m.nabi"]):
        for _ in range(2):
            done = nabi(*line)
            assert (done.status, done.err) == (0, "")
    refused(nabi, ["quantize", "m.int8.nabi", "--out", "m.nabi"], "m.nabi exists and was not written by nabi")
    Path("m/m.h").write_text("mine")
    Path("m/m.c").unlink()
    Path("m/m_example.c").unlink()
    refused(nabi, ["export", "m.nabi", "--to", "c"], "m.h exists and was not written by nabi export")


def test_two_outputs_are_two_files(place: Path) -> None:
    for one, other in (("x.png", str(place / "x.png")), ("x.json", "pictures/../x.json")):
        with pytest.raises(OutputError, match=r"--out: .*would be written twice"):
            checks("evaluate", one, other)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_not_a_regular_file_is_not_replaced(place: Path) -> None:
    os.mkfifo(place / "pipe.csv")
    for path in ("pipe.csv", os.devnull):
        with pytest.raises(OutputError, match="it is not a regular file"):
            checks("predict", path, overwrite=True)
    with pytest.raises(OutputError, match="expected a file name, got a folder"):
        checks("predict", "pictures", overwrite=True)


# Folders of results ------------------------------------------------------------------------------------


def check_folder(folder: Path, **said: Any) -> None:
    results = Results(folder, '"recipe": "song"')
    Files("run", {"--data": "data"}, {"--out": lambda _: results}).check({"data": None, **said})


def test_a_folder_of_results_holds_nothing_else(nabi: Any, place: Path) -> None:
    refused(nabi, ["run", "hello", "--epochs", "1", "--out", "pictures"], "such as cat.png")
    Path("runs/hello").mkdir(parents=True)
    Path("runs/hello/notes.txt").write_text("mine")
    refused(nabi, ["run", "hello", "--epochs", "1"], "such as notes.txt")
    for _ in range(2):
        assert nabi("run", "hello", "--epochs", 1, "--out", "new").status == 0
    refused(nabi, ["run", "numbers", "--epochs", "1", "--out", "new"], "such as result.json")
    check_folder(place / "nowhere")
    check_folder(place / "pictures", overwrite=True)
    with pytest.raises(OutputError, match="pictures would overwrite --data"):
        check_folder(place / "pictures", data=Path("pictures/cat.png"), overwrite=True)


def test_a_folder_of_an_unfinished_run_can_be_gone_on_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    write_model_file(folder / "song.nabi", "translator", {}, {})
    with pytest.raises(OutputError, match=r"such as song\.nabi"):
        check_folder(folder.path)
    Unfinished(folder)
    folder.write_json("folds.json", {"written_by": "nabi run", "of": "", "folds": []})
    check_folder(folder.path)
    folder.write_text("mine.txt", "something of the user")
    with pytest.raises(OutputError, match=r"such as mine\.txt"):
        check_folder(folder.path)


def test_standard_input_is_no_file(place: Path) -> None:
    files = Files("predict", {"--file": "file"}, {})
    files.check({"file": Path("-")})
    with pytest.raises(MissingFileError, match="--file: there is no file none"):
        files.check({"file": Path("none")})
