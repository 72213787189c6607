"""Pictures from files, in one size."""

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

__all__ = ["fit_images", "read_image", "read_images"]

Pixels = npt.NDArray[np.uint8]

_GREY = (128, 128, 128)  # Around a picture that is no square.
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}


@public
def read_image(path: str | os.PathLike[str], size: int) -> Pixels:
    """Read a picture as red, green and blue, `[size, size, 3]`, from 0 to 255.

    It is made larger or smaller so that it just fits, with grey on both sides where it is no square. Grey
    pictures become coloured ones, what is transparent becomes white, and a photograph is turned as it says.

    Args:
        path: of the file; any format that Pillow reads. Of several pictures in it the first is taken.
        size: height and width in pixels.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is no picture, or damaged.
        ArgumentError: for a folder, and a size below 1.
    """
    from PIL import Image, ImageOps

    size = _checks.whole("size", size)
    place = _checks.path("path", path)
    check_file(place)
    try:
        # Pillow warns of large pictures, and refuses those that are twice as large.
        with warnings.catch_warnings(action="ignore"), Image.open(place) as image:
            return _fitted(ImageOps.exif_transpose(image), size)
    # Its readers raise nearly anything for a file that is damaged in the right place.
    except Exception as problem:
        why = "no picture that Pillow knows" if _is_unknown(problem) else f"damaged ({problem})"
        raise FileFormatError(f"path: {place} is {why}") from problem


def read_images(paths: Sequence[str | os.PathLike[str]], size: int) -> tuple[Pixels, list[int], list[str]]:
    """Read pictures, and pass over files that are missing or damaged.

    Args:
        paths: of the files.
        size: see `read_image`.

    Returns:
        The pictures `[N, size, size, 3]`, which of the files they are, counted from 0, and for each file that
        was passed over what is wrong with it.
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
    """Return arrays of pictures as red, green and blue in one size, `[N, size, size, 3]`; see `read_image`.

    Args:
        images: `[N, height, width]`, or `[N, height, width, channels]` with 1, 3 or 4 channels (grey; red,
            green, blue; and how opaque), of whole numbers from 0 to 255.
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
        raise ShapeError("images: the pictures have several sizes, one is expected") from None
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in _CHANNELS or not array.shape[1] or not array.shape[2]:
        raise ShapeError(
            "images: expected (pictures, height, width) or (pictures, height, width, channels) with 1, 3 or "
            f"4 channels; got {np.shape(images)}"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(f"images: got {array.dtype}, expected whole numbers from 0 to 255, as uint8")
    if array.size and (array.min() < 0 or array.max() > 255):
        raise ArgumentError(f"images: got numbers from {array.min()} to {array.max()}, expected 0 to 255")
    array = array.astype(np.uint8)
    if array.shape[1:] == (size, size, 3):
        return array

    from PIL import Image

    mode = _CHANNELS[array.shape[3]]
    pictures = (Image.fromarray(one[..., 0] if mode == "L" else one) for one in array)
    fitted = [_fitted(picture, size) for picture in pictures]
    return np.stack(fitted) if fitted else np.empty((0, size, size, 3), np.uint8)


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
