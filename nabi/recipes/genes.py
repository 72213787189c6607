"""Genes: a label for every base of sequences that a hidden Markov model has made (many to many in step).

The model makes exons of codons, and introns between a donor and an acceptor site. Because it is known, the
forward-backward algorithm gives the most probable label of every base, and no reader can be right more often.
So the network's distance from the optimum is a number. The network knows nothing of the model: it sees
sequences with labels.
"""

from collections.abc import Callable

import numpy as np

from nabi.data import HiddenMarkovDNA, MadeDNA, cpg_islands, split_genes
from nabi.explain import base_labels_picture
from nabi.models import DNAClassifier
from nabi.recipes._run._run import Run

__all__ = ["main", "make"]

MODELS: dict[str, Callable[[], HiddenMarkovDNA]] = {"genes": split_genes, "islands": cpg_islands}
TRAIN, VALIDATION, TEST, LENGTH = 3000, 100, 200, 250
UNITS, CHANNELS, BATCH = 48, 32, 32
_DRAWN = 3


def make(epochs: int, seed: int, cell: str = "gru") -> DNAClassifier:
    """Return the model: a convolution, and a GRU in both directions."""
    return DNAClassifier(
        cell,
        per_base=True,
        units=UNITS,
        convolutions=(CHANNELS,),
        words="bases",
        hidden_bases=0.0,
        dropout=0.1,
        batch_size=BATCH,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Make sequences, learn their labels, and compare with the best possible reading."""
    maker = MODELS[run.choices.get("model", "genes")]()
    train, validation, test = (
        maker.make(count, LENGTH, seed=run.seed + number)
        for number, count in enumerate((TRAIN, VALIDATION, TEST))
    )
    model = make(run.epochs, run.seed)
    with run.batches("training", run.epochs) as bar:
        report = model.fit(
            train.sequences,
            train.labels,
            validation=(validation.sequences, validation.labels),
            checkpoint=run.folder / "training.nabi",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = report.interrupted
    model.save(run.folder / "model.nabi")

    best, said = maker.posterior(test.sequences), np.stack(model.probabilities(test.sequences))
    names = np.array(maker.label_names)
    readings = {
        "the best that is possible": names[best.argmax(2)].tolist(),
        "network": names[said.argmax(2)].tolist(),
    }
    optimum, network = (share_right(labels, test) for labels in readings.values())
    measured = model.evaluate(test.sequences, test.labels)
    run.console.print(f"Right labels of {TEST * LENGTH:,} bases that were not learnt from:")
    for name, share in {
        "the best that is possible": optimum,
        "network": network,
        **measured.baselines,
    }.items():
        run.console.print(f"  {share:7.2%}  {name}", highlight=False)
    run.console.print(f"The network is {optimum - network:.2%} below the optimum.", highlight=False)
    segments = {name: segments_found(labels, test) for name, labels in readings.items()}
    told = ", ".join(f"{name} {share:.1%}" for name, share in segments.items())
    run.console.print(f"Segments found from their first base to their last: {told}", highlight=False)
    run.figures |= {
        "optimum": optimum,
        "network": network,
        "baselines": measured.baselines,
        "segments": segments,
        "training_seconds": round(report.seconds, 1),
    }
    for number in range(_DRAWN):
        base_labels_picture(
            test.sequences[number],
            {"best possible": best[number], "network": said[number]},
            list(maker.label_names),
            run.folder / f"labels_{number + 1}.png",
            truth=test.labels[number],
            title="Probability of the labels along a sequence",
        )


def share_right(labels: list[list[str]], made: MadeDNA) -> float:
    """Return the share of the bases whose label is right."""
    return float((np.array(labels) == np.array(made.labels)).mean())


def segments_found(labels: list[list[str]], made: MadeDNA) -> float:
    """Return the share of the segments of one label that begin and end where they are said to."""
    found = total = 0
    for said, right in zip(labels, made.labels, strict=True):
        true = set(segments(right))
        total += len(true)
        found += len(true & set(segments(said)))
    return found / total


def segments(labels: list[str]) -> list[tuple[int, int, str]]:
    """Return the runs of one label: first base, the base after the last, label."""
    borders = [0, *(place for place in range(1, len(labels)) if labels[place] != labels[place - 1])]
    return [
        (start, end, labels[start]) for start, end in zip(borders, [*borders[1:], len(labels)], strict=True)
    ]
