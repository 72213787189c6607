"""Cross-validation of classifiers of DNA: one network after another, kept after each, with simple models."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nabi.models import DNAClassifier
from nabi.recipes._run._run import Run

__all__ = ["Errors", "cross_validate", "grouped_folds"]

NETWORK = "network"


@dataclass(frozen=True)
class Errors:
    """How many of the test sequences of all folds are given a wrong class.

    Attributes:
        count: of all test sequences.
        classes: their number by class.
        by_model: wrong answers of the network (under "network") and of each simple model.
        by_class: wrong answers of the network by class.
        seconds: how long the networks were trained.
    """

    count: int
    classes: Mapping[str, int]
    by_model: Mapping[str, int]
    by_class: Mapping[str, int]
    seconds: float

    @property
    def shares(self) -> dict[str, float]:
        """Share of wrong answers of each model."""
        return {name: wrong / self.count for name, wrong in self.by_model.items()}


def grouped_folds(sequences: Sequence[str], count: int, seed: int) -> list[list[int]]:
    """Divide sequences into so many folds, equal sequences always into the same one."""
    groups: dict[str, list[int]] = {}
    for row, sequence in enumerate(sequences):
        groups.setdefault(sequence, []).append(row)
    listed = list(groups.values())
    order = np.random.default_rng(seed).permutation(len(listed))
    return [[row for place in order[number::count] for row in listed[place]] for number in range(count)]


def cross_validate(
    run: Run,
    title: str,
    sequences: Sequence[str],
    labels: Sequence[str],
    folds: Sequence[Sequence[int]],
    make: Callable[[int], DNAClassifier],
) -> Errors | None:
    """Train a model for each fold on all others, and count its errors on the fold.

    After each fold the counts are kept in `folds.json`, and a training that is interrupted within a fold in
    `fold.training`: the same command goes on from there.

    Args:
        run: with the folder.
        title: of the progress bar.
        sequences, labels: N each.
        folds: rows of each fold.
        make: makes an untrained model for the fold of this number.

    Returns the errors of all folds; None if the run was interrupted before.
    """
    settings = [make(0).asked.to_dict(), [list(fold) for fold in folds], list(sequences), list(labels)]
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    place = run.folder / "folds.json"
    done = _read(place, key)
    with run.training(title, len(folds), 1, "fold") as bar:
        bar.on_resume(len(done))
        for number, fold in enumerate(folds):
            if number < len(done):
                continue
            inside = set(fold)
            rest = [row for row in range(len(sequences)) if row not in inside]
            model = make(number)
            report = model.fit(
                [sequences[row] for row in rest],
                [labels[row] for row in rest],
                validation_share=0,
                checkpoint=run.folder / "fold.training",
                verbose=0,
            )
            if report.interrupted:
                run.interrupted = True
                return None
            done.append(_counts(model, [sequences[row] for row in fold], [labels[row] for row in fold]))
            # The first entry tells later runs that they may go on in this folder.
            content = {"written_by": "nabi run", "of": key, "folds": done}
            run.folder.write_json("folds.json", content)
            bar.on_epoch_end(number)
    if len(done) < len(folds):
        return None
    return Errors(
        sum(one["count"] for one in done),
        {name: list(labels).count(name) for name in sorted(set(labels))},
        {name: sum(one["wrong"][name] for one in done) for name in done[0]["wrong"]},
        {name: sum(one["by_class"].get(name, 0) for one in done) for name in sorted(set(labels))},
        sum(one["seconds"] for one in done),
    )


def _counts(model: DNAClassifier, sequences: list[str], labels: list[str]) -> dict[str, Any]:
    report = model.evaluate(sequences, labels)
    assert report.scores is not None
    assert report.scores.confusion is not None
    wrong = {NETWORK: 1 - report.scores.accuracy, **{name: 1 - one for name, one in report.baselines.items()}}
    by_class = {
        one.label: sum(row) - row[place]
        for place, (one, row) in enumerate(zip(report.scores.by_label, report.scores.confusion, strict=True))
    }
    count = len(sequences)
    return {
        "count": count,
        "wrong": {name: round(share * count) for name, share in wrong.items()},
        "by_class": by_class,
        "seconds": round(report.seconds, 3),
    }


def _read(place: Any, key: str) -> list[dict[str, Any]]:
    """Return the folds that an earlier run has finished, if it was the same run."""
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return list(kept["folds"]) if isinstance(kept, dict) and kept.get("of") == key else []
