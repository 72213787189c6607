"""Pictures from files and arrays, and captions from tables."""

import numpy as np
import pytest
from PIL import Image

from nabi.data import fit_images, read_captioned_images, read_image
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, ShapeError, UnknownNameError


def save(path, colour=(200, 10, 10), size=(6, 6), mode="RGB"):
    Image.new(mode, size, colour).save(path)
    return path


def test_pictures_keep_their_shape_with_grey_around(tmp_path) -> None:
    wide = read_image(save(tmp_path / "wide.png", size=(20, 10)), 8)
    assert wide.shape == (8, 8, 3)
    assert (wide[:2] == 128).all()
    assert (wide[-2:] == 128).all()
    assert (wide[2:-2] == (200, 10, 10)).all()
    array = np.full((1, 10, 20, 3), (200, 10, 10), np.uint8)
    np.testing.assert_array_equal(fit_images(array, 8)[0], wide)
    same = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(fit_images(same, 8), same)


def test_other_kinds_of_pictures_become_colours(tmp_path) -> None:
    grey = read_image(save(tmp_path / "grey.png", 90, mode="L"), 6)
    assert (grey == 90).all()
    clear = read_image(save(tmp_path / "clear.png", (200, 10, 10, 0), mode="RGBA"), 6)
    assert (clear == 255).all()
    half = fit_images(np.full((1, 6, 6, 4), (200, 0, 0, 255), np.uint8), 6)
    assert (half == (200, 0, 0)).all()
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((6, 6), 0x80FF, np.uint16)).save(deep)
    assert (read_image(deep, 6) == 0x80).all()
    assert (fit_images(np.full((3, 6, 6), 7), 6) == 7).all()
    assert fit_images(np.zeros((2, 6, 6, 1), np.int64), 6).shape == (2, 6, 6, 3)


def test_a_photograph_is_turned_as_it_says(tmp_path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(tmp_path / "turned.png", exif=exif)
    turned = read_image(tmp_path / "turned.png", 8)
    assert (turned[:4] == 0).all()
    assert (turned[4:] == 255).all()


def test_what_is_no_picture_is_refused(tmp_path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        read_image(tmp_path / "none.png", 8)
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(FileFormatError, match="not an image that Pillow can read"):
        read_image(tmp_path / "text.png", 8)
    random = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(random).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1000])
    with pytest.raises(FileFormatError, match=r"cut\.png is damaged"):
        read_image(tmp_path / "cut.png", 8)
    with pytest.raises(ArgumentError, match="got the folder"):
        read_image(tmp_path, 8)
    with pytest.raises(ArgumentError, match="size: expected a whole number of at least 1, got 0"):
        read_image(tmp_path / "whole.png", 0)
    for wrong, kind, message in (
        (np.zeros((2, 6, 6, 2), np.uint8), ShapeError, "1, 3 or 4 channels"),
        (np.zeros((6, 6), np.uint8), ShapeError, r"got \(6, 6\)"),
        (
            np.zeros((2, 6, 6, 3)),
            ArgumentError,
            "expected whole numbers from 0 to 255, as uint8, got float64",
        ),
        (np.full((2, 6, 6, 3), 300), ArgumentError, "got 300 to 300"),
    ):
        with pytest.raises(kind, match=message):
            fit_images(wrong, 6)


def write(tmp_path, text, name="captions.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_captions_of_a_table(tmp_path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", (0, 0, 200))
    table = write(tmp_path, "caption,image\na wall,a.png\na red wall,a.png\na blue wall,b.png\n")
    found = read_captioned_images(tmp_path, table, size=4)
    assert found.captions == ["a wall", "a red wall", "a blue wall"]
    assert found.images[:, 0, 0].tolist() == [[200, 10, 10], [200, 10, 10], [0, 0, 200]]
    assert found.skipped == ()
    named = write(tmp_path, "file\tx\twords\na.png\t1\ta wall\n", "named.tsv")
    assert read_captioned_images(tmp_path, named, size=4, image="file", caption="words").captions == [
        "a wall"
    ]
    # Without names, the first two columns; also of names that mean nothing.
    bare = write(tmp_path, "a.png,a wall\nb.png,a blue wall\n", "bare.csv")
    assert read_captioned_images(tmp_path, bare, size=4).captions == ["a wall", "a blue wall"]
    odd = write(tmp_path, "one,two\na.png,a wall\n", "odd.csv")
    assert read_captioned_images(tmp_path, odd, size=4).captions == ["a wall"]


def test_rows_that_cannot_be_used_are_counted_and_named(tmp_path) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("x")
    rows = [
        "a.png,one",
        "gone.png,two",
        "b.png,",
        ",three",
        "text.png,four",
        "c.png,five",
        "d.png,six",
        "a.png,7",
    ]
    table = write(tmp_path, "\n".join(["image,caption", *rows[:3], *rows[4:]]) + "\n")
    found = read_captioned_images(tmp_path, table, size=4)
    assert found.captions == ["one", "five", "six", "7"]
    assert len(found.skipped) == 3
    assert "there is no file" in found.skipped[0]
    assert "gone.png" in found.skipped[0]
    assert found.skipped[1] == "row 3 has no caption"
    assert "text.png is not an image" in found.skipped[2]
    table = write(tmp_path, "\n".join(["image,caption", *rows[:5]]) + "\n")
    with pytest.raises(
        ArgumentError, match=r"4 of 5 rows of .*captions\.csv cannot be used: there is no file"
    ):
        read_captioned_images(tmp_path, table, size=4)
    with pytest.raises(ArgumentError, match="row 4 has no file name"):
        read_captioned_images(tmp_path, table, size=4)


def test_wrong_tables_are_refused(tmp_path) -> None:
    table = write(tmp_path, "image,caption\na.png,one\n")
    with pytest.raises(ArgumentError, match="expected the folder of the images"):
        read_captioned_images(tmp_path / "none", table, size=4)
    with pytest.raises(MissingFileError):
        read_captioned_images(tmp_path, tmp_path / "none.csv", size=4)
    with pytest.raises(UnknownNameError, match="caption: 'captoin' is not known; did you mean 'caption'"):
        read_captioned_images(tmp_path, table, size=4, caption="captoin")
    with pytest.raises(ArgumentError, match="got only 'image'"):
        read_captioned_images(tmp_path, write(tmp_path, "image\na.png\n", "one.csv"), size=4)
    with pytest.raises(ArgumentError, match="got 'caption' for both"):
        read_captioned_images(tmp_path, table, size=4, image="caption")
