"""The notebooks are what their sources say, and run from start to end; their exercises can be solved."""

import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import pytest

from .rotation import everything

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
HANGUL = re.compile("[가-힣]")
# Names and numerals may be the subject of an English notebook; sentences are not.
KOREAN_PHRASE = re.compile("[가-힣]{2,} [가-힣]+ [가-힣]+")
# What the test does less of, as no exercise depends on it. Where trainings lead is in the stored outputs,
# from which the table of claims takes its figures. Nothing is shorter when everything is tested.
SHORTER = {
    "cells-and-the-song": {
        "range(1, 2001)": "range(1, 3)",
        "epochs=2000": "epochs=2",
        "[True, False] * 1200": "[True, False] * 60",
        "epochs=14": "epochs=1",
        "[0, 2, 5, 10, 20, 30, 50, 100, 150, 200]": "[0, 30]",
        "picture.unrolled(program, 3,": "picture.unrolled(program, 1,",
    },
    "hello-from-scratch": {},  # short as it is, and an exercise asks what comes of its training
    "lstm-gru-and-deep-networks": {
        "range(8)": "range(1)",
        "range(1, 7)": "range(1, 2)",
        "epochs=6": "epochs=1",
        "epochs=2": "epochs=1",
        "epochs=4": "epochs=1",
    },
    "networks-at-work": {
        "epochs=20,": "epochs=1,",
        "epochs=8,": "epochs=1,",
        "epochs=40,": "epochs=10,",
        "epochs=25": "epochs=1",
        "epochs=24,": "epochs=1,",
        "genes.make(400": "genes.make(60",
        "seed in range(20)": "seed in range(2)",
    },
    "recurrent-networks-with-keras": {
        "epochs=1000": "epochs=1",
        "epochs=600": "epochs=1",
        "epochs=20,": "epochs=1,",
    },
    "static-and-dynamic-unrolling": {
        "[10, 50, 100, 200, 400]": "[10, 50]",
        "[200, 1000]": "[200]",
        "range(2), [200]": "range(1), [200]",
        "np.arange(2)": "np.arange(1)",
        "epochs=150": "epochs=1",
        "epochs=10,": "epochs=1,",
        "epochs=12,": "epochs=1,",
        "epochs=80,": "epochs=1,",
    },
}


def shortened(cells: list[Any], name: str) -> list[Any]:
    """The same cells with less training."""
    for long, short in SHORTER[name].items():
        assert any(long in cell.text for cell in cells), long
        cells = [
            cell if cell.kind == "text" else replace(cell, text=cell.text.replace(long, short))
            for cell in cells
        ]
    return cells


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # which dataclasses ask for
    spec.loader.exec_module(module)
    return module


source = loaded(FOLDER / "notebook_source.py")
claims = loaded(FOLDER / "claims.py")
NOTEBOOKS = [(path, language) for path in source.SOURCES for language in source.LANGUAGES]
each_notebook = pytest.mark.parametrize(
    ("path", "language"), NOTEBOOKS, ids=[source.file_name(*one) for one in NOTEBOOKS]
)


def notebook(path: Path, language: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / source.file_name(path, language)).read_text("utf-8"))
    return read


