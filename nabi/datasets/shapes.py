"""Synthetic captioned images: coloured shapes, each with its one correct caption.

An image shows one thing, or two in a row or a column. A thing has one of 10 colours, 6 shapes and 2 sizes,
and is in one of 9 places; its exact position, size and tone and the background are random. The image
determines the caption:

    a large red circle at the top left
    a small blue square to the left of a small green star
    a large black cross above a small pink diamond

The validation and test parts show combinations that are not in the training part. Of the 60 kinds (a colour
and a shape), each of the two has six that no other part has: one of each shape, each in a different colour.
Of the pairs of the other 48 kinds, each has a tenth that no other part has. Every image in these parts has a
new kind (always with one thing, half of the time with two) or a new pair of known kinds. The images are
generated, not downloaded: the same seed gives the same images.
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
    """Images and captions."""

    images: npt.NDArray[np.uint8]
    """`[N, image_size, image_size, 3]`, red, green and blue from 0 to 255."""
    captions: list[str]
    """One for each image."""


@public
def load_data(
    training: int = 10_000,
    validation: int = 1_000,
    test: int = 1_000,
    *,
    image_size: int = 48,
    seed: int = 0,
) -> tuple[Part, Part, Part]:
    """Generate images and captions for training, validation and test.

    Args:
        training, validation, test: number of images in each part; generating 1,000 takes about a second.
        image_size: height and width in pixels, from 24.
        seed: of everything random.

    Raises:
        ArgumentError: for fewer than 1 image, images too small to tell a square from a diamond, or a negative
            seed.

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
    """Return the combinations of colour and shape that occur only in "validation" or in "test".

    >>> get_new_kinds()
    ('purple circle', 'pink square', 'brown triangle', 'black diamond', 'white star', 'red cross')
    """
    return tuple(" ".join(kind) for kind in kinds(part))
