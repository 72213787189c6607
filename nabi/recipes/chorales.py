"""Bach's chorales, chord by chord: networks that learn four voices and compose (many to many).

At each beat they see which piano keys sound, and predict the probability of each of the 88 keys at the next
beat. The chorales and their split are those of Boulanger-Lewandowski et al. (2012), so that the figures are
comparable with published ones: nats per beat of 88 independent keys.

The keys of a chord are not independent. A second network therefore predicts each key given the sounding keys
below it; it composes.
"""

from nabi.data import Frame, read_frames, write_midi_frames
from nabi.errors import FileFormatError
from nabi.explain import piano_roll_picture
from nabi.models import NoteModel
from nabi.recipes._results._learning_curves import learning_curves
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main", "make"]

FILE = "jsb_chorales_quarter.json"
PARTS = ("train", "valid", "test")
UNITS, EMBEDDING = 400, 200
DROPOUT, WEIGHT_DROP, TRANSPOSE = 0.3, 0.2, 5
PIECES, LEARNING_RATE = 8, 4e-3
BEATS_PER_BAR, BARS, PRIMER = 4, 24, 8  # the primer, from a held-out chorale, in beats
TEMPERATURE, FEWEST = 0.7, 4


def make(epochs: int, seed: int, cell: str = "lstm", output: str = "keys") -> NoteModel:
    """Return the model: an LSTM of 400 units between a frame's vector and 88 keys."""
    return NoteModel(
        cell,
        units=UNITS,
        embedding_size=EMBEDDING,
        output=output,
        steps_per_beat=1,
        transpose=TRANSPOSE,
        dropout=DROPOUT,
        weight_drop=WEIGHT_DROP,
        batch_size=PIECES,
        learning_rate=LEARNING_RATE,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Learn the chorales with independent keys and with chords, measure both, and compose."""
    file = find_data("chorales", run.data, FILE, "music")
    parts = read_frames(file)
    if not all(parts.get(name) for name in PARTS):
        raise FileFormatError(f"data: {file} has no pieces for {', '.join(PARTS)}")

    # The networks, one after the other. Running the same command again resumes an interrupted run; finished
    # networks are not trained again.
    finished = run.folder / "keys.nabi"
    keys = make(run.epochs, run.seed)
    if (run.folder / "chords.training").exists() and finished.exists():
        loaded = NoteModel.load(finished)
        keys = loaded if loaded.settings == keys.settings else keys
    model = learn(run, keys, parts)
    if not run.interrupted:
        model = learn(run, make(run.epochs, run.seed, output="chords"), parts)

    # The compositions: a chorale from nothing, and a continuation of the beginning of an unseen one.
    for name, primer in (("from_nothing", ()), ("continued", parts["valid"][0][:PRIMER])):
        composed = model.write(
            primer,
            BARS * BEATS_PER_BAR - len(primer),
            temperature=TEMPERATURE,
            fewest=FEWEST,
            seed=run.seed,
        )
        frames = [*primer, *composed]
        write_midi_frames(run.folder / f"{name}.mid", frames, title=name.replace("_", " "))
        title = "A chorale from nothing" if not primer else "A chorale continued from its first two bars"
        piano_roll_picture(frames, run.folder / f"{name}.png", primer=len(primer), title=title)
        run.figures[f"{name}.bars"] = len(frames) / BEATS_PER_BAR
    run.console.print(
        f"Two chorales are in {run.folder.path}: from_nothing.mid and continued.mid", highlight=False
    )


def learn(run: Run, model: NoteModel, parts: dict[str, list[tuple[Frame, ...]]]) -> NoteModel:
    """Train a model unless it is trained already; show how good it is."""
    output = model.settings.output
    if not model.trained:
        with run.batches(output, run.epochs) as bar:
            report = model.fit(
                parts["train"],
                validation=parts["valid"],
                test=parts["test"],
                checkpoint=run.folder / f"{output}.training",
                verbose=0,
                callbacks=bar,
            )
        run.interrupted = run.interrupted or report.interrupted
        model.save(run.folder / f"{output}.nabi")
    show(run, model)
    return model


def show(run: Run, model: NoteModel) -> None:
    """Print and store the figures of a model, and draw its learning curves."""
    output, report = model.settings.output, model.report
    if model.history:
        losses = model.history["val_loss"]
        curves = learning_curves(
            model.history, losses.index(min(losses)), f"Nats per beat of Bach's chorales, {output}"
        )
        run.folder.write_picture(f"{output}_learning_curves.png", curves)
    run.figures |= {
        f"{output}.validation": report.validation,
        f"{output}.test": report.test,
        f"{output}.parameters": sum(weight.numel() for weight in model.network.parameters()),
        f"{output}.training_seconds": round(report.seconds, 1),
        f"{output}.history": model.history,
    }
    run.console.print(f"{output}\n{report}", highlight=False)
