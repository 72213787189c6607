"""`nabi run promoters`, `splice` and `genes`, small."""

import json
import random

import pytest

from nabi import DNAClassifier, recipes
from nabi.data import cpg_islands, read_dna, split_genes
from nabi.errors import MissingFileError
from nabi.recipes._results._dna_folds import grouped_folds
from nabi.recipes.genes import segments, segments_found
from nabi.recipes.promoters import triplet_distance


@pytest.fixture
def data(tmp_path):
    """Files in the layout of the UCI repository, whose classes are easy to tell."""
    draw = random.Random(0)
    folder = tmp_path / "data" / "dna"
    folder.mkdir(parents=True)

    def bases(count: int) -> str:
        return "".join(draw.choices("ACGT", k=count))

    lines = [
        f"{sign},{sign}{number},\t\t{(bases(8) + ('tataat' if sign == '+' else 'gcgcgc') + bases(8)).lower()}"
        for sign in "+-"
        for number in range(4)
    ]
    (folder / "promoters.data").write_text("\n".join(lines) + "\n")
    rows = ["class,name,sequence"]
    for number in range(60):
        kind, middle = (("EI", "GGTA"), ("IE", "CAGG"), ("N", "TTTT"))[number % 3]
        rows.append(f"{kind},s{number},{bases(28)}{middle}{bases(28)}")
    (folder / "splice.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    return tmp_path / "data"


def test_promoters_leaves_each_sequence_out_and_writes_new_ones(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nabi.recipes.promoters.WRITER_EPOCHS", 2)
    result = recipes.get("promoters").run(tmp_path / "run", epochs=2, data=data)
    figures = result.figures
    assert figures["errors"]["majority"] == 8  # whichever is left out is in the smaller class
    assert 0 <= figures["errors"]["network"] <= 8
    assert sum(figures["errors_by_class"].values()) == figures["errors"]["network"]
    assert figures["errors"]["logistic regression on bases"] <= 2
    assert len(json.loads((tmp_path / "run" / "folds.json").read_text())["folds"]) == 8
    written = read_dna(tmp_path / "run" / "written.fasta")
    assert 1 <= len(written.sequences) <= 4
    assert set(figures["triplet_distances"]) == {
        "written by the model",
        "other sequences of E. coli",
        "promoters, their bases shuffled",
        "random bases",
    }


def test_finished_folds_are_not_trained_again(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nabi.recipes.splice.NETWORKS", 1)
    monkeypatch.setattr("nabi.recipes.splice.FOLDS", 3)
    monkeypatch.setattr("nabi.recipes.splice.BASE_EPOCHS", 1)
    first = recipes.get("splice").run(tmp_path / "run", epochs=2, data=data)
    assert first.figures["error"] == first.figures["errors"]["network"]
    assert 0 <= first.figures["bases.accuracy"] <= 1
    model = DNAClassifier.load(tmp_path / "run" / "bases.nabi")
    assert model.labels.names == ("exon", "intron", "none")

    kept = json.loads((tmp_path / "run" / "folds.json").read_text())
    kept["folds"][0]["wrong"]["network"] += 1
    (tmp_path / "run" / "folds.json").write_text(json.dumps(kept))
    trained = []
    fit = DNAClassifier.fit
    monkeypatch.setattr(DNAClassifier, "fit", lambda self, *given, **told: trained.append(1) or fit(
        self, *given, **told))  # fmt: skip
    again = recipes.get("splice").run(tmp_path / "run", epochs=2, data=data)
    assert len(trained) == 1  # the labels of bases
    assert again.figures["error"] == pytest.approx(first.figures["error"] + 1 / 61)
    # Other settings are another run.
    other = recipes.get("splice").run(tmp_path / "run", epochs=1, data=data)
    assert len(trained) == 1 + 4
    assert len(json.loads((tmp_path / "run" / "folds.json").read_text())["folds"]) == 3
    assert other.figures["errors"]["logistic regression on bases"] < 0.5


def test_folds_keep_equal_sequences_together() -> None:
    sequences = ["A", "C", "A", "G", "T", "C", "AA"]
    folds = grouped_folds(sequences, 3, seed=1)
    assert sorted(row for fold in folds for row in fold) == list(range(7))
    place = {row: number for number, fold in enumerate(folds) for row in fold}
    assert place[0] == place[2]
    assert place[1] == place[5]
    assert grouped_folds(sequences, 3, seed=1) == folds


@pytest.mark.parametrize("model", ["genes", "islands"])
def test_genes_says_how_far_the_network_is_from_the_optimum(tmp_path, monkeypatch, model) -> None:
    for name, value in (("TRAIN", 40), ("VALIDATION", 10), ("TEST", 20), ("LENGTH", 60)):
        monkeypatch.setattr(f"nabi.recipes.genes.{name}", value)
    result = recipes.get("genes").run(tmp_path, epochs=2, choices={"model": model})
    figures = result.figures
    made = {"genes": split_genes, "islands": cpg_islands}[model]().make(20, 60, seed=2)
    assert 0.5 < figures["optimum"] <= 1
    assert figures["network"] < figures["optimum"] + 0.05
    loaded = DNAClassifier.load(tmp_path / "model.nabi")
    assert loaded.evaluate(made.sequences, made.labels).accuracy == pytest.approx(figures["network"])
    assert figures["segments"]["the best that is possible"] >= 0
    assert all((tmp_path / f"labels_{number}.png").stat().st_size > 5000 for number in (1, 2, 3))


def test_segments_and_distances() -> None:
    labels = ["a", "a", "b", "a"]
    assert segments(labels) == [(0, 2, "a"), (2, 3, "b"), (3, 4, "a")]
    made = split_genes().make(3, 50, seed=0)
    assert segments_found(made.labels, made) == 1
    assert segments_found([["x"] * 50] * 3, made) == 0
    assert triplet_distance(["ACGT"], ["ACGT"]) == 0
    near = triplet_distance(["ACGTACGT" * 9], ["ACGTACGA" * 9])
    assert 0 < near < triplet_distance(["ACGTACGT" * 9], ["T" * 72]) <= 1


def test_missing_data_are_named(tmp_path) -> None:
    with pytest.raises(MissingFileError, match=r"expected promoters\.data or its folder"):
        recipes.get("promoters").run(tmp_path / "run", data=tmp_path)
    assert not (tmp_path / "run").exists()
