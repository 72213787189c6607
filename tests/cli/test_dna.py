"""`nabi train` on DNA, and `nabi predict` and `nabi evaluate` with what it has made."""

import csv
import json
import random

import pytest
from PIL import Image

from .logged import check_logged

SMALL = ["--units", 8, "--batch-size", 8, "--seed", 1]


def genes(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sequences of A and T, or of C and G, among other bases."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        bases, label = (("AATTC", "weak"), ("CCGGT", "strong"))[number % 2]
        found.append(("".join(draw.choices(bases, k=draw.randint(15, 25))), label))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dna")
    for name, seed in (("genes.fasta", 0), ("more.fasta", 1)):
        lines = [
            f">s{row} {label}\n{one[:9]}\n{one[9:].lower()}\n"
            for row, (one, label) in enumerate(genes(60, seed))
        ]
        (folder / name).write_text("".join(lines) + ">s60 nothing\n")
    (folder / "bases.bed").write_text("".join(f"s{row}\t0\t5\tfirst\n" for row in range(60)))
    table = "".join(f"{one},{label},{'x' * 5}{'y' * (len(one) - 5)}\n" for one, label in genes(40))
    (folder / "genes.csv").write_text("seq,kind,structure\n" + table)
    return folder


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    from nabi.cli import main

    place = tmp_path_factory.mktemp("model") / "genes.nabi"
    command = [
        "train",
        folder / "genes.fasta",
        "--label-from",
        "header",
        *SMALL,
        "--epochs",
        8,
        "--out",
        place,
    ]
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in command])
    assert not end.value.code
    return place


def test_fasta_becomes_a_model_with_figures_and_a_picture(model, folder) -> None:
    figures = json.loads(model.with_suffix(".json").read_text())
    assert figures["report"]["scores"]["accuracy"] == 1.0
    assert "naive Bayes on triplets" in figures["report"]["baselines"]
    assert figures["skipped"] == [f"{folder / 'genes.fasta'}, line 181: the sequence 's60' is empty"]
    assert figures["label_from"] == "header"
    with Image.open(model.with_suffix(".png")) as picture:
        assert min(picture.size) > 300


def test_classes_are_predicted_and_measured(model, folder, nabi, tmp_path) -> None:
    out = tmp_path / "said.csv"
    assert nabi("predict", model, folder / "more.fasta", "--out", out).status == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sequence"] for row in rows] == [f"s{number}" for number in range(60)]
    assert [row["label"] for row in rows] == [label for _, label in genes(60, 1)]
    measured = tmp_path / "measured.json"
    shown = nabi("evaluate", model, folder / "more.fasta", "--out", measured)
    assert shown.status == 0
    assert "logistic regression on frequencies of bases" in shown.out
    assert json.loads(measured.read_text())["scores"]["accuracy"] == 1.0
    assert nabi("evaluate", model, folder / "genes.csv", "--label", "kind").status == 0


@pytest.mark.parametrize("labels", ["bases.bed", "structure"])
def test_every_base_gets_a_label(folder, nabi, tmp_path, labels) -> None:
    bed = labels.endswith(".bed")
    file, given = (folder / "genes.fasta", folder / labels) if bed else (folder / "genes.csv", labels)
    place = tmp_path / "bases.nabi"
    logs = tmp_path / "logs"
    trained = nabi(
        "train", file, "--base-labels", given, *SMALL, "--epochs", 3, "--out", place, "--log-dir", logs
    )
    assert trained.status == 0
    check_logged(logs, place.with_suffix(".json"))
    assert "logistic regression on 21 bases" in trained.out
    said = nabi("predict", place, file).out.splitlines()
    assert said[0] == "sequence,step,label,probability"
    assert len(said) - 1 == sum(len(one) for one, _ in genes(60 if bed else 40))
    assert nabi("evaluate", place, file, "--label", given).status == 0
    unsaid = nabi("evaluate", place, file)
    # A column is where it was in the training; a file is of its sequences alone.
    assert unsaid.status == (2 if bed else 0)
    assert ("--label: expected a file or a column" in unsaid.err) is bed


def test_a_table_with_a_column_of_sequences(folder, nabi, tmp_path) -> None:
    trained = nabi(
        "train", folder / "genes.csv", "--sequence", "seq", "--label-from", "kind", *SMALL, "--epochs", 1,
        "--words", "bases", "--reverse-complement", "--validation", folder / "genes.csv",
        "--out", tmp_path / "t.nabi",
    )  # fmt: skip
    assert trained.status == 0
    assert json.loads((tmp_path / "t.json").read_text())["settings"]["reverse_complement"] is True
    # Its columns are known afterwards, also where their names say nothing.
    assert nabi("evaluate", tmp_path / "t.nabi", folder / "genes.csv").status == 0
    (tmp_path / "odd.csv").write_text("dna,other\nACGT,strong\n")
    missing = nabi("predict", tmp_path / "t.nabi", tmp_path / "odd.csv")
    assert (missing.status, "'seq'" in missing.err) == (2, True)
    # Another kind of file has no such place.
    assert nabi("evaluate", tmp_path / "t.nabi", folder / "more.fasta").status == 0


def test_what_is_wrong_is_one_line(model, folder, nabi, tmp_path) -> None:
    bad = tmp_path / "bad.fasta"
    bad.write_text(">a x\nACGT\n>b y\nACJT\n")
    for arguments, message in [
        (("train", bad, "--label-from", "header"), f"{bad}, line 4: expected the bases A, C, G and T"),
        (("train", folder / "genes.fasta"), "--label-from, --base-labels: expected one of them, .* neither"),
        (
            ("train", folder / "genes.fasta", "--label-from", "header", "--base-labels", "x.bed"),
            "expected one of them, to say where the labels are, got both",
        ),
        (("train", folder / "genes.fasta", "--label-from", "heading"), "expected header, name or folder"),
        (
            ("train", folder / "genes.fasta", "--label-from", "name"),
            "expected at least two classes",
        ),
        (("train", tmp_path / "none.fasta", "--label-from", "name"), "there is no file"),
        (("predict", model, bad), "line 4: expected the bases"),
        (("predict", model, bad, "--text", "x"), "--text: expected it with a table"),
        (("predict", model, bad, "--aspect", "x"), "--aspect: it means nothing for a model of DNA"),
        (("evaluate", model, bad, "--label", "header"), None),
        (("evaluate", model, folder / "genes.csv", "--label", "kid"), "did you mean 'kind'"),
    ]:
        ended = nabi(*arguments)
        assert ended.status == 2, arguments
        assert len(ended.err.strip().splitlines()) <= 4
        if message is not None:
            import re

            assert re.search(message, " ".join(ended.err.split())), ended.err
    assert not (tmp_path / "bad.nabi").exists()
