"""Whether `nabi train --log-dir` has written every epoch of a training."""

import csv
import json
from pathlib import Path

__all__ = ["check_logged"]


def check_logged(folder: Path | str, figures: Path | str) -> None:
    """Compare the table of the epochs with the history in the figures of a model."""
    with (Path(folder) / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    history = json.loads(Path(figures).read_text(encoding="utf-8"))["history"]
    assert rows
    assert [int(row["epoch"]) for row in rows] == list(range(len(rows)))
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values, name
    assert list(rows[0]) == ["epoch", "seconds", "learning_rate", *history]
    assert list(Path(folder, "train").glob("events.out.tfevents.*"))
