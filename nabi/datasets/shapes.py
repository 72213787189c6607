"""Made pictures for captions: coloured shapes in places, with the one sentence that is right about each.

A picture shows one thing, or two in a row or a column. A thing has one of 10 colours, 6 shapes and 2 sizes,
and is in one of 9 places; where in it exactly, how large, its tone and the background are random. The
sentence is determined by the picture:

    a large red circle at the top left
    a small blue square to the left of a small green star
    a large black cross above a small pink diamond

Nothing that is new about a picture of the validation or test part is seen in the training part. Of the 60
kinds (a colour and a shape) each of the two has six that no other part shows: one of each shape, each in
another colour. Of the pairs of the other 48 kinds each has a tenth that no other part shows together. Every
picture there has a new kind (one thing: always; two: half of them) or a new pair of known kinds. The pictures
are made, not downloaded: the same seed gives the same pictures.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._pictures._shapes import PARTS, draw, kinds, make_scenes

__all__ = ["Part", "get_new_kinds", "load_data"]

_SMALLEST = 24


class Part(NamedTuple):
    """Pictures and what they show."""

    images: npt.NDArray[np.uint8]
    """`[N, image_size, image_size, 3]`, red, green and blue from 0 to 255."""
    captions: list[str]
    """The sentence about each."""


@public
def load_data(
    training: int = 10_000,
    validation: int = 1_000,
    test: int = 1_000,
    *,
    image_size: int = 48,
    seed: int = 0,
) -> tuple[Part, Part, Part]:
    """Make pictures and their captions for training, validation and test.

    Args:
        training, validation, test: how many pictures each has; about a thousand are made in a second.
        image_size: of a picture, in pixels, from 24.
        seed: of everything random.

    Raises:
        ArgumentError: for a number of pictures below 1, pictures that are too small to tell a square from a
            diamond, a negative seed.

    >>> training, validation, test = load_data(3, 1, 1)
    >>> training.images.shape, training.captions[0]
    ((3, 48, 48, 3), 'a large purple square above a large yellow star')
    """
    given = zip(PARTS, (training, validation, test), strict=True)
    counts = [_checks.whole(part, count) for part, count in given]
    image_size = _checks.whole("image_size", image_size, _SMALLEST)
    seed = _checks.seed("seed", seed)
    made = []
    for number, (part, count) in enumerate(zip(PARTS, counts, strict=True)):
        scenes = make_scenes(part, count, seed)
        random = np.random.default_rng([seed, number, image_size])
        images = np.stack([draw(scene, image_size, random) for scene in scenes])
        made.append(Part(images, [str(scene) for scene in scenes]))
    return made[0], made[1], made[2]


def get_new_kinds(part: str = "test") -> tuple[str, ...]:
    """Return the colours and shapes that only "validation" or "test" shows together.

    >>> get_new_kinds()
    ('purple circle', 'pink square', 'brown triangle', 'black diamond', 'white star', 'red cross')
    """
    return tuple(" ".join(kind) for kind in kinds(part))
