"""The frames of one clip: from a folder of images, an animated image, a video file, or an array."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._pictures._images import fit_image, fit_images
from nabi.data._text_files import check_file
from nabi.errors import ArgumentError, FileFormatError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MOST_FRAMES", "ClipFrames", "clip_frames", "is_clip", "natural", "read_clip"]

Pixels = npt.NDArray[np.uint8]

_VIDEO = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv")
_IMAGES = (
    ".gif", ".webp", ".png", ".apng", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm",
)  # fmt: skip
MOST_FRAMES = 64
"""Frames of a clip that are kept unless another number is wanted."""


class ClipFrames(NamedTuple):
    """The frames of a clip, and what they were before they were scaled and chosen."""

    frames: Pixels
    """`[T, size, size, 3]`, red, green and blue from 0 to 255."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of the frames in the file, each size once."""
    total: int
    """Frames in the file; T of them are kept."""


@public
def read_clip(path: str | os.PathLike[str], size: int, *, frames: int = MOST_FRAMES) -> ClipFrames:
    """Read a clip, with every frame scaled as by `read_image`.

    A clip is a folder of images, whose frames are in the order of their names (with numbers by value: 2
    before 10); an animated GIF, WebP, PNG or TIFF; or a video file, which needs the package `av`
    (`pip install 'nabi[video]'`). In a folder, files that are not images by their names are ignored.

    Args:
        path: of the folder or file.
        size: height and width in pixels.
        frames: frames at most; of a longer clip as many are kept, evenly spaced, with the first and the last.

    Raises:
        MissingFileError: if there is nothing with this name.
        FileFormatError: for a file that is damaged or not a clip, a damaged image in a folder, a folder
            without images, and a clip with a single frame.
        ArgumentError: for a size or number of frames that cannot be, and for a video file without `av`.
    """
    size = _checks.whole("size", size)
    frames = _checks.whole("frames", frames, 2)
    place = _checks.path("path", path)
    if place.is_dir():
        found = _of_folder(place, size, frames)
    else:
        check_file(place)
        found = (_of_video if place.suffix.lower() in _VIDEO else _of_image)(place, size, frames)
    if found.total == 1:
        raise FileFormatError(f"path: {place} has one frame; expected two or more, to show a motion")
    return found


def clip_frames(name: str, clip: Any, size: int, frames: int) -> ClipFrames:
    """Return the frames of a clip that is a path or an array `[T, height, width]` or with channels.

    Raises:
        ArgumentError, ShapeError: for an array that is no clip, with `name` in front; else as `read_clip`.
    """
    if isinstance(clip, str | os.PathLike):
        return read_clip(clip, size, frames=frames)
    try:
        array = np.asarray(clip)
        shape = array.shape
        if array.ndim not in (3, 4) or len(array) < 2:
            raise ShapeError(
                "images: expected a file, a folder, or two frames or more as (frames, height, width) or "
                f"(frames, height, width, channels), got the shape {shape}"
            )
        pixels = fit_images(array[_spread(len(array), frames)], size)
    except (ValueError, TypeError) as problem:
        text = str(problem).removeprefix("images: ")
        kind = type(problem) if isinstance(problem, ArgumentError) else ArgumentError
        raise kind(f"{name}: {text}") from None
    return ClipFrames(pixels, ((int(shape[2]), int(shape[1])),), len(array))


def is_clip(path: Path) -> bool:
    """Whether a file is meant as a clip by its name: an image, which may turn out to be still, or a video."""
    return path.suffix.lower() in (*_IMAGES, *_VIDEO)


def images_of(folder: Path) -> list[Path]:
    """Return the images directly in a folder in the order of their names, numbers by value."""
    return sorted(
        (one for one in folder.iterdir() if one.suffix.lower() in _IMAGES and one.name[0] != "."),
        key=lambda one: natural(one.name),
    )


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value.

    >>> sorted(["frame10.png", "frame9.png"], key=natural)
    ['frame9.png', 'frame10.png']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def _spread(count: int, frames: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the frames that are kept."""
    if count <= frames:
        return np.arange(count)
    return np.linspace(0, count - 1, frames).round().astype(np.int64)


def _of_folder(place: Path, size: int, frames: int) -> ClipFrames:
    from PIL import Image

    files = images_of(place)
    if not files:
        raise FileFormatError(f"path: the folder {place} has no images, so it is no clip")
    kept: list[Pixels] = []
    sizes: dict[tuple[int, int], None] = {}  # in the order of the frames
    for number in _spread(len(files), frames):
        try:
            with Image.open(files[number]) as image:
                sizes[image.size] = None
                kept.append(fit_image(image, size))
        except Exception as problem:  # its readers can raise almost any exception for a damaged file
            raise _damaged(files[number], problem) from problem
    return ClipFrames(np.stack(kept), tuple(sizes), len(files))


def _of_image(place: Path, size: int, frames: int) -> ClipFrames:
    from PIL import Image

    try:
        with Image.open(place) as image:
            count = int(getattr(image, "n_frames", 1))
            kept = []
            for number in _spread(count, frames):
                image.seek(int(number))
                kept.append(fit_image(image, size))
            return ClipFrames(np.stack(kept), (image.size,), count)
    except Exception as problem:
        raise _damaged(place, problem) from problem


def _damaged(place: Path, problem: Exception) -> FileFormatError:
    from PIL import UnidentifiedImageError

    unknown = isinstance(problem, UnidentifiedImageError)
    why = "not an image that Pillow can read" if unknown else f"damaged ({problem})"
    return FileFormatError(f"path: {place} is {why}")


def _of_video(place: Path, size: int, frames: int) -> ClipFrames:
    try:
        import av
    except ImportError:
        raise ArgumentError(
            f"path: {place} is a video file, and reading one needs the package av: pip install "
            "'nabi[video]'; or save its frames as images in a folder"
        ) from None

    try:
        count = sum(1 for _ in _decoded(av, place))
        if not count:
            raise FileFormatError(f"path: {place} has no frames")
        wanted = set(_spread(count, frames).tolist())
        kept: list[Pixels] = []
        sizes: dict[tuple[int, int], None] = {}
        for number, image in enumerate(_decoded(av, place)):
            if number in wanted:
                sizes[image.size] = None
                kept.append(fit_image(image, size))
        return ClipFrames(np.stack(kept), tuple(sizes), count)
    except FileFormatError:
        raise
    except Exception as problem:
        raise FileFormatError(f"path: {place} is not a video that can be read ({problem})") from problem


def _decoded(av: Any, place: Path) -> Iterator["Image"]:
    """Yield the frames of the first video stream, one at a time."""
    with av.open(str(place)) as container:
        if not container.streams.video:
            raise FileFormatError(f"path: {place} has no video stream")
        for frame in container.decode(video=0):
            yield frame.to_image()
