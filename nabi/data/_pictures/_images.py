"""Images from files, scaled to one size."""

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._text_files import check_file
from nabi.errors import ArgumentError, FileFormatError, NabiError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["fit_image", "fit_images", "read_image", "read_images"]

Pixels = npt.NDArray[np.uint8]

_GREY = (128, 128, 128)  # Padding of an image that is not square.
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}


@public
def read_image(path: str | os.PathLike[str], size: int) -> Pixels:
    """Read an image as RGB, `[size, size, 3]`, from 0 to 255.

    It is scaled to fit and padded with grey if it is not square. Greyscale images are converted to RGB,
    transparency becomes white, and the EXIF orientation is applied.

    Args:
        path: of the file, in any format that Pillow reads; if it has several images, the first is read.
        size: height and width in pixels.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged or not an image.
        ArgumentError: for a folder, and a size below 1.
    """
    from PIL import Image

    size = _checks.whole("size", size)
    place = _checks.path("path", path)
    check_file(place)
    try:
        # Pillow warns about large images, and refuses those twice as large.
        with warnings.catch_warnings(action="ignore"), Image.open(place) as image:
            return fit_image(image, size)
    # Its readers can raise almost any exception for a damaged file.
    except Exception as problem:
        why = "not an image that Pillow can read" if _is_unknown(problem) else f"damaged ({problem})"
        raise FileFormatError(f"path: {place} is {why}") from problem


def read_images(paths: Sequence[str | os.PathLike[str]], size: int) -> tuple[Pixels, list[int], list[str]]:
    """Read images, skipping files that are missing or damaged.

    Args:
        paths: of the files.
        size: see `read_image`.

    Returns:
        The images `[N, size, size, 3]`, the index of the file of each, and the reason for each skipped file.
    """
    size = _checks.whole("size", size)
    images, rows, problems = [], [], []
    for row, path in enumerate(paths):
        try:
            images.append(read_image(path, size))
            rows.append(row)
        except NabiError as problem:
            problems.append(str(problem).removeprefix("path: "))
    return np.stack(images) if images else np.empty((0, size, size, 3), np.uint8), rows, problems


@public
def fit_images(images: Any, size: int) -> Pixels:
    """Return arrays of images as RGB in one size, `[N, size, size, 3]`; see `read_image`.

    Args:
        images: `[N, height, width]`, or `[N, height, width, channels]` with 1, 3 or 4 channels (grey, RGB or
            RGBA), of whole numbers from 0 to 255.
        size: height and width in pixels.

    Raises:
        ShapeError: for arrays of another shape.
        ArgumentError: for other numbers, and a size below 1.

    >>> fit_images(np.zeros((2, 10, 20), np.uint8), 8)[0, :, 4, 0].tolist()
    [128, 128, 0, 0, 0, 0, 128, 128]
    """
    size = _checks.whole("size", size)
    try:
        array = np.asarray(images)
    except ValueError:
        raise ShapeError("images: expected images of one size, got several sizes") from None
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in _CHANNELS or not array.shape[1] or not array.shape[2]:
        raise ShapeError(
            "images: expected (images, height, width) or (images, height, width, channels) with 1, 3 or "
            f"4 channels, got {np.shape(images)}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(f"images: expected whole numbers from 0 to 255, as uint8, got {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > 255):
        raise ArgumentError(f"images: expected numbers from 0 to 255, got {array.min()} to {array.max()}")
    array = array.astype(np.uint8)
    if array.shape[1:] == (size, size, 3):
        return array

    from PIL import Image

    mode = _CHANNELS[array.shape[3]]
    pictures = (Image.fromarray(one[..., 0] if mode == "L" else one) for one in array)
    fitted = [_fitted(picture, size) for picture in pictures]
    return np.stack(fitted) if fitted else np.empty((0, size, size, 3), np.uint8)


def fit_image(image: "Image", size: int) -> Pixels:
    """Return an image of Pillow as RGB, `[size, size, 3]`; see `read_image`."""
    from PIL import ImageOps

    with warnings.catch_warnings(action="ignore"):
        return _fitted(ImageOps.exif_transpose(image), size)


def _fitted(image: "Image", size: int) -> Pixels:
    from PIL import Image, ImageOps

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (size, size):
        image = ImageOps.pad(image, (size, size), Image.Resampling.BICUBIC, color=_GREY)
    return np.asarray(image, dtype=np.uint8)


def _is_unknown(problem: Exception) -> bool:
    from PIL import UnidentifiedImageError

    return isinstance(problem, UnidentifiedImageError)
