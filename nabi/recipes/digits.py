"""Spoken digits: which digit is in a recording, said by speakers that were heard in training, or never.

The Free Spoken Digit Dataset has 3,000 recordings of six speakers. Its test set has the first five recordings
of each digit and speaker ("known" speakers). With "unknown" each speaker in turn is left out, and a network
that has learnt from the other five is tested on it: that is how good a recogniser is for a new person.

Beside the networks stand two simple models on the same features: logistic regression, and the label of the
nearest recording.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.data import Recordings
from nabi.models import SequenceReport, SoundClassifier, band_features
from nabi.recipes._run._run import Run
from nabi.recipes._run._spoken_digits import Part, read_parts
from nabi.recipes._run._unfinished import Unfinished

__all__ = ["main", "make"]

MELS = 40


class _Figures(NamedTuple):
    """Of one test, as shares that are right."""

    accuracy: float
    logistic: float
    nearest: float
    seconds: float


def make(epochs: int, seed: int, speakers: str) -> SoundClassifier:
    """Return the model, with the settings that `nabi train` has by default.

    Of new speakers two networks say more than one: what each makes of a voice that it never heard differs
    much from training to training.
    """
    return SoundClassifier(mels=MELS, epochs=epochs, seed=seed, networks=1 if speakers == "known" else 2)


def main(run: Run) -> None:
    """Train and test a network for each part: one, or one for each speaker that is left out."""
    parts = read_parts("digits", run.data, run.choices["speakers"])
    unfinished = Unfinished(run.folder)
    figures = {}
    for part in parts:
        if not run.interrupted:
            figures[part.name] = learn(run, unfinished, part)
    if not run.interrupted:
        unfinished.end()
    show(run, figures)


def learn(run: Run, unfinished: Unfinished, part: Part) -> _Figures:
    """Train on a part, unless that was done before an interruption; test once."""
    model = unfinished.finished(part.name, make(run.epochs, run.seed, run.choices["speakers"]))
    if not model.trained:
        with run.batches(part.name, run.epochs) as bar:
            report: SequenceReport = model.fit(
                part.train,
                validation_share=0,
                checkpoint=run.folder / f"{part.name}.training",
                verbose=0,
                callbacks=bar,
            )
        run.interrupted = run.interrupted or report.interrupted
        model.save(run.folder / f"{part.name}.nabi")
    report = model.evaluate(part.test)
    report.picture(run.folder / f"{part.name}.png")
    logistic = next(value for name, value in report.baselines.items() if "logistic" in name)
    assert report.accuracy is not None
    return _Figures(report.accuracy, logistic, nearest(part.train, part.test), report.seconds)


def nearest(train: Recordings, test: Recordings) -> float:
    """Return how often the nearest recording of the training part has the right label."""
    known, asked = _standardized(train, train), _standardized(test, train)
    distances = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)
    said = [train.labels[row] for row in distances.argmin(1)]
    return float(np.mean([one == other for one, other in zip(said, test.labels, strict=True)]))


def show(run: Run, figures: dict[str, _Figures]) -> None:
    """Print the figures of each part and their mean, and keep them."""
    run.console.print(
        f"{'':10} {'network':>8} {'logistic':>9} {'nearest':>8} {'seconds':>8}", highlight=False
    )
    for name, one in figures.items():
        run.console.print(
            f"{name:10} {one.accuracy:8.1%} {one.logistic:9.1%} {one.nearest:8.1%} {one.seconds:8.0f}",
            highlight=False,
        )
        run.figures |= {f"{name}.{field}": value for field, value in one._asdict().items()}
    if len(figures) > 1:
        means = [float(np.mean(column)) for column in zip(*figures.values(), strict=True)]
        run.figures |= dict(zip(("accuracy", "logistic", "nearest"), means, strict=False))
        run.console.print(f"{'mean':10} {means[0]:8.1%} {means[1]:9.1%} {means[2]:8.1%}", highlight=False)


def _standardized(recordings: Recordings, reference: Recordings) -> npt.NDArray[np.float32]:
    found, usual = _features(recordings), _features(reference)
    standardized: npt.NDArray[np.float32] = (found - usual.mean(0)) / (usual.std(0) + 1e-6)
    return standardized


def _features(recordings: Recordings) -> npt.NDArray[np.float32]:
    rows: Sequence[npt.NDArray[np.float32]] = [
        band_features(one, recordings.rate, MELS) for one in recordings.samples
    ]
    return np.stack(rows)
