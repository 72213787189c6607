"""`predictor` says about each row what the model says, for every task, in any process and any batch."""

import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nabi
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError
from nabi.files import write_model_file

RATE = 8000
TEXTS = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"]
NOISE = np.random.default_rng(0)


@dataclass
class Case:
    """A kind of model: one that is trained, a batch of rows, and what the model itself says about them."""

    train: Callable[[], Any]
    batch: dict[str, Any]
    said: Callable[[Any, dict[str, Any]], list[tuple[Any, ...]]]
    options: dict[str, Any] = field(default_factory=dict)


def trained(model: Any, *data: Any, **options: Any) -> Any:
    model.fit(*data, verbose=0, **options)
    return model


def classifier(**said: Any) -> Any:
    return nabi.TextClassifier(units=4, embedding_size=4, epochs=1, **said)


def labelled(found: Any) -> list[tuple[Any, ...]]:
    return [(one.label, one.probability) for one in found]


def several(model: Any, batch: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = model.predict(batch["text"], threshold=0.2)
    return [("|".join(one.label), *one.probabilities.values()) for one in found]


def forecasts(model: Any, batch: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = []
    for time, sold in zip(batch["month"], batch["sold"], strict=True):
        (one,) = model.forecast({"month": time, "sold": sold}, horizon=3)
        columns = (one.median, *one.interval(0.8), *one.interval(0.95))
        found.append(tuple(column.tolist() for column in columns))
    return found


def months(count: int, more: float = 0) -> dict[str, list[Any]]:
    time = [f"{2000 + place // 12}-{place % 12 + 1:02d}-01" for place in range(count)]
    return {"month": time, "sold": [float(place % 4 + more) for place in range(count)]}


SERIES = [NOISE.normal(size=(6, 2)) for _ in range(12)]
CLIPS = [NOISE.integers(0, 255, size=(3, 16, 16), dtype=np.uint8) for _ in range(12)]
SOUNDS = [NOISE.normal(size=RATE // 4).astype(np.float32) / 9 for _ in range(12)]
PICTURES = [NOISE.integers(0, 255, size=(16, 16, 3), dtype=np.uint8) for _ in range(12)]
CASES = {
    "texts": Case(
        lambda: trained(classifier(), TEXTS * 2, (["+"] * 3 + ["-"] * 3) * 2),
        {"text": [*TEXTS, "", None]},
        lambda model, batch: labelled(model.predict([text or "" for text in batch["text"]])),
    ),
    "texts with several labels": Case(
        lambda: trained(classifier(), TEXTS * 2, [["warm", "long"], ["warm"], ["long"]] * 4),
        {"text": TEXTS},
        several,
        {"threshold": 0.2},
    ),
    "texts with aspects": Case(
        lambda: trained(classifier(), TEXTS * 2, (["+"] * 3 + ["-"] * 3) * 2, ["film", "actor"] * 6),
        {"text": TEXTS, "aspect": ["actor"] * 6},
        lambda model, batch: labelled(model.predict(batch["text"], batch["aspect"])),
    ),
    "DNA": Case(
        lambda: trained(
            nabi.DNAClassifier(units=4, epochs=1), ["ACGTACGTAC", "GGGGCCCCGG"] * 10, ["a", "b"] * 10
        ),
        {"sequence": ["ACGTTACGTT", "GGGGGCCCCC", "ACACACACAC"]},
        lambda model, batch: labelled(model.predict(batch["sequence"])),
    ),
    "numbers of DNA": Case(
        lambda: trained(nabi.DNARegressor(units=4, epochs=1), ["ACGTACGTAC", "GGGGCCCCGG"] * 10, [1, 2] * 10),
        {"sequence": ["ACGTTACGTT", "GGGGGCCCCC", "ACACACACAC"]},
        lambda model, batch: [(one,) for one in model.predict(batch["sequence"]).tolist()],
    ),
    "tags": Case(
        lambda: trained(
            nabi.Tagger(units=4, embedding_size=4, epochs=1),
            [["a", "Cat"], ["b"]] * 9,
            [["O", "N"], ["O"]] * 9,
        ),
        {"text": ["a Cat.", "b", "Cat"]},
        lambda model, batch: [(list(one.tokens), list(one.tags)) for one in model.predict(batch["text"])],
    ),
    "series": Case(
        lambda: trained(nabi.SeriesClassifier(units=4, epochs=1), SERIES, ["a", "b"] * 6, validation_share=0),
        {"sequence": SERIES[:3]},
        lambda model, batch: labelled(model.predict(batch["sequence"])),
    ),
    "clips": Case(
        lambda: trained(
            nabi.ClipClassifier(units=4, epochs=1, image_size=16, channels=(4,), features=4),
            CLIPS, ["a", "b"] * 6, validation_share=0,
        ),
        {"sequence": CLIPS[:3]},
        lambda model, batch: labelled(model.predict(batch["sequence"])),
    ),
    "sounds": Case(
        lambda: trained(
            nabi.SoundClassifier(units=4, epochs=1, mels=20), SOUNDS, ["a", "b"] * 6,
            rate=RATE, validation_share=0,
        ),
        {"recording": SOUNDS[:3]},
        lambda model, batch: labelled(model.predict(batch["recording"], rate=RATE)),
        {"rate": RATE},
    ),
    "speech": Case(
        lambda: trained(
            nabi.SpeechRecognizer(units=4, epochs=1, mels=20), SOUNDS, ["ab", "ba"] * 6,
            rate=RATE, validation_share=0,
        ),
        {"recording": SOUNDS[:3]},
        lambda model, batch: [
            (one.text, one.probability) for one in model.transcribe(batch["recording"], rate=RATE)
        ],
        {"rate": RATE},
    ),
    "translations": Case(
        lambda: trained(
            nabi.Translator(units=4, embedding_size=4, epochs=1, dropout=0.0),
            ["one two", "two one", "one", "two"], ["1 2", "2 1", "1", "2"], validation_share=0,
        ),
        {"text": ["one", "two one"]},
        lambda model, batch: [(one.text, one.score) for one in model.translate(batch["text"], beam=2)],
        {"beam": 2},
    ),
    "captions": Case(
        lambda: trained(
            nabi.Captioner(units=4, epochs=1, image_size=16, channels=(4, 4)),
            PICTURES, ["a red one", "a blue one"] * 6, validation_share=0,
        ),
        {"image": PICTURES[:2]},
        lambda model, batch: [(one.text, one.score) for one in model.caption(batch["image"])],
    ),
    "writing": Case(
        lambda: trained(
            nabi.LanguageModel(units=4, embedding_size=4, window=8, batch_size=2, epochs=1, warmup=1),
            ["hello world. " * 20],
        ),
        {"text": ["he", "wor"]},
        lambda model, batch: [("".join(model.write(text, 9, seed=3)),) for text in batch["text"]],
        {"length": 9, "seed": 3},
    ),
    "notes": Case(
        lambda: trained(
            nabi.NoteModel(units=4, epochs=1), [[[60], [64], [67, 72]] * 8] * 6,
            validation_share=0, test_share=0,
        ),
        {"primer": [[[60]], [[60], [64, 67]]]},
        lambda model, batch: [
            ([list(frame) for frame in model.write(primer, 5)],) for primer in batch["primer"]
        ],
        {"frames": 5},
    ),
    "forecasts": Case(
        lambda: trained(
            nabi.Forecaster(units=4, networks=1, epochs=1), months(60), time="month", target="sold", horizon=2
        ),
        {"month": [months(40)["month"]] * 2, "sold": [months(40)["sold"], months(40, 0.5)["sold"]]},
        forecasts,
        {"horizon": 3},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "films.nabi"
    CASES["texts"].train().save(path)
    return path


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("name", CASES)
def test_a_row_gets_what_the_model_says(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = case.train()
    model.save(tmp_path / "m.nabi")
    say = nabi.predictor(tmp_path / "m.nabi", **case.options)
    expected = case.said(model, case.batch)
    count = len(expected)
    batch = {"number": np.arange(count), **case.batch}
    # As dicts, as frames, and as the one row in a batch.
    for found in (say(batch), say(pd.DataFrame(batch)).to_dict("list")):
        assert list(found)[: len(batch)] == list(batch)
        assert list(found["number"]) == list(range(count))
        check([found[one] for one in list(found)[len(batch) :]], expected)
    for row in range(count):
        found = say({one: values[row : row + 1] for one, values in batch.items()})
        check([found[one] for one in list(found)[len(batch) :]], expected[row : row + 1])


def check(columns: list[Any], expected: list[tuple[Any, ...]]) -> None:
    found = list(zip(*columns, strict=True))
    assert len(found) == len(expected)
    for values, said in zip(found, expected, strict=True):
        for value, meant in zip(values, said, strict=True):
            if isinstance(meant, float) or (isinstance(meant, list) and isinstance(meant[0], float)):
                np.testing.assert_allclose(value, meant, rtol=1e-4, atol=1e-6)
            else:
                assert value == meant


def test_processes_share_the_rows(films: Path) -> None:
    label = nabi.predictor(films)
    assert pickle.loads(pickle.dumps(label)).model == str(films)
    batches = [{"number": np.arange(first, first + 5), "text": TEXTS[:5]} for first in range(0, 40, 5)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = list(pool.imap(label, batches))
    assert [number for batch in found for number in batch["number"]] == list(range(40))
    alone = nabi.TextClassifier.load(films).predict(TEXTS[:5])
    assert all(batch["label"].tolist() == [one.label for one in alone] for batch in found)


def test_an_iterator_of_frames_gives_one(films: Path) -> None:
    frames = (pd.DataFrame({"review": [text]}) for text in TEXTS)
    found = nabi.predictor(films, inputs="review", prefix="said ")(frames)
    first = next(found)
    assert list(first) == ["review", "said label", "said probability"]
    assert len(list(found)) == len(TEXTS) - 1
    assert len(list(frames)) == 0


def test_a_batch_without_rows_has_the_columns(films: Path) -> None:
    found = nabi.predictor(films)({"text": []})
    assert list(found) == ["text", "label", "probability"]
    assert len(found["label"]) == 0


def test_a_file_that_was_replaced_is_read_again(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.nabi"
    path.write_bytes(films.read_bytes())
    label = nabi.predictor(path)
    assert set(label({"text": TEXTS})["label"]) <= {"+", "-"}
    trained(classifier(), TEXTS * 2, (["yes"] * 3 + ["no"] * 3) * 2).save(path)
    assert set(label({"text": TEXTS})["label"]) <= {"yes", "no"}


def test_what_is_wrong_is_said(films: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        nabi.predictor(tmp_path / "none.nabi")
    (tmp_path / "bad.nabi").write_text("bad")
    with pytest.raises(FileFormatError):
        nabi.predictor(tmp_path / "bad.nabi")
    write_model_file(tmp_path / "w.nabi", "weights", {}, {})
    with pytest.raises(
        ArgumentError, match="model: expected a model of a task, got a file of kind 'weights'"
    ):
        nabi.predictor(tmp_path / "w.nabi")
    label = nabi.predictor(films)
    with pytest.raises(ArgumentError, match="inputs: there is no column 'text' in the batch; it has: words"):
        label({"words": ["a"]})
    with pytest.raises(ArgumentError, match="prefix: the batch has a column 'label' already"):
        label({"text": ["a"], "label": ["+"]})
    with pytest.raises(ArgumentError, match="batch: expected columns of one length"):
        label({"text": ["a"], "id": [1, 2]})
    with pytest.raises(ArgumentError, match="batch: expected a dict of columns"):
        label(["a"])
    with pytest.raises(UnknownNameError, match="threshold"):
        nabi.predictor(films, treshold=0.5)({"text": ["a"]})
    with pytest.raises(ArgumentError, match="inputs: expected 1"):
        nabi.predictor(films, inputs=["text", "aspect"])({"text": ["a"], "aspect": ["b"]})
