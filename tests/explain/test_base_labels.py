"""The picture of labels along a sequence."""

import numpy as np
import pytest
from PIL import Image

from nabi.errors import ArgumentError, ShapeError
from nabi.explain import base_labels_picture

LABELS = ["exon", "intron"]


def values(length: int) -> np.ndarray:
    first = np.linspace(0, 1, length)
    return np.stack([first, 1 - first], 1)


@pytest.mark.parametrize("length", [2, 40, 400])
def test_a_picture_of_two_readings(tmp_path, length) -> None:
    path = tmp_path / "labels.png"
    readings = {"network": values(length), "best": values(length)[::-1]}
    truth = ["exon"] * (length // 2) + ["intron"] * (length - length // 2)
    assert base_labels_picture("A" * length, readings, LABELS, path, truth=truth, title="Labels") == path
    with Image.open(path) as picture:
        assert picture.width > 1000
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0xE0, 0x82, 0x14), (0x3B, 0x6E, 0xA5)):
        assert (pixels == colour).all(1).mean() > 0.02


def test_what_does_not_fit_is_refused(tmp_path) -> None:
    path = tmp_path / "labels.png"
    for said, kind, message in [
        ({"readings": {}}, ArgumentError, "readings: expected probabilities of one base or more, got none"),
        (
            {"readings": {"a": values(3)}},
            ShapeError,
            r"readings\['a'\]: expected the shape \(4, 2\)",
        ),
        ({"labels": []}, ArgumentError, "labels: expected 1 to 8, got 0"),
        ({"truth": ["exon"]}, ShapeError, "truth: expected 4 labels, got 1"),
        ({"truth": ["exon"] * 3 + ["x"]}, ArgumentError, "truth: expected one of exon, intron, got 'x'"),
        ({"path": tmp_path / "labels.txt"}, ArgumentError, "ends in .svg or .png"),
    ]:
        usual = {"sequence": "ACGT", "readings": {"a": values(4)}, "labels": LABELS, "path": path}
        with pytest.raises(kind, match=message):
            base_labels_picture(**{**usual, **said})
    assert not path.exists()
