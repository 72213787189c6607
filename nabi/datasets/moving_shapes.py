"""Synthetic clips: a shape that moves, where only the motion is the class.

A clip has 8 to 16 frames of one of five shapes, in a random colour on a random background. The shape goes
left, right, up or down, grows or shrinks, or goes around in a circle, clockwise or counterclockwise, at a
random speed. Whatever leaves a frame comes in on the other side, and the largest size is followed by the
smallest. Therefore

- a single frame says nothing: frames of all motions have the same distribution, so nobody can be right more
  often than in one of eight clips from one frame;
- a motion and its reverse have the same frames in another order, so nobody who does not read their order (the
  mean of all frames, for example) can be right more often than in one of two;
- of the two circles, two frames say nothing either: the direction has to be followed over several.

The clips are generated, not downloaded: the same seed gives the same clips.
"""

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data import MOTIONS, MovingShapes, make_moving_shapes

__all__ = ["MOTIONS", "MovingShapes", "load_data"]

_SMALLEST = 16


@public
def load_data(
    training: int = 4_000,
    validation: int = 800,
    test: int = 800,
    *,
    image_size: int = 32,
    seed: int = 0,
) -> tuple[MovingShapes, MovingShapes, MovingShapes]:
    """Generate clips `[T, image_size, image_size, 3]`, 0 to 255, with their motions, in three parts.

    Args:
        training, validation, test: number of clips in each part; generating 1,000 takes about four seconds.
        image_size: height and width in pixels, from 16.
        seed: of everything random.

    Raises:
        ArgumentError: for fewer than 1 clip, frames too small to show a shape, or a negative seed.

    >>> training, validation, test = load_data(3, 1, 1)
    >>> training.clips[0].shape, training.labels[0]
    ((14, 32, 32, 3), 'right')
    """
    parts = {"training": training, "validation": validation, "test": test}
    counts = [_checks.whole(part, count) for part, count in parts.items()]
    image_size = _checks.whole("image_size", image_size, _SMALLEST)
    seed = _checks.seed("seed", seed)
    made = [
        make_moving_shapes(count, image_size, np.random.default_rng([seed, number, image_size]))
        for number, count in enumerate(counts)
    ]
    return made[0], made[1], made[2]
