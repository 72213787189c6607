"""Results of a text network: figures, curves, confusion matrix, and the most confident mistakes."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nabi.callbacks import EarlyStopping
from nabi.layers import Embedding
from nabi.models import Report, Sequential, TextClassifier
from nabi.recipes._results._learning_curves import learning_curves
from nabi.recipes._run._run import BatchBar, Run
from nabi.recipes._run._text import Corpus

__all__ = ["Mistake", "mistakes", "show_test", "show_training"]

_SHOWN, _WRITTEN = 5, 50  # mistakes in the terminal, in the file
_LONGEST_SHOWN, _LONGEST_WRITTEN = 160, 2000  # characters of their texts


@dataclass(frozen=True)
class Mistake:
    """A misclassified text."""

    text: str
    label: str
    read_as: str
    probability: float
    """Predicted probability of the wrong label."""


def show_training(
    run: Run, model: Sequential, corpus: Corpus, stopping: EarlyStopping, bar: BatchBar
) -> None:
    """Write the model file, the learning curves and the figures of the training."""
    _save(run, model, corpus, bar.total)
    history: dict[str, list[float]] = {} if model.history is None else model.history.history
    history = {name: [round(float(value), 5) for value in values] for name, values in history.items()}
    best = None if stopping.best_weights is None else stopping.best_epoch
    run.figures |= {
        "parameters": model.count_params(),
        "words": len(corpus.vocabulary),
        "epochs": len(bar.seconds),
        "best_epoch": None if best is None else best + 1,
        "validation_accuracy": None if best is None else history["val_accuracy"][best],
        "seconds_of_training": round(bar.total, 2),
        "seconds_per_epoch": round(float(np.mean(bar.seconds)), 2) if bar.seconds else None,
        "padded_steps": corpus.training.padded_steps,
        "valid_steps": corpus.training.valid_steps,
        "history": history,
        "settings": asdict(corpus.settings),
    }
    if history:
        curves = learning_curves(history, best, f"Learning curves of {run.recipe}")
        run.folder.write_picture("learning_curves.png", curves)


def show_test(run: Run, model: Sequential, corpus: Corpus) -> None:
    """Evaluate on the test part once; write and show the scores and the most confident mistakes.

    `Ctrl-C` keeps the training results that are already written.
    """
    found = []
    with run.batches("reading the test part") as bar:
        found.append(_probabilities(model, corpus, bar))
    if not found:
        return
    (probabilities,) = found
    # The most frequent labels first: the first few of 46 have most of the texts.
    order = np.argsort(-np.bincount(corpus.test_targets, minlength=len(corpus.labels)), kind="stable")
    names = tuple(corpus.labels.names[place] for place in order)
    targets, probabilities = np.argsort(order)[corpus.test_targets], probabilities[:, order]
    report = Report.measure(names, targets, probabilities, part="test texts")
    run.figures |= {
        "test.texts": report.rows,
        "test.accuracy": round(report.accuracy, 5),
        "test.macro_f1": round(report.macro_f1, 5),
        "test.weighted_f1": round(report.weighted_f1, 5),
    }
    _save(run, model, corpus, run.figures["seconds_of_training"], report)
    run.folder.write_text("report.txt", f"{report}\n")
    report.picture(run.folder / "confusion.png")
    wrong = mistakes(corpus.test_texts, targets, probabilities, names)
    run.folder.write_text("surely_wrong.txt", _as_text(wrong[:_WRITTEN], len(wrong)))
    run.console.print(report)
    _show_mistakes(run.console, wrong[:_SHOWN])


def _save(run: Run, model: Sequential, corpus: Corpus, seconds: float, report: Report | None = None) -> None:
    """Write the network with its vocabulary and labels, for `nabi predict` and `nabi explain`.

    A network without masking is written alone: its predictions depend on the padding of the batch.
    """
    embedding = model.layers[0]
    if not (isinstance(embedding, Embedding) and embedding.mask_zero):
        model.save(run.folder / "model.nabi")
        return
    TextClassifier.of(
        model,
        corpus.vocabulary,
        corpus.labels,
        maxlen=corpus.settings.maxlen,
        truncating=corpus.settings.truncating,
        shares=corpus.shares,
        report=report,
        history=None if model.history is None else model.history.history,
        seconds=seconds,
    ).save(run.folder / "model.nabi")


def _probabilities(model: Sequential, corpus: Corpus, bar: BatchBar) -> npt.NDArray[np.float32]:
    """Return the probability of each label `[texts, labels]`, in the order of the texts."""
    outputs = np.asarray(model.predict(corpus.test, verbose=0, callbacks=[bar]))
    if outputs.shape[1] == 1:  # of a sigmoid, for the second label
        outputs = np.concatenate([1 - outputs, outputs], 1)
    ordered = np.empty_like(outputs)
    ordered[corpus.test.order] = outputs
    return ordered


def mistakes(
    texts: Sequence[str],
    targets: npt.NDArray[np.int64],
    probabilities: npt.NDArray[Any],
    names: Sequence[str],
) -> list[Mistake]:
    """Return all misclassified texts, most confident first.

    >>> texts, targets = ["a", "b", "c"], np.array([0, 1, 1])
    >>> found = mistakes(texts, targets, np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8]]), ["no", "yes"])
    >>> [(mistake.text, mistake.label, mistake.read_as, mistake.probability) for mistake in found]
    [('b', 'yes', 'no', 0.9), ('a', 'no', 'yes', 0.6)]
    """
    said = probabilities.argmax(1)
    sure = probabilities.max(1)
    rows = [row for row in np.argsort(-sure, kind="stable") if said[row] != targets[row]]
    return [Mistake(texts[row], names[targets[row]], names[said[row]], float(sure[row])) for row in rows]


def _shortened(text: str, longest: int) -> str:
    """Return a text on one line, without control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _as_text(wrong: Sequence[Mistake], count: int) -> str:
    lines = [f"{count} test texts are misclassified; these are the {len(wrong)} most confident mistakes.", ""]
    for number, mistake in enumerate(wrong, 1):
        lines.append(
            f"{number}. {mistake.label}, read as {mistake.read_as} with probability {mistake.probability:.4f}"
        )
        text = _shortened(mistake.text, _LONGEST_WRITTEN)
        lines += [*textwrap.wrap(text, 100, initial_indent="   ", subsequent_indent="   "), ""]
    return "\n".join(lines)


def _show_mistakes(console: Console, wrong: Sequence[Mistake]) -> None:
    if not wrong:
        return
    table = Table("true label", "read as", "probability", "text", title="Surely wrong")
    for mistake in wrong:
        # As Text, because a review may have square brackets, which are rich's markup.
        cells = (mistake.label, mistake.read_as, f"{mistake.probability:.4f}")
        table.add_row(*map(Text, cells), Text(_shortened(mistake.text, _LONGEST_SHOWN)))
    console.print(table)
