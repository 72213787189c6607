"""Promoters: 57 bases of E. coli in, promoter or not out (many to one); and new sequences of their kind.

There are 106 sequences. Each is classified by networks that have learnt from the 105 others. A character
model then learns the promoters alone and writes new ones; how often each word of three bases occurs in them
is compared with the promoters and with random sequences.

No sequence is left to choose settings on. They follow from trials on small parts of the splice junctions, but
not all: earlier settings were changed after four left-out sequences, and errors of others had been seen up to
the 67th. How much the linear model counts was then chosen on parts of the splice junctions alone, with 105
sequences of two classes to learn from.
"""

from collections import Counter
from itertools import product
from random import Random

import numpy as np
import numpy.typing as npt

from nabi.data import dna_words, read_table
from nabi.models import DNAClassifier, LanguageModel
from nabi.recipes._results._dna_folds import Errors, cross_validate
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main", "make", "read", "triplet_distance"]

FILE = "promoters.data"
UNITS, NETWORKS, BATCH, WARMUP = 16, 1, 16, 20
DROPOUT, HIDDEN, DECAY = 0.3, 0.2, 0.1
WORDS = "pairs"
LINEAR_SHARE = 0.75
WRITER_UNITS, WRITER_EPOCHS = 64, 30
_COPY = 20  # bases that are the same by chance in no two sequences
_TRIPLETS = ["".join(letters) for letters in product("ACGT", repeat=3)]


def make(epochs: int, seed: int) -> DNAClassifier:
    """Return the model: a small network, averaged with logistic regression, since there are 105 sequences."""
    return DNAClassifier(
        units=UNITS,
        words=WORDS,
        with_linear="yes",
        linear_share=LINEAR_SHARE,
        networks=NETWORKS,
        batch_size=BATCH,
        dropout=DROPOUT,
        hidden_bases=HIDDEN,
        weight_decay=DECAY,
        warmup=WARMUP,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Leave each sequence out once, then write new promoters."""
    sequences, labels = read(run)
    folds = [[row] for row in range(len(sequences))]
    errors = cross_validate(
        run, "sequences", sequences, labels, folds, lambda number: make(run.epochs, run.seed)
    )
    if errors is None:
        return
    show(run, errors)
    write(run, sequences, labels)


def read(run: Run) -> tuple[list[str], list[str]]:
    """Return sequences and classes of the file of the UCI repository: class, name, sequence."""
    table = read_table(find_data("promoters", run.data, FILE, "dna"), ["0", "2"], separator=",", header=False)
    names = {"+": "promoter", "-": "other"}
    return [text.strip().upper() for text in table["2"]], [names[sign.strip()] for sign in table["0"]]


def show(run: Run, errors: Errors) -> None:
    """Print and store the errors of the networks and of the simple models."""
    run.console.print(f"Errors on {errors.count} sequences, each left out once:")
    for name, wrong in sorted(errors.by_model.items(), key=lambda item: item[1]):
        run.console.print(f"  {wrong:3}  {name}", highlight=False)
    told = ", ".join(f"{wrong} of {errors.classes[name]} {name}" for name, wrong in errors.by_class.items())
    run.console.print(f"The networks by class: {told}", highlight=False)
    run.figures |= {
        "errors": errors.by_model,
        "errors_by_class": dict(errors.by_class),
        "training_seconds": round(errors.seconds, 1),
    }


def write(run: Run, sequences: list[str], labels: list[str]) -> None:
    """Learn the promoters letter by letter, write as many, and compare their words of three bases."""
    promoters = [one for one, label in zip(sequences, labels, strict=True) if label == "promoter"]
    others = [one for one, label in zip(sequences, labels, strict=True) if label != "promoter"]
    writer = LanguageModel(
        "gru",
        units=WRITER_UNITS,
        unit="characters",
        embedding_size=8,
        dropout=0.3,
        batch_size=8,
        window=len(promoters[0]) + 1,
        epochs=WRITER_EPOCHS,
        seed=run.seed,
    )
    with run.batches("writing", WRITER_EPOCHS) as bar:
        report = writer.fit(
            promoters,
            validation_share=0.1,
            test_share=0,
            checkpoint=run.folder / "writer.training",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = run.interrupted or report.interrupted
    length, draw = len(promoters[0]), Random(run.seed)
    texts = (
        "".join(writer.write(length=length, temperature=1.0, seed=run.seed + number))
        for number in range(len(promoters))
    )
    written = [text for text in texts if text]  # the model may end a text at once
    run.folder.write_text("written.fasta", "".join(f">written_{n}\n{one}\n" for n, one in enumerate(written)))
    shuffled = ["".join(draw.sample(one, len(one))) for one in promoters]
    random = ["".join(draw.choices("ACGT", k=length)) for _ in promoters]
    distances = {
        "written by the model": triplet_distance(written, promoters),
        "other sequences of E. coli": triplet_distance(others, promoters),
        "promoters, their bases shuffled": triplet_distance(shuffled, promoters),
        "random bases": triplet_distance(random, promoters),
    }
    copied = sum(len(one) >= _COPY and any(one in promoter for promoter in promoters) for one in written)
    run.console.print("\nNew promoters are in written.fasta. Distance of their triplets from the promoters':")
    for name, distance in distances.items():
        run.console.print(f"  {distance:.4f}  {name}", highlight=False)
    run.console.print(
        f"{copied} of {len(written)} are copies of {_COPY} bases or more of a promoter.", highlight=False
    )
    run.figures |= {"triplet_distances": distances, "copies": copied}


def triplet_distance(sequences: list[str], others: list[str]) -> float:
    """Return the Jensen-Shannon divergence between the frequencies of triplets, in bits: 0 for the same."""
    first, second = (_frequencies(texts) for texts in (sequences, others))
    middle = (first + second) / 2
    return float(np.mean([(one * np.log2(one / middle)).sum() for one in (first, second)]))


def _frequencies(texts: list[str]) -> npt.NDArray[np.float64]:
    counts = Counter(word for text in texts for word in dna_words(text))
    found: npt.NDArray[np.float64] = np.array([counts[word] + 0.5 for word in _TRIPLETS])
    found /= found.sum()
    return found
