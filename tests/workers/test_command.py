"""`nabi train` as torchrun starts it: one model, one voice, and a message in every worker if one fails."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nabi.cli import main
from nabi.models import TextClassifier
from tests.workers.processes import on_workers

ROWS = ["text,label", *(f"{'good fine ' * (1 + n % 3)}{n},yes\nbad poor {n},no" for n in range(40))]
OPTIONS = ["--text", "text", "--label", "label", "--units", "4", "--epochs", "2", "--batch-size", "8"]


def _train(file: Path, out: Path) -> Any:
    shown, problems = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(problems):
        try:
            logs = ["--log-dir", str(out.with_suffix("")), "--log", "json", "--json"]
            main(["train", str(file), *OPTIONS, "--out", str(out), *logs])
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    return status, shown.getvalue(), problems.getvalue()


def _train_but(file: Path, out: Path) -> Any:
    """One of the workers does not find the file."""
    import os

    return _train(file if os.environ["RANK"] == "0" else file.with_name("elsewhere.csv"), out)


def test_workers_train_the_model_that_one_does(tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("\n".join(ROWS))
    alone, together = tmp_path / "alone.nabi", tmp_path / "together.nabi"
    assert _train(file, alone)[0] == 0
    (status, shown, said), (other_status, other_shown, other_said) = on_workers(
        2, _train, file, together, meet=False
    )
    assert (status, other_status) == (0, 0)
    *epochs, result = map(json.loads, shown.splitlines())
    assert [one["epoch"] for one in epochs] == [0, 1]
    assert result["model"] == str(together)
    assert "The model is in" in said
    assert (other_shown, other_said) == ("", "")
    logs = sorted(path.name.split(".")[0] for path in tmp_path.glob("together/**/*.*"))
    assert logs == ["events", "events", "metrics"]  # of the first worker: training, validation, the table
    assert sorted(path.name for path in tmp_path.glob("together.*")) == [
        "together.json", "together.nabi", "together.png"
    ]  # fmt: skip
    one, many = TextClassifier.load(alone), TextClassifier.load(together)
    for first, second in zip(one.model.parameters(), many.model.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)
    figures = [json.loads(path.with_suffix(".json").read_text()) for path in (alone, together)]
    losses = [next(iter(one["cells"].values()))["history"]["loss"] for one in figures]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_worker_without_the_file_ends_all_with_a_message(tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("\n".join(ROWS))
    (status, _, problem), (other_status, _, other) = on_workers(
        2, _train_but, file, tmp_path / "a.nabi", meet=False
    )
    assert (status, other_status) == (2, 2)
    assert "worker 1 of 2: there is no file" in other
    assert "worker 0 of 2: workers: worker 1 of 2 could not begin: there is no file" in problem
    assert not (tmp_path / "a.nabi").exists()
