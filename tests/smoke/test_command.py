"""The command, as a program of its own: a table becomes a model."""

import subprocess
import sys
from pathlib import Path

from nabi.models import TextClassifier


def test_a_table_becomes_a_model(tmp_path: Path) -> None:
    rows = ["text,label", *["a fine film,good", "a dull film,bad"] * 15]
    (tmp_path / "reviews.csv").write_text("\n".join(rows), encoding="utf-8")
    arguments = ["train", "reviews.csv", "--text", "text", "--label", "label"]
    small = ["--units", "4", "--embedding-size", "4", "--epochs", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "nabi", *arguments, *small],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "The model is in reviews.nabi" in run.stdout
    assert TextClassifier.load(tmp_path / "reviews.nabi").predict(["a fine film"])
