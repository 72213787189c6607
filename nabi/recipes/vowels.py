"""Japanese vowels: which of nine men says "ae" (many to one).

An utterance is 7 to 29 steps of 12 numbers (cepstrum coefficients; Kudo, Toyama and Shimbo 1999). There are
270 utterances to learn from and 370 for the test, which is read once, at the end. The settings were chosen by
cross-validation on the first 270. The probabilities of the networks are averaged with those of a logistic
regression on eight resampled steps; the report has both alone, too.
"""

from nabi.models import SeriesClassifier
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main", "make_classifier"]

TRAIN, TEST = "JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"


def make_classifier(epochs: int, seed: int, cell: str = "gru") -> SeriesClassifier:
    """Return the model: networks that read in both directions, averaged with logistic regression."""
    return SeriesClassifier(
        cell,
        units=64,
        networks=5,
        with_linear="yes",
        noise=0.4,
        dropout=0.2,
        learning_rate=0.01,
        batch_size=32,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Learn from the training utterances, then say who speaks in the others."""
    # The data: utterances of different lengths, each with its speaker.
    train, test = (find_data("vowels", run.data, name, "series") for name in (TRAIN, TEST))

    # The model and its training, on all training utterances. Running the same command again resumes an
    # interrupted run.
    model = make_classifier(run.epochs, run.seed)
    with run.batches("vowels", run.epochs) as bar:
        report = model.fit(
            train,
            validation_share=0,
            test=test,
            checkpoint=run.folder / "training.nabi",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "model.nabi")

    # The results: the accuracy beside that of simple models, and who is taken for whom.
    report.picture(run.folder / "confusion.png", title="Speakers: right and predicted")
    run.figures |= {
        "accuracy": report.accuracy,
        "macro_f1": report.macro_f1,
        "baselines": report.baselines,
        "verdict": report.verdict,
        "training_seconds": round(report.seconds, 1),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
    }
    run.console.print(report)
