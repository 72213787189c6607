"""Strings of one to seven spoken digits, without being told when each is spoken.

The strings are made of single recordings of the Free Spoken Digit Dataset: digits of one speaker one after
the other, with pauses of random lengths, levels of their own, and noise; anew in every epoch. A network that
was trained with CTC writes them down. As in the recipe digits, the speakers of the test are those of the
training ("known"; other recordings), or each speaker in turn is left out ("unknown").
"""

from typing import Any, NamedTuple

import numpy as np

from nabi.models import SequenceReport, SpeechRecognizer
from nabi.recipes._run._run import Run
from nabi.recipes._run._spoken_digits import Part, read_parts
from nabi.recipes._run._unfinished import Unfinished

__all__ = ["main", "make"]

JOINED = 7
KNOWN = {"warp": 0.05, "noise": 0.1, "filters": 0.0}
UNKNOWN = {"networks": 2}


class _Figures(NamedTuple):
    """Of one test."""

    error: float
    """Digits that are wrong, missing or too many, as a share of all."""
    exact: float
    """Strings that are right from beginning to end."""
    strings: int
    seconds: float


def make(epochs: int, seed: int, speakers: str) -> SpeechRecognizer:
    """Return the model: for new speakers two networks with the settings `nabi train` has by default.

    Known speakers are learnt faster where they are changed less. Of new ones two networks say more than one:
    what each makes of a voice that it never heard differs much from training to training.
    """
    changes: dict[str, Any] = KNOWN if speakers == "known" else UNKNOWN
    return SpeechRecognizer(joined=JOINED, epochs=epochs, seed=seed, **changes)


def main(run: Run) -> None:
    """Train and test a network for each part: one, or one for each speaker that is left out."""
    parts = read_parts("digit-strings", run.data, run.choices["speakers"])
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
    report = model.evaluate_joined(part.test, seed=run.seed)
    assert report.error_rate is not None
    assert report.exact is not None
    return _Figures(report.error_rate, report.exact, report.held_out, report.seconds)


def show(run: Run, figures: dict[str, _Figures]) -> None:
    """Print the figures of each part and their mean, and keep them."""
    run.console.print(
        f"{'':10} {'digit error':>11} {'exact':>7} {'strings':>8} {'seconds':>8}", highlight=False
    )
    for name, one in figures.items():
        run.console.print(
            f"{name:10} {one.error:11.2%} {one.exact:7.1%} {one.strings:8} {one.seconds:8.0f}",
            highlight=False,
        )
        run.figures |= {f"{name}.{field}": value for field, value in one._asdict().items()}
    if len(figures) > 1:
        error, exact = (float(np.mean(column)) for column in list(zip(*figures.values(), strict=True))[:2])
        run.figures |= {"error": error, "exact": exact}
        run.console.print(f"{'mean':10} {error:11.2%} {exact:7.1%}", highlight=False)
