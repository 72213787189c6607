"""`nabi run moving-shapes`, on few clips."""

import json

import numpy as np
from PIL import Image

from nabi import ClipClassifier, recipes
from nabi.datasets import moving_shapes
from nabi.recipes.moving_shapes import mean, middle


def test_it_writes_figures_and_pictures(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nabi.recipes.moving_shapes.CLIPS", 40)
    monkeypatch.setattr("nabi.recipes.moving_shapes.HELD_OUT", 16)
    result = recipes.get("moving-shapes").run(tmp_path, epochs=1, seed=3)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["figures"] == result.figures
    model = ClipClassifier.load(tmp_path / "model.nabi")
    test = moving_shapes.load_data(40, 16, 16, image_size=32, seed=3)[2]
    right = np.mean(
        [one.label == label for one, label in zip(model.predict(test.clips), test.labels, strict=True)]
    )
    assert result.figures["accuracy"] == right
    assert result.figures["simple_models"]["majority"] == 0.125
    assert set(result.figures["simple_models"]) >= {"logistic regression on one frame"}
    assert set(result.figures["same_network_on"]) == {"one frame", "the mean of all frames"}
    with Image.open(tmp_path / "clips.png") as picture:
        assert picture.height > 800
    assert (tmp_path / "confusion.png").exists()
    assert not list(tmp_path.glob("training*"))


def test_in_the_controls_nothing_moves() -> None:
    clip = moving_shapes.load_data(1, 1, 1)[0].clips[0]
    for reduce in (middle, mean):
        found = reduce(clip)
        assert found.shape == (2, 32, 32, 3)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(middle(clip)[0], clip[len(clip) // 2])
    np.testing.assert_array_equal(mean(clip), mean(clip[::-1]))
