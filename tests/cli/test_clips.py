"""`nabi train --frames`, `nabi predict` and `nabi evaluate` on folders of clips."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nabi.models import ClipClassifier

from .logged import check_logged

SMALL = (
    "--units", 12, "--image-size", 8, "--epochs", 4, "--learning-rate", 0.02, "--batch-size", 8,
    "--dropout", 0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def write(folder: str, count: int) -> Path:
    """Clips that become lighter or darker, as GIF and as folders of images in two sizes."""
    random = np.random.default_rng(count)
    for number in range(count):
        label = "lighter" if number % 2 else "darker"
        shades = np.linspace(20, 230, int(random.integers(4, 7))) + random.integers(-15, 15)
        shades = shades if number % 2 else shades[::-1]
        size = 8 if number % 3 else 24
        images = [
            Image.fromarray(np.full((size, size, 3), shade, np.uint8)) for shade in shades.astype(np.uint8)
        ]
        place = Path(folder, label, f"clip{number}")
        if number % 5:
            place.parent.mkdir(parents=True, exist_ok=True)
            images[0].save(place.with_suffix(".gif"), save_all=True, append_images=images[1:], duration=50)
        else:
            place.mkdir(parents=True)
            for frame, image in enumerate(images):
                image.save(place / f"{frame}.png")
    return Path(folder)


def test_a_folder_of_clips_becomes_a_model(nabi) -> None:
    folder, test = write("clips", 40), write("new", 12)
    (folder / "lighter" / "broken.gif").write_bytes(b"GIF89a")
    Image.new("RGB", (8, 8)).save(folder / "darker" / "still.png")
    outcome = nabi("train", folder, "--frames", *SMALL, "--test", test, "--log-dir", "logs")
    assert (outcome.status, outcome.err) == (0, "")
    assert "clips: 40 clips of 2 classes, 4 to 6 frames each" in outcome.out
    assert (
        "Frames are resized to 8 × 8. Sizes, and how many clips have them: 8 × 8 (26), 24 × 24 (14)"
        in outcome.out
    )
    assert "2 of 42 clips are left out:\n  clips/darker/still.png has one frame" in outcome.out
    assert "clips/lighter/broken.gif is" in outcome.out
    assert "logistic regression on the mean of all frames" in outcome.out
    assert (
        "The model is in clips.nabi, its figures in clips.json, the confusion matrix in clips.png"
        in outcome.out
    )
    assert "It labels clips with: nabi predict clips.nabi CLIP" in outcome.out
    check_logged("logs", "clips.json")
    written = json.loads(Path("clips.json").read_text())
    assert (written["folder"], written["test"], len(written["skipped"])) == ("clips", "new", 2)
    assert written["report"]["held_out"] == 12
    model = ClipClassifier.load("clips.nabi")
    assert written["report"] == json.loads(json.dumps(model.report.to_dict()))
    assert Path("clips.png").read_bytes().startswith(b"\x89PNG")

    # Single clips, files and folders.
    clips = ["new/lighter/clip1.gif", "new/darker/clip0"]
    outcome = nabi("predict", "clips.nabi", *clips, "--top", 2)
    assert outcome.status == 0, outcome.err
    rows = list(csv.DictReader(outcome.out.splitlines()))
    assert [row["sequence"] for row in rows] == clips
    told = model.predict(clips)
    assert [row["label"] for row in rows] == [one.label for one in told]
    assert float(rows[0]["probability"]) == pytest.approx(told[0].probability, abs=1e-5)
    outcome = nabi("predict", "clips.nabi", clips[0], "--out", "told.jsonl")
    assert outcome.status == 0, outcome.err
    assert json.loads(Path("told.jsonl").read_text())["sequence"] == clips[0]

    # A folder of them with their labels.
    outcome = nabi("evaluate", "clips.nabi", test, "--out", "figures.json", "--picture", "matrix.svg")
    assert outcome.status == 0, outcome.err
    assert json.loads(Path("figures.json").read_text())["scores"] == written["report"]["scores"]
    assert Path("matrix.svg").exists()

    # What is wrong ends with a message and status 2.
    for arguments, message in [
        (("predict", "clips.nabi", "clips/darker/still.png"), "has one frame; expected two or more"),
        (("predict", "clips.nabi", "none"), "there is no file none"),
        (("predict", "clips.nabi", clips[0], "--separator", ";"), "--separator: it means nothing for"),
        (("predict", "clips.nabi"), "FILE: expected one or more files"),
        (("evaluate", "clips.nabi", clips[1]), "expected in new/darker/clip0 a folder for each class"),
        (("evaluate", "clips.nabi", test, "--label", "x"), "--label: it means nothing for a model of clips"),
    ]:
        outcome = nabi(*arguments)
        assert (outcome.status, message in outcome.err) == (2, True), outcome.err


def test_what_cannot_be_trained_on(nabi) -> None:
    Path("empty").mkdir()
    for arguments, message in [
        (("empty", "--frames"), "expected in empty a folder for each class with clips in it"),
        (("none", "--frames"), "there is no file none"),
        (
            ("empty", "--frames", "--encoding", "latin-1"),
            "--encoding: it means nothing for a folder of clips",
        ),
        (("empty", "--frames", "--most-frames", "1"), "most-frames"),
    ]:
        outcome = nabi("train", *arguments)
        assert (outcome.status, message in outcome.err) == (2, True), outcome.err
    assert list(Path().iterdir()) == [Path("empty")]
