"""`nabi export --to wasm` and `--to web`."""

from pathlib import Path
from typing import Any

import pytest

from nabi import layers, models


@pytest.fixture
def model(tmp_path: Path) -> Path:
    stack = [layers.GRU(3, input_shape=(None, 1), return_sequences=True), layers.Dense(1)]
    path = tmp_path / "my waves.nabi"
    models.Sequential(stack).save(path)
    return path


def test_a_module_is_written_beside_the_model(nabi: Any, model: Path) -> None:
    done = nabi("export", model, "--to", "wasm", "--no-simd")
    assert (done.status, done.err) == (0, "")
    folder = model.with_suffix("")
    names = {"my_waves.mjs", "my_waves.wasm", "my_waves.d.ts", "my_waves-worklet.js"}
    assert {path.name for path in folder.iterdir()} == names
    assert nabi("export", model, "--to", "wasm").status == 0  # its own files are replaced


def test_a_page_is_written_with_the_title_of_the_file(nabi: Any, model: Path, tmp_path: Path) -> None:
    done = nabi("export", model, "--to", "web", "--out", tmp_path / "page")
    assert (done.status, done.err) == (0, "")
    assert "<title>my waves</title>" in (tmp_path / "page" / "index.html").read_text("utf-8")
    assert nabi("export", model, "--to", "web", "--out", tmp_path / "page", "--name", "Waves").status == 0
    assert "<title>Waves</title>" in (tmp_path / "page" / "index.html").read_text("utf-8")


def test_files_of_others_and_options_of_other_formats_are_refused(
    nabi: Any, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("mine")
    done = nabi("export", model, "--to", "web", "--out", tmp_path / "page")
    assert done.status != 0
    assert "index.html" in done.err
    assert (tmp_path / "page" / "index.html").read_text() == "mine"
    for options in (["--to", "web", "--no-simd"], ["--to", "wasm", "--opset", "17"], ["--no-simd"]):
        done = nabi("export", model, *options, "--out", tmp_path / "other")
        assert done.status != 0
        assert "expected no such option with --to" in done.err
    assert not (tmp_path / "other").exists()
