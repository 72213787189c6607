"""Captions: a network that describes images (one to many).

The images are synthetic: coloured shapes, each with its one correct caption (`nabi.datasets.shapes`). A
convolutional network reads an image; a recurrent network writes the caption word by word, attending to the
image for each word. The test images have new combinations: a colour and a shape never seen together, or two
things never seen in one image. They are evaluated once, at the end; the settings were chosen on the
combinations of the validation part.
"""

from nabi.datasets import shapes
from nabi.explain import CaptionedImage, captions_picture
from nabi.models import Captioner
from nabi.recipes._run._run import Run

__all__ = ["main", "make_captioner"]

PICTURES, HELD_OUT = 10_000, 1_000
IMAGE_SIZE = 48
DRAWN, SHOWN = 8, 5


def make_captioner(epochs: int, seed: int) -> Captioner:
    """Return the model, with the best settings on the validation images."""
    return Captioner(
        "gru",
        units=128,
        embedding_size=64,
        image_size=IMAGE_SIZE,
        channels=(16, 32, 64, 64),
        batch_size=32,
        epochs=epochs,
        seed=seed,
    )


def main(run: Run) -> None:
    """Learn from the training images, then caption images of unseen combinations."""
    # The data: images [N, 48, 48, 3] and their captions; the parts have different combinations.
    training, validation, test = shapes.load_data(
        PICTURES, HELD_OUT, HELD_OUT, image_size=IMAGE_SIZE, seed=run.seed
    )

    # The model and its training: running the same command again resumes an interrupted run.
    model = make_captioner(run.epochs, run.seed)
    with run.batches("captions", run.epochs) as bar:
        report = model.fit(
            *training,
            validation=validation,
            checkpoint=run.folder / "training.nabi",
            verbose=0,
            callbacks=bar,
        )
    run.interrupted = run.interrupted or report.interrupted
    model.save(run.folder / "model.nabi")

    # The results: how many captions are exactly right, and the attention for each word.
    said = [caption.text for caption in model.caption(test.images, beam=1)]
    right = [text == caption for text, caption in zip(said, test.captions, strict=True)]
    new_kinds = shapes.get_new_kinds("test")
    with_new_kind = [any(kind in caption for kind in new_kinds) for caption in test.captions]
    run.figures |= {
        "exactly_right": _share(right),
        "exactly_right_new_kind": _share([one for one, new in zip(right, with_new_kind, strict=True) if new]),
        "exactly_right_new_pair": _share(
            [one for one, new in zip(right, with_new_kind, strict=True) if not new]
        ),
        "validation_exactly_right": report.exact,
        "validation": report.validation,
        "training_seconds": round(report.seconds, 1),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "history": model.history,
        "epoch_seconds": [round(seconds, 1) for seconds in bar.seconds],
    }
    wrong = [number for number, one in enumerate(right) if not one]
    run.folder.write_text(
        "wrong.txt", "".join(f"{test.captions[number]}\n  said: {said[number]}\n" for number in wrong)
    )
    captions_picture(
        [
            CaptionedImage(
                test.images[number], said[number], model.attention(test.images[number], said[number]),
                test.captions[number],
            )
            for number in _to_draw(right)
            if said[number]
        ],
        run.folder / "captions.png",
        title="Unseen combinations: captions, and the attention for each word",
    )  # fmt: skip
    run.console.print(
        f"{run.figures['exactly_right']:.1%} of {len(right):,} captions of unseen combinations are exactly "
        f"right: {run.figures['exactly_right_new_kind']:.1%} with a colour and a shape never seen together, "
        f"{run.figures['exactly_right_new_pair']:.1%} with two things never seen together.",
        highlight=False,
    )
    for text in said[:SHOWN]:
        run.console.print(text, highlight=False, markup=False)


def _to_draw(right: list[bool]) -> list[int]:
    """Return the numbers of the first images; the last one is replaced by a wrong one, if any is wrong."""
    first = list(range(min(DRAWN, len(right))))
    wrong = [number for number, one in enumerate(right) if not one]
    if wrong and wrong[0] >= len(first):
        first[-1] = wrong[0]
    return first


def _share(right: list[bool]) -> float | None:
    return sum(right) / len(right) if right else None
