"""Moving shapes: a network that reads the frames of a clip (many to one).

The clips are synthetic (`nabi.datasets.moving_shapes`): a shape goes left, right, up or down, grows, shrinks,
or goes around in a circle, one way or the other. One frame says nothing of the motion, and the mean of all
frames nothing of its direction. So beside the network stand two simple models, on one frame and on the mean
of all; and the same network, trained on one frame and on the mean. Settings were chosen on the validation
clips; the test clips are looked at once, at the end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.datasets import moving_shapes
from nabi.datasets.moving_shapes import MovingShapes
from nabi.explain import clips_picture
from nabi.models import ClipClassifier
from nabi.recipes._run._run import Run

__all__ = ["main", "make_classifier"]

CLIPS, HELD_OUT = 3_000, 600
IMAGE_SIZE = 32

Clip = npt.NDArray[np.uint8]


def make_classifier(epochs: int, seed: int) -> ClipClassifier:
    """Return the model, with the best settings on the validation clips."""
    return ClipClassifier(
        "gru",
        units=48,
        image_size=IMAGE_SIZE,
        channels=(16, 24, 24),
        features=32,
        shift=0.0,
        colour=0.0,
        batch_size=16,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Learn from the training clips, then say which motion the test clips show."""
    # The data: clips [T, 32, 32, 3] of 8 to 16 frames, each with the name of its motion.
    parts = moving_shapes.load_data(CLIPS, HELD_OUT, HELD_OUT, image_size=IMAGE_SIZE, seed=run.seed)
    test = parts[2]

    # The model and its training: running the same command again resumes an interrupted run.
    with run.batches("moving shapes", run.epochs) as bar:
        model = fitted(parts, whole, run.epochs, run.seed, run.folder / "training.nabi", bar)
    report = model.report
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "model.nabi")
    report.picture(run.folder / "confusion.png")

    # What the order of the frames is worth: the same network, trained on clips in which nothing moves.
    controls = {}
    for name, reduce in (("one frame", middle), ("the mean of all frames", mean)):
        if not run.interrupted:
            with run.batches(name, run.epochs) as hearing:
                place = run.folder / f"training-{reduce.__name__}.nabi"
                control = fitted(parts, reduce, run.epochs, run.seed, place, hearing).report
            run.interrupted = control.interrupted
            controls[name] = control.accuracy

    run.figures |= {
        "accuracy": report.accuracy,
        "simple_models": report.baselines,
        "same_network_on": controls,
        "training_seconds": round(report.seconds, 1),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
        "epoch_seconds": [round(seconds, 1) for seconds in bar.seconds],
    }
    first = [test.labels.index(motion) for motion in moving_shapes.MOTIONS if motion in test.labels]
    clips_picture(
        model,
        [test.clips[number] for number in first],
        run.folder / "clips.png",
        labels=[test.labels[number] for number in first],
        title="Test clips: what the network says after each frame",
    )
    run.console.print(report)
    run.console.print()
    for name, share in controls.items():
        run.console.print(f"The same network, trained on {name}: accuracy {share:.1%}", highlight=False)


def fitted(
    parts: tuple[MovingShapes, ...],
    reduce: Callable[[Clip], Clip],
    epochs: int,
    seed: int,
    checkpoint: Path,
    callbacks: Any,
) -> ClipClassifier:
    """Return a classifier that has learnt from clips, or from what is left of them."""
    training, validation, test = (([reduce(clip) for clip in part.clips], part.labels) for part in parts)
    model = make_classifier(epochs, seed)
    model.fit(
        *training, validation=validation, test=test, checkpoint=checkpoint, verbose=0, callbacks=callbacks
    )
    return model


def whole(clip: Clip) -> Clip:
    """Return the clip itself."""
    return clip


def middle(clip: Clip) -> Clip:
    """Return the middle frame, twice, so that it is a clip."""
    return clip[[len(clip) // 2] * 2]


def mean(clip: Clip) -> Clip:
    """Return the mean of all frames, twice."""
    frame: Clip = np.rint(clip.mean(0)).astype(np.uint8)
    return np.stack([frame, frame])
