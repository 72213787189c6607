"""Captions: a network that looks at pictures and says what is in them (one to many).

The pictures are made: coloured shapes in places, each with the one sentence that is right about it
(`nabi.datasets.shapes`). Convolutions read a picture; a recurrent network writes the sentence word by word,
and looks at the picture again for each word. The test pictures combine what no other picture combines: a
colour and a shape that were never seen together, or two things that were never seen in one picture. They are
looked at once, at the end; what the settings were chosen by are the combinations of the validation part.
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
    """Return the model, with the settings that were the best on the validation pictures."""
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
    """Learn from the training pictures, and caption pictures of combinations that it has never seen."""
    # The data: pictures [N, 48, 48, 3] and their sentences; the parts combine different things.
    training, validation, test = shapes.load_data(
        PICTURES, HELD_OUT, HELD_OUT, image_size=IMAGE_SIZE, seed=run.seed
    )

    # The model and its training: a run that was interrupted goes on when the same command is given again.
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

    # What it shows: how many captions are right to the letter, and where it looked for each word.
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
        title="Combinations never seen: what is said of them, and what was looked at for each word",
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
    """Return the numbers of the first pictures, the last of them one that is wrong, if any is."""
    first = list(range(min(DRAWN, len(right))))
    wrong = [number for number, one in enumerate(right) if not one]
    if wrong and wrong[0] >= len(first):
        first[-1] = wrong[0]
    return first


def _share(right: list[bool]) -> float | None:
    return sum(right) / len(right) if right else None
