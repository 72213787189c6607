"""`nabi train` on CoNLL files, and `nabi predict` and `nabi evaluate` with what it has made."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nabi.data import read_tagged

from ..models.tagger.corpus import as_conll, sentences
from .logged import check_logged

SMALL = ["--cell", "gru", "--units", 16, "--embedding-size", 16, "--characters", 8, "--dropout", 0.1]
SMALL += ["--batch-size", 8, "--epochs", 8, "--learning-rate", 0.03]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tags")
    (folder / "names.conll").write_text("-DOCSTART- X O\n\n".replace(" ", "\t") + as_conll(*sentences(200)))
    (folder / "more.conll").write_text(as_conll(*sentences(20, 1)))
    tokens, tags = sentences(40)
    lines = [
        json.dumps({"words": row, "kinds": ["NAME" if tag != "O" else "WORD" for tag in said]}) + "\n"
        for row, said in zip(tokens, tags, strict=True)
    ]
    (folder / "lists.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nabi.cli import main

    place = tmp_path_factory.mktemp("model") / "names.nabi"
    logs = ["--log-dir", place.with_name("logs")]
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in ("train", folder / "names.conll", *SMALL, *logs, "--out", place)])
    assert not end.value.code
    return place


def test_a_conll_file_becomes_a_model_with_figures_and_a_picture(model: Path) -> None:
    figures = json.loads(model.with_suffix(".json").read_text())
    report = figures["report"]
    assert (report["part"], report["held_out"], report["train"]) == ("test", 20, 162)
    assert report["f1"] > 0.6 > 0.3 > report["baselines"]["most frequent tag of each token"]
    with Image.open(model.with_suffix(".png")) as picture:
        assert min(picture.size) > 300
    check_logged(model.with_name("logs"), model.with_suffix(".json"))


def test_texts_are_tagged_as_lines_and_as_json(model: Path, nabi: Any, tmp_path: Path) -> None:
    text = "Kalo met Miru in Solten."
    shown = nabi("predict", model, text)
    rows = [line.split("\t") for line in shown.out.splitlines()]
    assert [token for token, _ in rows] == ["Kalo", "met", "Miru", "in", "Solten", "."]
    found = json.loads(nabi("predict", model, text, "--json").out)
    assert [tag for _, tag in rows] == found["tags"]
    assert found["spans"][-1]["text"] == "Solten"
    lines = tmp_path / "new.txt"
    lines.write_text(f"{text}\n\nit rained .\n")
    done = nabi("predict", model, "--file", lines, "--out", tmp_path / "said.jsonl")
    assert (done.status, done.out) == (0, "")
    written = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert written[0] == found
    assert [len(one["tokens"]) for one in written] == [6, 0, 3]


def test_a_conll_file_keeps_its_columns_and_gets_one_more(
    model: Path, folder: Path, nabi: Any, tmp_path: Path
) -> None:
    out = tmp_path / "said.conll"
    assert nabi("predict", model, "--file", folder / "more.conll", "--out", out).status == 0
    given, said = read_tagged(folder / "more.conll"), read_tagged(out)
    assert (said.tokens, read_tagged(out, tag=2).tags) == (given.tokens, given.tags)
    assert nabi("predict", model, folder / "more.conll").out == out.read_text()
    assert nabi("predict", model, "--file", folder / "more.conll", "--out", out).status == 2
    assert nabi("predict", model, "--file", folder / "more.conll", "--out", tmp_path / "said.csv").status == 0
    with (tmp_path / "said.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["tag"] for row in rows] == [tag for row in said.tags or () for tag in row]
    assert rows[-1]["sentence"] == "19"
    # Its own result is a test file: the tags of the model are the last column.
    assert (
        nabi("evaluate", model, out, "--label", "2", "--json").out
        == nabi("evaluate", model, folder / "more.conll", "--json").out
    )
    perfect = json.loads(nabi("evaluate", model, out, "--json").out)
    assert (perfect["f1"], perfect["scores"]["accuracy"]) == (1.0, 1.0)


def test_a_model_is_measured_by_type_and_beside_the_usual_baseline(
    model: Path, folder: Path, nabi: Any, tmp_path: Path
) -> None:
    out, picture = tmp_path / "measured.json", tmp_path / "measured.png"
    shown = nabi("evaluate", model, folder / "more.conll", "--out", out, "--picture", picture)
    assert shown.status == 0
    for word in ("spans: precision", "LOC", "ORG", "PER", "most frequent tag of each token: span F1"):
        assert word in shown.out
    assert json.loads(out.read_text())["f1"] > 0.6
    assert picture.exists()


def test_tables_with_lists_and_parts_of_ones_own(folder: Path, nabi: Any, tmp_path: Path) -> None:
    place = tmp_path / "kinds.nabi"
    lists = ["--tag", "kinds", "--token", "words"]
    done = nabi(
        "train", folder / "lists.jsonl", *lists, *SMALL, "--epochs", 1, "--test", folder / "lists.jsonl",
        "--validation", folder / "lists.jsonl", "--out", place, "--json",
    )  # fmt: skip
    assert done.status == 0
    report = json.loads(done.out)["report"]
    assert (report["train"], report["held_out"], report["scheme"]) == (40, 40, None)
    assert "40 sentences, 40 to stop by, 40 to test on; 2 different tags" in done.err
    rows = nabi("predict", place, "--file", folder / "lists.jsonl", "--json").out.splitlines()
    assert json.loads(rows[0])["tokens"] == sentences(1)[0][0]
    assert nabi("evaluate", place, folder / "lists.jsonl").status == 0


def test_what_is_wrong_is_one_line(model: Path, folder: Path, nabi: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.conll"
    bad.write_text("a\tO\nb\n")
    for arguments, message in [
        (("train", bad), f"{bad}, line 2: expected 2 columns with tabs between them, as in line 1, got 1"),
        (("train", folder / "names.conll", "--tag", 9), "--tag: expected a column from 0 to 2"),
        (("train", folder / "names.conll", "--text", "x"), "--text: it means nothing for sentences whose"),
        (("predict", model), "TEXT: expected either texts or --file FILE"),
        (("predict", model, "a", "--top", 2), "--top: it means nothing for a model of tags"),
        (("predict", model, "a", "--out", tmp_path / "x.xlsx"), "--out: expected a name that ends in .conll"),
        (("predict", model, "--file", bad), "line 2: expected 2 columns"),
        (("evaluate", model, bad), "line 2: expected 2 columns"),
        (("predict", bad, "a"), "got tagged tokens"),
    ]:
        ended = nabi(*arguments)
        assert ended.status == 2, arguments
        assert message in ended.err
        assert len(ended.err.strip().splitlines()) <= 2
