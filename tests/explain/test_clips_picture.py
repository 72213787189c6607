"""Pictures of clips: strips of frames, and what is said after each."""

import numpy as np
import pytest

from nabi import ClipClassifier
from nabi.errors import ArgumentError
from nabi.explain import clips_picture

CLIPS = [np.full((frames, 8, 8, 3), 40 * frames, np.uint8) for frames in (2, 3, 4, 5)]


@pytest.fixture(scope="module")
def model():
    made = ClipClassifier(image_size=8, channels=(2,), features=3, units=3, epochs=1, batch_size=4)
    made.fit(CLIPS, ["went <left>", "$right$"] * 2, validation_share=0, verbose=0)
    return made


def test_a_strip_says_what_the_model_says(model, tmp_path) -> None:
    path = clips_picture(
        model, CLIPS[1:3], tmp_path / "clips.svg", labels=["$right$", "went <left>"], title="Two", most=3
    )
    written = path.read_text()
    assert written.count("<image") == 6
    said = {model.labels.names[int(row.argmax())] for clip in CLIPS[1:3] for row in model.steps(clip)}
    shown = [name.replace("<", "&lt;").replace(">", "&gt;") for name in said]
    assert all(name in written for name in shown)
    assert clips_picture(model, CLIPS[:1], tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("clips", "name", "options", "message"),
    [
        (CLIPS, "a.txt", {}, "expected"),
        ([], "a.png", {}, "clips: expected clips to draw, got none"),
        (CLIPS, "a.png", {"labels": ["x"]}, "labels: expected one for each of 4 clips, got 1"),
        (CLIPS, "a.png", {"most": 1}, "most: expected"),
    ],
)
def test_what_is_refused(model, tmp_path, clips, name: str, options, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        clips_picture(model, clips, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())
