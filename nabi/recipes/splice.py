"""Splice junctions: 60 bases of human genes in, the kind of junction in their middle out (many to one).

EI is a border from exon to intron, IE one from intron to exon, N neither. Ten folds, with equal sequences
always in the same one. A second network then gives a label to every base, and simple models stand beside
both.

Settings were chosen on the second and third fold, with networks that had learnt from the last seven; the
first fold was not looked at.
"""

from nabi.data import read_table
from nabi.models import DNAClassifier
from nabi.recipes._results._dna_folds import Errors, cross_validate, grouped_folds
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main", "make"]

FILE, FOLDS = "splice.csv", 10
NETWORKS, BATCH, DROPOUT, HIDDEN = 3, 64, 0.15, 0.2
WORDS = "triplets"
BASE_EPOCHS = 6
_HALF = 30


def make(epochs: int, seed: int) -> DNAClassifier:
    """Return the model: three networks (a convolution, and a GRU in both directions) and a linear model."""
    return DNAClassifier(
        words=WORDS,
        with_linear="yes",
        networks=NETWORKS,
        batch_size=BATCH,
        dropout=DROPOUT,
        hidden_bases=HIDDEN,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Classify all sequences in ten folds, then label every base of one of them."""
    table = read_table(find_data("splice", run.data, FILE, "dna"), ["class", "sequence"])
    sequences, labels = table["sequence"], table["class"]
    folds = grouped_folds(sequences, FOLDS, run.seed)
    errors = cross_validate(
        run, "folds", sequences, labels, folds, lambda number: make(run.epochs, run.seed + number)
    )
    if errors is None:
        return
    show(run, errors)
    label_bases(run, sequences, labels, folds[0])


def show(run: Run, errors: Errors) -> None:
    """Print and store the errors of the networks and of the simple models."""
    run.console.print(f"Errors on {errors.count:,} sequences, {FOLDS} folds, equal sequences together:")
    for name, share in sorted(errors.shares.items(), key=lambda item: item[1]):
        run.console.print(f"  {share:6.2%}  {name}", highlight=False)
    by_class = {name: wrong / errors.classes[name] for name, wrong in errors.by_class.items()}
    told = ", ".join(f"{name} {share:.1%}" for name, share in by_class.items())
    run.console.print(f"The networks by class: {told}", highlight=False)
    run.figures |= {
        "error": errors.shares["network"],
        "errors": errors.shares,
        "errors_by_class": by_class,
        "training_seconds": round(errors.seconds, 1),
    }


def label_bases(run: Run, sequences: list[str], labels: list[str], fold: list[int]) -> None:
    """Say of every base of a fold whether it is exon, intron or neither."""
    of_bases = {
        "EI": ["exon"] * _HALF + ["intron"] * _HALF,
        "IE": ["intron"] * _HALF + ["exon"] * _HALF,
        "N": ["none"] * (2 * _HALF),
    }
    rest = sorted(set(range(len(sequences))) - set(fold))
    model = DNAClassifier(per_base=True, words=WORDS, batch_size=BATCH, epochs=BASE_EPOCHS, seed=run.seed)
    with run.batches("every base", BASE_EPOCHS) as bar:
        report = model.fit(
            [sequences[row] for row in rest],
            [of_bases[labels[row]] for row in rest],
            validation_share=0,
            checkpoint=run.folder / "bases.training",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "bases.nabi")
    measured = model.evaluate([sequences[row] for row in fold], [of_bases[labels[row]] for row in fold])
    run.console.print("\nA label for every base of the first fold")
    run.console.print(measured)
    run.figures |= {"bases.accuracy": measured.accuracy, "bases.baselines": measured.baselines}
