"""`nabi run captions`, on few pictures."""

import json

from PIL import Image

from nabi import Captioner, recipes
from nabi.datasets import shapes


def test_it_writes_figures_captions_and_a_picture(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nabi.recipes.captions.PICTURES", 64)
    monkeypatch.setattr("nabi.recipes.captions.HELD_OUT", 12)
    monkeypatch.setattr("nabi.recipes.captions.DRAWN", 3)
    result = recipes.get("captions").run(tmp_path, epochs=1, seed=3)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["figures"] == result.figures
    shares = [result.figures[f"exactly_right{kind}"] for kind in ("", "_new_kind", "_new_pair")]
    assert all(0 <= share <= 1 for share in shares)
    model = Captioner.load(tmp_path / "model.nabi")
    test = shapes.load_data(64, 12, 12, image_size=48, seed=3)[2]
    said = [caption.text for caption in model.caption(test.images, beam=1)]
    right = sum(text == caption for text, caption in zip(said, test.captions, strict=True))
    assert shares[0] == right / 12
    assert (tmp_path / "wrong.txt").read_text().count("  said: ") == 12 - right
    with Image.open(tmp_path / "captions.png") as picture:
        assert picture.height > 300
    assert not (tmp_path / "training.nabi").exists()
