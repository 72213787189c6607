"""Keras' own tests of recurrent layers, from the installed wheel, run against nabi's layers."""

import importlib.util
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

import nabi

SHIM = Path(__file__).parent / "keras_shim"

INTERNALS = "asks Keras' own internals which kernel they would use"
NO_GPU = "skips itself: it needs a CUDA device and looks for calls of torch's own kernel"
NOT_PASSED = {
    "bidirectional_test.SimpleRNNTest.test_fused_gru_eligibility": INTERNALS,
    "bidirectional_test.SimpleRNNTest.test_fused_lstm_eligibility": INTERNALS,
    "bidirectional_test.SimpleRNNTest.test_torch_cudnn_bidirectional_gru_dispatch_fires": NO_GPU,
    "gru_test.GRUTest.test_stateful_with_symbolic_batch_size": "skips itself: it is for TensorFlow's graphs",
    "gru_test.GRUTest.test_torch_cudnn_dispatch_fires": NO_GPU,
}


def keras_tests() -> list[Path]:
    """Find the test files without importing keras."""
    specification = importlib.util.find_spec("keras")
    assert specification is not None
    assert specification.submodule_search_locations is not None
    folder = Path(specification.submodule_search_locations[0]) / "src" / "layers" / "rnn"
    return sorted(folder.glob("*_test.py"))


@pytest.mark.rotates(days=2)
def test_keras_recurrent_layer_tests(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    shutil.copytree(SHIM, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in keras_tests():
        shutil.copy(file, tmp_path / "keras" / "src" / "layers" / "rnn")
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--continue-on-collection-errors"]
    options += [f"--rootdir={tmp_path}", f"--junitxml={report}"]
    # The nabi that is tested here, which need not be the installed one.
    path = os.pathsep.join([str(tmp_path), str(Path(nabi.__file__).parent.parent)])
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path / "keras")],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), finished.stdout + finished.stderr
    cases = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('keras.src.layers.rnn.')}.{case.get('name')}"
        cases[name] = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    missed = {name for name, problems in cases.items() if problems}
    line = f"Keras' recurrent layer tests: {len(cases) - len(missed)} passed / {len(cases)}"
    record_property("foreign tests", line)
    assert missed == set(NOT_PASSED), finished.stdout
