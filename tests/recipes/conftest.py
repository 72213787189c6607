"""Made-up texts in the layout of the folder of NABI_DATA, and the benchmark, which is beside nabi."""

import csv
import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest

FILLER = ["the", "film", "story", "of", "a", "day", "was", "and", "it", "in", "to", "house", "river", "walk"]
SIGNS = {"negative": "awful dull", "positive": "superb warm", "fake": "hoax secret", "real": "official data"}
TOPICS = {"earn": "profit dividend", "acq": "merger stake", "sugar": "cane beet", "crude": "barrel oil"}


def write_csv(path: Path, rows: list[list[object]]) -> None:
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def make_text(draw: random.Random, signs: str, least: int = 12, most: int = 40) -> str:
    """Words without a meaning, and among them some by which the label can be told."""
    words = draw.choices(FILLER, k=draw.randint(least, most))
    for sign in signs.split() * 4:
        words.insert(draw.randrange(len(words)), sign)
    return " ".join(words)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every data set of text, small."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "text").mkdir()
    draw = random.Random(0)

    for name in ("imdb.csv.xz", "nsmc_sample.csv.xz"):
        rows: list[list[object]] = [["split", "label", "text"]]
        for split, count in (("train", 100), ("test", 60)):
            for number in range(count):
                label = number % 2
                rows.append([split, label, make_text(draw, SIGNS[("negative", "positive")[label]])])
        rows[-1][2] += " testonly testonly [bold]\x1b[31m"
        write_csv(folder / "text" / name, rows)

    files = ("Constraint_Train", 120), ("Constraint_Val", 40), ("english_test_with_labels", 60)
    for name, count in files:
        labels = [("fake", "real")[number % 2] for number in range(count)]
        posts = [[number, make_text(draw, SIGNS[label]), label] for number, label in enumerate(labels)]
        write_csv(folder / "text" / f"covid_fake_news_{name}.csv", [["id", "tweet", "label"], *posts])

    with lzma.open(folder / "text" / "reuters21578.jsonl.xz", "wt", encoding="utf-8") as file:
        for number in range(240):
            topic = list(TOPICS)[number % len(TOPICS)]
            body = make_text(draw, TOPICS[topic])
            story = {"id": number, "lewis_split": "TRAIN", "has_topics": "YES", "topics": [topic]}
            file.write(json.dumps({**story, "title": "TITLE", "body": body}) + "\n")
    return folder


@pytest.fixture
def easily(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a recipe small layers, no dropout and many steps, so that it learns from few texts in seconds."""
    from dataclasses import replace
    from importlib import import_module

    def make_easy(name: str) -> None:
        module = import_module(f"nabi.recipes.{name.replace('-', '_')}")
        settings = replace(
            module.SETTINGS, batch_size=8, learning_rate=0.005, patience=40, monitor="val_loss"
        )
        monkeypatch.setattr(module.main, "__defaults__", (module.main.__defaults__[0], settings))
        for constant, value in (("EMBEDDING", 32), ("UNITS", 32), ("DROPOUT", 0.0)):
            monkeypatch.setattr(module, constant, value)

    return make_easy
