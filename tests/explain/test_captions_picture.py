"""Where a captioner looks, as a picture."""

import numpy as np
import pytest
from PIL import Image

from nabi.errors import ArgumentError
from nabi.explain import CaptionedImage, captions_picture
from nabi.models import CaptionAttention


def captioned(words, regions=4, expected=None):
    """A bright picture, and a map per word that looks at one region after the other."""
    weights = np.zeros((len(words), regions, regions), np.float32)
    for number in range(len(words)):
        weights[number].flat[number] = 1
    image = np.full((16, 16, 3), 240, np.uint8)
    return CaptionedImage(image, " ".join(words), CaptionAttention(tuple(words), weights), expected)


def test_each_word_has_a_map_whose_light_region_was_looked_at(tmp_path) -> None:
    path = captions_picture([captioned(["a", "red", "star"])], tmp_path / "look.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L")).astype(int)
    # Of the picture and its three maps only a region of each map is light: columns of dark pixels tell.
    dark = (pixels < 80).sum(0) > 60
    begins = np.flatnonzero(dark[1:] & ~dark[:-1])
    assert len(begins) >= 3
    small = captions_picture([captioned(["a"])], tmp_path / "small.png")
    with Image.open(small) as one, Image.open(path) as other:
        assert one.height == other.height
    long = captions_picture([captioned(["word"] * 16), captioned(["a"])], tmp_path / "long.svg")
    assert long.read_text().count("<image") == 16 + 1 + 2


def test_what_is_wrong_and_what_is_right_are_written(tmp_path) -> None:
    rows = [captioned(["a", "star"], expected="a star"), captioned(["a", "cross"], expected="a 나비 star")]
    text = captions_picture(rows, tmp_path / "look.svg", title="Some & others").read_text()
    assert "a star; a cross" in text
    assert "#c0392b" in text
    assert "#c0392b" not in captions_picture(rows[:1], tmp_path / "right.svg").read_text()


def test_nothing_and_other_files_are_refused(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="captioned: expected images with captions, got none"):
        captions_picture([], tmp_path / "look.png")
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        captions_picture([captioned(["a"])], tmp_path / "look.jpg")
