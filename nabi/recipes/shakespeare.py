"""Shakespeare, character by character: a network that reads his plays and continues them (many to many).

It reads one character and predicts the probability of each next one. Its state carries over from one window
of the text to the next, so that its memory is not limited to 128 characters. The last twentieth of the text
is the test part, evaluated once; the twentieth before it is the validation part.
"""

import time
from pathlib import Path

from nabi.models import LanguageModel
from nabi.recipes._results._learning_curves import learning_curves
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main"]

FILE = "tiny_shakespeare.txt"
UNITS, EMBEDDING = 512, 128
STREAMS, WINDOW = 32, 128
DROPOUT, WEIGHT_DROP = 0.3, 0.2
LEARNING_RATE = 3e-3
STARTS = ("ROMEO:", "JULIET:", "First Citizen:")
SAMPLE, WRITTEN = 300, 1000  # characters of the sample in the figures, and of those in written.txt
MEASURED = 10_000  # characters for measuring the speed of writing


def main(run: Run) -> None:
    """Learn from nine tenths of the text, measure on the rest, and write."""
    file = find(run.data)

    # The model: an embedding of 128 features, an LSTM of 512 units, a softmax over all characters.
    model = LanguageModel(
        units=UNITS,
        embedding_size=EMBEDDING,
        dropout=DROPOUT,
        weight_drop=WEIGHT_DROP,
        batch_size=STREAMS,
        window=WINDOW,
        learning_rate=LEARNING_RATE,
        epochs=run.epochs,
        seed=run.seed,
    )

    # The training: running the same command again resumes an interrupted run.
    with run.batches("shakespeare", run.epochs) as bar:
        report = model.fit(file, checkpoint=run.folder / "training.nabi", verbose=0, callbacks=bar)
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "model.nabi")

    # The results: nats per character, learning curves, and generated text.
    if model.history:
        losses = model.history["val_loss"]
        curves = learning_curves(
            model.history, losses.index(min(losses)), "Nats per character of Shakespeare"
        )
        run.folder.write_picture("learning_curves.png", curves)
    run.figures |= {
        "validation": report.validation,
        "test": report.test,
        "training_seconds": round(report.seconds, 1),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
        "epoch_seconds": [round(seconds, 1) for seconds in bar.seconds],
    }
    begun = time.perf_counter()
    for _ in model.write(length=MEASURED, seed=run.seed):
        pass
    run.figures["characters_per_second"] = round(MEASURED / (time.perf_counter() - begun))
    run.figures["sample"] = STARTS[0] + "".join(model.write(STARTS[0], SAMPLE, seed=run.seed))
    samples = [start + "".join(model.write(start, WRITTEN, seed=run.seed)) for start in STARTS]
    run.folder.write_text("written.txt", "\n\n----\n\n".join(samples) + "\n")
    run.console.print(str(report), highlight=False)
    run.console.print(
        f"It writes {run.figures['characters_per_second']:,} characters per second. After {STARTS[0]!r}:",
        highlight=False,
    )
    run.console.print(run.figures["sample"], highlight=False, markup=False)


def find(said: Path | None) -> Path:
    """Return the file with the plays; see `find_data`."""
    return find_data("shakespeare", said, FILE, "text")