def run(cells: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each code cell prints."""
    monkeypatch.chdir(folder)
    matplotlib.use("agg")
    from matplotlib import pyplot

    drawn: list[int] = []

    def show() -> None:
        figure = pyplot.gcf()
        figure.canvas.draw()
        drawn.append(figure.number)
        pyplot.close(figure)

    monkeypatch.setattr(pyplot, "show", show)
    if importlib.util.find_spec("IPython") is None:
        # Jupyter brings it along. Of what it shows beside pictures, nothing is read here.
        shown = ModuleType("IPython.display")
        shown.HTML = shown.Math = shown.display = str  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", shown)
    defined: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    with matplotlib.rc_context():
        for cell in cells:
            if cell.kind != "text":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(cell.text, "cell", "exec"), defined)
                printed.append(out.getvalue())
    assert drawn
    return printed


@pytest.fixture
def without_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without data sets and network, unless everything is to be tested."""
    from nabi.data._data_sets import _sources
    from nabi.errors import MissingFileError

    def refuse(*_: object) -> None:
        raise MissingFileError("there is no network")

    if not everything():
        nowhere = tmp_path_factory.mktemp("nowhere")
        monkeypatch.setenv("NABI_DATA", str(nowhere))
        monkeypatch.setattr(_sources, "data_folder", lambda: nowhere)
        monkeypatch.setattr(_sources, "fetch", refuse)


# Both languages run the same code; the words in it differ.
@pytest.mark.rotates(days=10)
@pytest.mark.usefixtures("without_data")
@each_notebook
def test_solved_exercises_are_right(
    path: Path, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = source.cells_of(path, language)
    solved = source.with_solutions(cells)
    solved = solved if everything() else shortened(solved, path.stem)
    printed = "".join(run(solved, tmp_path, monkeypatch))
    assert printed.count("✔") == sum(cell.kind == "exercise" for cell in cells) >= 3
    assert "✘" not in printed


@each_notebook
def test_a_notebook_is_made_of_its_source(path: Path, language: str) -> None:
    found = [
        ("".join(cell["source"]), cell["cell_type"], cell["metadata"].get("tags", []))
        for cell in notebook(path, language)["cells"]
    ]
    assert found == [
        (cell.text, "markdown" if cell.kind == "text" else "code", cell.tags)
        for cell in source.cells_of(path, language)
    ], "run notebooks/build.py"


@each_notebook
def test_a_notebook_has_the_outputs_of_a_run_without_errors(path: Path, language: str) -> None:
    cells = [cell for cell in notebook(path, language)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} == {"stdout"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    written = "".join("".join(output.get("text", "")) for output in outputs)
    assert written.count("No answer yet") + written.count("아직 답이 없습니다") == len(
        [cell for cell in cells if "exercise" in cell["metadata"].get("tags", ())]
    )
    assert "✔" not in written  # the reader's to find
    assert "made texts take its place" not in written
    assert "만든 글을 씁니다" not in written
    assert not re.search(r"/(tmp|root|home|work)/", written)


@each_notebook
def test_pictures_have_an_alternative_text(path: Path, language: str) -> None:
    outputs = [output for cell in notebook(path, language)["cells"] for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    texts = [picture["metadata"]["image/png"]["alt"] for picture in pictures]
    assert len(texts) >= 2
    assert all(len(text) > 40 and bool(HANGUL.search(text)) == (language == "ko") for text in texts)
    sounds = re.findall(
        r"<audio[^>]*>", "".join("".join(output.get("data", {}).get("text/html", "")) for output in outputs)
    )
    assert all("controls" in sound and re.search('aria-label="[^"]+"', sound) for sound in sounds)
    assert len(sounds) == (3 if path.stem == "cells-and-the-song" else 0)


def test_the_table_of_claims_has_the_figures_of_the_notebooks_and_pages() -> None:
    assert claims.PAGE.read_text("utf-8") == claims.page(), "run python notebooks/claims.py"


def test_a_claim_whose_figure_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected the figure of 'nothing'"):
        claims.row(claims.Claim("nothing", "music.md", "no such (figure)"))


@each_notebook
def test_the_text_is_in_one_language(path: Path, language: str) -> None:
    texts = [cell.text for cell in source.cells_of(path, language)]
    assert not any("⟦" in text or "⟧" in text for text in texts)
    prose = [text for text in texts if len(text) > 60]
    if language == "en":
        assert not any(KOREAN_PHRASE.search(text) for text in prose)
    else:
        assert any(HANGUL.search(text) for text in prose)


@each_notebook
def test_links_lead_somewhere(path: Path, language: str) -> None:
    texts = [cell.text for cell in source.cells_of(path, language) if cell.kind == "text"]
    targets = [target for text in texts for target in re.findall(r"\]\(([^)#]+)\)", text)]
    assert targets
    assert [target for target in targets if not (FOLDER / target).exists()] == []


@each_notebook
def test_without_nabi_the_first_cell_says_what_to_do(path: Path, language: str, tmp_path: Path) -> None:
    first = next(cell.text for cell in source.cells_of(path, language) if cell.kind == "code")
    # -S: without the folder of installed packages.
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", first], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "pip install PATH_TO_NABI" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert bool(HANGUL.search(ended.stderr)) == (language == "ko")


@pytest.mark.rotates(days=20)
@pytest.mark.parametrize("name", [path.stem for path in source.SOURCES])
@pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in ("nbclient", "ipykernel")),
    reason="there is no kernel for notebooks: pip install -e '.[notebooks]'",
)
def test_a_newcomer_sees_a_picture(name: str) -> None:
    command = [sys.executable, ROOT / "scripts" / "newcomer.py", "--here", "--most", "1000", "--notebook"]
    ended = subprocess.run([*command, name], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    parts = re.findall(r"^ +(\d+\.\d) s  (.+)$", ended.stdout, re.MULTILINE)
    assert [what for _, what in parts][:2] == ["start of the kernel", "cell 2: import importlib.util"]
    assert "the first picture" in parts[-2][1]
    *seconds, needed = (float(number) for number, _ in parts)
    assert sum(seconds) == pytest.approx(needed, abs=0.05 * len(parts))


def test_a_newcomer_is_told_that_there_is_no_such_notebook() -> None:
    newcomer = ROOT / "scripts" / "newcomer.py"
    named = [sys.executable, newcomer, "--here", "--notebook", "nothing"]
    ended = subprocess.run(named, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no notebooks/nothing.ipynb" in ended.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("print(1)\n", "expected '=== KIND' in its first line"),
        ("=== picture\n", "expected one of"),
        ("=== text\n--- en\nHello.\n", "expected the languages"),
        ("=== exercise\nanswer = None\n", "expected a solution in an exercise"),
        ("=== code\nplt.show()\n", "expected a text for each picture"),
        ("=== code\n1\n--- solution\n2\n", "expected a solution in an exercise"),
    ],
)
def test_a_source_with_a_fault_is_refused(text: str, message: str, tmp_path: Path) -> None:
    written = tmp_path / "source.txt"
    written.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        source.cells_of(written, "en")
