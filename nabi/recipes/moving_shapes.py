"""Moving shapes: a network that reads the frames of a clip (many to one).

The clips are synthetic (`nabi.datasets.moving_shapes`): a shape goes left, right, up or down, grows, shrinks,
or turns one way or the other. One frame says nothing of the motion, and the mean of all frames nothing of its
direction. So two simple models stand beside the network, on one frame and on the mean of all; and the network
itself is given frames in a random order, one frame, and the mean. Settings were chosen on the validation
clips; the test clips are looked at once, at the end.
"""

import numpy as np
import numpy.typing as npt

from nabi.datasets import moving_shapes
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
    training, validation, test = moving_shapes.load_data(
        CLIPS, HELD_OUT, HELD_OUT, image_size=IMAGE_SIZE, seed=run.seed
    )

    # The model and its training: running the same command again resumes an interrupted run.
    model = make_classifier(run.epochs, run.seed)
    with run.batches("moving shapes", run.epochs) as bar:
        report = model.fit(
            training.clips,
            training.labels,
            validation=(validation.clips, validation.labels),
            test=(test.clips, test.labels),
            checkpoint=run.folder / "training.nabi",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "model.nabi")
    report.picture(run.folder / "confusion.png")

    # What the order of the frames is worth: the trained network on frames that are shuffled, on the middle
    # frame alone, and on the mean of all frames.
    random = np.random.default_rng(run.seed)
    controls = {
        "frames in a random order": [random.permutation(clip) for clip in test.clips],
        "the middle frame alone": [repeated(clip[len(clip) // 2], len(clip)) for clip in test.clips],
        "the mean of all frames": [repeated(clip.mean(0), len(clip)) for clip in test.clips],
    }
    shares = {name: model.evaluate(clips, test.labels).accuracy for name, clips in controls.items()}
    run.figures |= {
        "accuracy": report.accuracy,
        "baselines": report.baselines,
        "same_network_on": shares,
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
    for name, share in shares.items():
        run.console.print(f"The same network on {name}: accuracy {share:.1%}", highlight=False)


def repeated(frame: npt.NDArray[np.float64] | Clip, count: int) -> Clip:
    """Return a clip in which nothing happens."""
    return np.repeat(np.rint(frame).astype(np.uint8)[None], count, axis=0)
