"""`nabi train FOLDER --captions TABLE` and `nabi caption`."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from .logged import check_logged

COLOURS = {"red": 0, "blue": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of walls, and a table of what is in them."""
    folder = tmp_path_factory.mktemp("walls")
    random = np.random.default_rng(0)
    lines = ["image,caption"]
    for number in range(60):
        colour = list(COLOURS)[number % 2]
        image = random.integers(0, 40, (12, 18, 3)).astype(np.uint8)
        image[..., COLOURS[colour]] += 180
        Image.fromarray(image).save(folder / f"{number}.png")
        lines.append(f'{number}.png,"A {colour} wall"')
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


SMALL = ["--image-size", 8, "--units", 16, "--embedding-size", 8, "--learning-rate", 0.01, "--batch-size", 8]


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    from nabi.cli import main

    place = tmp_path_factory.mktemp("model") / "walls.nabi"
    command = ["train", folder, "--captions", folder / "captions.csv", *SMALL, "--epochs", 25, "--out", place]
    command += ["--log-dir", place.parent / "logs"]
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in command])
    assert not end.value.code
    return place


def test_a_folder_becomes_a_model_with_figures_and_a_picture(model, folder) -> None:
    figures = json.loads(model.with_suffix(".json").read_text())
    assert figures["report"]["train"] == 54
    assert figures["report"]["held_out"] == 6
    assert figures["report"]["exact"] == 1.0
    assert figures["settings"]["image_size"] == 8
    with Image.open(model.with_suffix(".png")) as picture:
        assert min(picture.size) > 300
    check_logged(model.parent / "logs", model.with_suffix(".json"))
    assert not model.with_suffix(".training").exists()


def test_pictures_are_captioned(model, folder, nabi, tmp_path) -> None:
    outcome = nabi("caption", model, folder / "0.png", "--beam", 1)
    assert (outcome.status, outcome.out) == (0, "a red wall\n")
    look = tmp_path / "look.png"
    outcome = nabi("caption", model, folder / "0.png", folder / "1.png", "--attention", look)
    assert outcome.out.splitlines() == [
        f"{folder / '0.png'}: a red wall",
        f"{folder / '1.png'}: a blue wall",
        f"The attention is in {look}",
    ]
    assert look.stat().st_size > 1000
    outcome = nabi("caption", model, folder / "0.png", "--best", 2)
    lines = outcome.out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("a red wall  (log probability -0.")


def test_captions_as_a_table_and_as_json(model, folder, nabi, tmp_path) -> None:
    pictures = [folder / "0.png", folder / "1.png"]
    out = tmp_path / "said.csv"
    outcome = nabi("caption", model, *pictures, "--best", 2, "--out", out)
    assert (outcome.status, outcome.out) == (0, "")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["image", "caption", "log_probability", "caption_2", "log_probability_2"]
    assert [(row["image"], row["caption"]) for row in rows] == [
        (str(pictures[0]), "a red wall"),
        (str(pictures[1]), "a blue wall"),
    ]
    assert all(0 > float(row["log_probability"]) > float(row["log_probability_2"]) for row in rows)
    outcome = nabi("caption", model, *pictures, "--json", "--best", 2)
    for line, row in zip(outcome.out.splitlines(), rows, strict=True):
        said = json.loads(line)
        assert said["image"] == row["image"]
        assert [one["text"] for one in said["captions"]] == [row["caption"], row["caption_2"]]
    outcome = nabi("caption", model, *pictures, "--json", "--out", tmp_path / "a.csv")
    assert (outcome.status, "--out: expected a name that ends in .jsonl with --json" in outcome.err) == (
        2,
        True,
    )


def test_what_is_wrong_is_one_line(model, folder, nabi, tmp_path) -> None:
    (tmp_path / "text.png").write_text("text")
    for arguments, message in [
        (["caption", model, tmp_path / "none.png"], "there is no file"),
        (["caption", model, tmp_path / "text.png"], "text.png is not an image that Pillow can read"),
        (["caption", model, folder / "0.png", "--beam", 0], "beam: expected a whole number"),
        (["caption", model, folder / "0.png", "--best", 5], "best: expected at most the beam of 3, got 5"),
        (["caption", model, folder / "0.png", "--attention", tmp_path / "x.jpg"], "ends in .svg or .png"),
        (["caption", folder / "0.png", folder / "0.png"], "0.png"),
        (["train", folder, "--captions", tmp_path / "none.csv"], "there is no file"),
        (["train", tmp_path / "none", "--captions", folder / "captions.csv"], "there is no file"),
        (["train", folder, "--captions", folder / "captions.csv", "--image", "file"], "'file' is not known"),
        (["train", folder, "--captions", folder / "captions.csv", "--lines"], "it means nothing for a "
         "folder of pictures with captions"),
        (["train", folder, "--captions", folder / "captions.csv", "--cell", "lstm", "--cell", "gru"],
         "captions are learnt by one"),
    ]:  # fmt: skip
        outcome = nabi(*arguments)
        assert (outcome.status, message in outcome.err) == (2, True), (arguments, outcome)
        assert outcome.err.count("\n") == 1


def test_missing_pictures_are_counted_and_named_before_training(folder, nabi, tmp_path) -> None:
    table = tmp_path / "some.csv"
    rows = (folder / "captions.csv").read_text().splitlines()[1:9]
    table.write_text("\n".join(["image,caption", *rows, "gone.png,A wall", "lost.png,A wall"]) + "\n")
    out = tmp_path / "m.nabi"
    outcome = nabi("train", folder, "--captions", table, *SMALL, "--epochs", 1, "--out", out)
    assert outcome.status == 0, outcome
    first = outcome.out.splitlines()[:3]
    assert first[0] == "2 of 10 rows are left out:"
    assert "gone.png" in first[1]
    assert "lost.png" in first[2]
    assert len(json.loads((tmp_path / "m.json").read_text())["skipped"]) == 2
    table.write_text("image,caption\ngone.png,A wall\nlost.png,A wall\n")
    outcome = nabi("train", folder, "--captions", table, *SMALL, "--out", out, "--overwrite")
    assert outcome.status == 2
    assert "2 of 2 rows of" in outcome.err
    assert "gone.png" in outcome.err


def test_the_form_is_listed(folder, nabi) -> None:
    outcome = nabi("train", folder)
    assert outcome.status == 2
    assert "nabi train FOLDER --captions TABLE" in outcome.err
