"""The recipe that translates: on few made-up sentences here, on the real ones where they are."""

import gzip
import itertools
import json
import signal
from pathlib import Path

import pytest

from benchmarks import translating as benchmark
from nabi import recipes
from nabi.errors import MissingFileError
from nabi.models import Translator
from nabi.models._translator._pair_batches import PairBatch
from nabi.models._translator._training import TranslatorTraining
from nabi.recipes import translate

WORDS = {"red": "rot", "cat": "Katze", "sun": "Sonne", "old": "alt", "sea": "See", "tea": "Tee"}
SENTENCES = [list(words) for words in itertools.permutations(WORDS, 3)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"units": 64, "embedding_size": 64, "vocabulary_size": 60, "dropout": 0.0}
    settings |= {"learning_rate": 0.005, "batch_size": 4, "warmup": 5, "tied": False}
    monkeypatch.setattr(translate, "SETTINGS", {"en-de": settings, "en-ko": settings})
    monkeypatch.setattr(translate, "AT_ONCE", 8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with both data sets, small."""
    folder = tmp_path / "data"
    folder.mkdir()
    for part, rows in (
        ("train", SENTENCES[:90]),
        ("val", SENTENCES[90:100]),
        ("test_2016_flickr", SENTENCES[100:]),
    ):
        for language, said in (("en", " ".join), ("de", lambda words: " ".join(map(WORDS.get, words)))):
            text = "".join(f"{said(words)}.\n" for words in rows)
            (folder / f"multi30k_{part}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    lines = [f"{' '.join(words)}.\t{' '.join(reversed(words))}!\tnote" for words in SENTENCES]
    (folder / "tatoeba_eng_kor.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.usefixtures("small")
def test_it_learns_translates_and_leaves_its_figures(tmp_path: Path, data: Path) -> None:
    result = recipes.get("translate").run(tmp_path / "out", epochs=8, data=data)
    figures = result.figures
    assert figures["history"]["loss"][-1] < figures["history"]["loss"][0]
    assert figures["test.chrf"] > 50
    assert figures["training_pairs"] == 90
    assert "tok:13a" in figures["test.bleu_signature"]
    written = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert written["choices"] == {"pair": "en-de", "attention": "luong"}
    assert written["figures"]["test.bleu"] == figures["test.bleu"]
    rows = [line.split("\t") for line in (tmp_path / "out" / "translations.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == [" ".join(words) + "." for words in SENTENCES[100:]]
    translator = Translator.load(tmp_path / "out" / "model.nabi")
    assert len(figures["examples"]) == 10
    for example in figures["examples"]:
        assert [example["source"], example["reference"], example["translation"]] in rows
        assert translator.translate([example["source"]], beam=5)[0].text == example["translation"]
    for number in (1, 2):
        assert (tmp_path / "out" / f"attention-{number}.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out" / "training.nabi").exists()


@pytest.mark.usefixtures("small")
def test_another_pair_without_attention(tmp_path: Path, data: Path) -> None:
    choices = {"pair": "en-ko", "attention": "none"}
    result = recipes.get("translate").run(tmp_path / "out", epochs=1, data=data, choices=choices)
    assert Translator.load(tmp_path / "out" / "model.nabi").settings.attention is None
    assert (result.figures["training_pairs"], len(result.figures["examples"])) == (96, 10)
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.usefixtures("small")
def test_a_run_that_was_stopped_goes_on(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, seen = TranslatorTraining.loss, []

    def stopping(self: TranslatorTraining, batch: PairBatch) -> object:
        seen.append(self.position.step)
        if len(seen) == 30:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch)

    monkeypatch.setattr(TranslatorTraining, "loss", stopping)
    recipe = recipes.get("translate")
    stopped = recipe.run(tmp_path / "out", epochs=2, data=data)
    assert stopped.interrupted
    assert (tmp_path / "out" / "training.nabi").exists()
    assert Translator.load(tmp_path / "out" / "model.nabi").report.interrupted
    again = recipe.run(tmp_path / "out", epochs=2, data=data)
    assert not again.interrupted
    # Every batch was learnt from once.
    assert seen == list(range(46))
    assert len(again.figures["history"]["val_loss"]) == 2


@pytest.mark.usefixtures("small")
def test_the_benchmark_writes_the_page_and_goes_on(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_DATA", str(data))
    page = tmp_path / "docs" / "translating.md"
    page.parent.mkdir()
    page.write_text(f"# A page\n\n{benchmark.BEGIN}\n{benchmark.END}\n\nThe end.\n")
    arguments = ["--folder", str(tmp_path / "runs"), "--page", str(page), "--epochs", "2", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["translating", *arguments, "--only", "en-de-luong", "en-de-none"])
    benchmark.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# A page")
    assert text.endswith("The end.\n")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| English to German")]
    assert [row[1] for row in rows] == ["luong", "none"]
    assert rows[0][2] == "2"
    assert "pictures/attention-en-de.svg" in text
    assert (page.parent / "pictures" / "attention-en-de.svg").exists()
    # What is there is not trained again.
    monkeypatch.setattr(recipes.Recipe, "run", lambda *given, **named: pytest.fail("trained again"))
    benchmark.main()
    assert page.read_text(encoding="utf-8") == text


def test_data_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"has no multi30k_train\.en\.gz"):
        recipes.get("translate").run(tmp_path / "out", data=tmp_path)
    with pytest.raises(MissingFileError, match=r"has no tatoeba_eng_kor\.tsv"):
        recipes.get("translate").run(tmp_path / "out", data=tmp_path, choices={"pair": "en-ko"})
    assert not (tmp_path / "out").exists()
