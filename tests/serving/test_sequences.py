"""Labels of series, clips, DNA, tokens and recordings, and numbers of texts, as the models give them."""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.testclient import TestClient

import nabi
from nabi.cli._load import load_any
from nabi.serving import application


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A small model of each kind, with its file."""
    folder = tmp_path_factory.mktemp("sequences")
    draw = np.random.default_rng(0)
    labels = ["up", "down"] * 8
    waves = [draw.normal(size=(4 + n % 3, 2)) + (1 if n % 2 else -1) for n in range(16)]
    series = nabi.SeriesClassifier(units=4, epochs=1, seed=0)
    series.fit(waves, labels, verbose=0)
    bases = ["".join(draw.choice(list("ACGT"), 12 + n % 4)) for n in range(16)]
    genes = nabi.DNAClassifier(units=4, epochs=1, seed=0)
    genes.fit(bases, labels, verbose=0)
    yields = nabi.DNARegressor(units=4, epochs=1)
    yields.fit(bases, [one.count("G") for one in bases], verbose=0)
    names = nabi.Tagger(units=4, embedding_size=4, epochs=1)
    names.fit([["Ann", "sat"], ["it", "rained"]] * 8, [["B-PER", "O"], ["O", "O"]] * 8, verbose=0)
    noises = [draw.normal(size=4000).astype(np.float32) * (0.1 if n % 2 else 0.01) for n in range(16)]
    sounds = nabi.SoundClassifier(units=4, epochs=1, seed=0, sample_rate=8000)
    sounds.fit(noises, labels, rate=8000, verbose=0)
    films = [draw.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8) // (1 + n % 2) for n in range(8)]
    clips = nabi.ClipClassifier(units=4, epochs=1, seed=0)
    clips.fit(films, labels[:8], verbose=0)
    stars = nabi.TextRegressor(units=4, embedding_size=4, epochs=1)
    stars.fit(["good film", "bad film", "good day", "bad day"] * 4, [5, 1, 4.5, 1.5] * 4, verbose=0)
    heights = nabi.SeriesRegressor(units=4, epochs=1)
    heights.fit(waves, [float(one.mean()) for one in waves], verbose=0)
    deals = nabi.TextClassifier(units=4, embedding_size=4, epochs=1)
    columns = {"price": [1.0, 9.0] * 8, "kind": ["a", "b", "b", "a"] * 4}
    deals.fit(["good film", "bad film"] * 8, labels, columns=columns, verbose=0)
    made = {
        "series": series, "genes": genes, "sounds": sounds, "clips": clips, "names": names, "stars": stars,
        "deals": deals, "heights": heights, "yields": yields,
    }  # fmt: skip
    files: dict[str, Path] = {name: folder / f"{name}.nabi" for name in made}
    for name, model in made.items():
        model.save(files[name])
    return SimpleNamespace(files=files, waves=waves, bases=bases, noises=noises, films=films, **made)


@pytest.fixture(scope="module")
def answers(models: SimpleNamespace) -> Iterator[TestClient]:
    """What `nabi serve` runs for these files, in this process."""
    loaded = {name: load_any(file, ()) for name, file in models.files.items()}
    with TestClient(application(loaded), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "field", "items"),
    [
        ("series", "sequences", "waves"),
        ("clips", "sequences", "films"),
        ("genes", "texts", "bases"),
        ("sounds", "recordings", "noises"),
    ],
)
def test_labels_are_those_of_the_model(
    answers: TestClient, models: SimpleNamespace, name: str, field: str, items: str
) -> None:
    given = getattr(models, items)[:3]
    plain = [one if isinstance(one, str) else one.tolist() for one in given]
    found = answers.post("/classify", json={"model": name, field: plain})
    assert found.status_code == 200, found.text
    model = getattr(models, name)
    expected = model.predict(given, rate=8000) if name == "sounds" else model.predict(given)
    for got, right in zip(found.json()["results"], expected, strict=True):
        assert got["label"] == right.label
        assert got["probability"] == pytest.approx(right.probability, abs=1e-4)


def test_tags_of_texts_are_those_of_the_model(answers: TestClient, models: SimpleNamespace) -> None:
    found = answers.post("/classify", json={"model": "names", "texts": ["Ann sat.", ""]})
    assert found.status_code == 200, found.text
    for got, right in zip(found.json()["results"], models.names.predict(["Ann sat.", ""]), strict=True):
        assert (got["tokens"], got["tags"]) == (list(right.tokens), list(right.tags))
        assert got["probabilities"] == pytest.approx(right.probabilities, abs=1e-4)
        assert len(got["spans"]) == len(right.spans)


def test_a_field_of_another_kind_is_refused(answers: TestClient) -> None:
    found = answers.post("/classify", json={"model": "series", "texts": ["ACGT"]})
    assert (found.status_code, found.json()["error"]) == (
        400,
        "sequences: a SeriesClassifier reads this field",
    )


def wav(samples: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


@pytest.mark.parametrize("route", ["/classify", "/recognise"])
def test_a_wav_file_may_be_the_body(answers: TestClient, models: SimpleNamespace, route: str) -> None:
    (right,) = models.sounds.predict([models.noises[0]], rate=8000)
    headers = {"Content-Type": "audio/wav"}
    body = wav(models.noises[0], 8000)
    found = answers.post(f"{route}?model=sounds", content=body, headers=headers)
    assert found.status_code == 200, found.text
    assert found.json()["results"][0]["probability"] == pytest.approx(right.probability, abs=1e-3)
    cut = answers.post(f"{route}?model=sounds", content=body[:20], headers=headers)
    assert (cut.status_code, "cut short" in cut.text) == (400, True)


def test_a_wav_file_for_another_kind_of_model_is_refused(answers: TestClient) -> None:
    found = answers.post(
        "/classify?model=genes", content=wav(np.zeros(9), 8000), headers={"Content-Type": "audio/wav"}
    )
    assert (found.status_code, found.json()["error"]) == (400, "body: a DNAClassifier does not read sound")


@pytest.mark.parametrize(("pixel", "said"), [(256, "from 0 to 255"), (0.5, "whole numbers"), (-1, "255")])
def test_pixels_are_bytes(answers: TestClient, pixel: float, said: str) -> None:
    clip = np.full((2, 4, 4, 3), pixel).tolist()
    found = answers.post("/classify", json={"model": "clips", "sequences": [clip]})
    assert found.status_code == 400
    assert said in found.json()["error"]


def test_texts_come_with_the_other_columns_of_the_model(answers: TestClient, models: SimpleNamespace) -> None:
    given = {"texts": ["good film", "bad"], "columns": {"price": [3, None], "kind": ["b", "new"]}}
    found = answers.post("/classify", json={"model": "deals", **given})
    assert found.status_code == 200, found.text
    for got, right in zip(found.json()["results"], models.deals.predict(**given), strict=True):
        assert (got["label"], got["probability"]) == (right.label, pytest.approx(right.probability))
    for columns, said in (
        (None, "columns price, kind"),
        ({"price": [3, 4]}, "no column 'kind'"),
        ({"price": [3, 4], "kind": ["a"]}, "lists of one length"),
        ({"price": ["x", 4], "kind": ["a", "a"]}, "a finite number in the column 'price'"),
    ):
        refused = answers.post("/classify", json={"model": "deals", **given, "columns": columns})
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
    refused = answers.post("/estimate", json={"model": "stars", **given})
    assert (refused.status_code, "without other columns" in refused.text) == (400, True)


def test_numbers_are_those_of_the_model(answers: TestClient, models: SimpleNamespace) -> None:
    texts = ["good film", "", "a bad day"]
    found = answers.post("/estimate", json={"texts": texts, "model": "stars"})
    assert found.status_code == 200, found.text
    said = [one["number"] for one in found.json()["results"]]
    assert said == pytest.approx(models.stars.predict(texts).tolist())
    refused = answers.post("/estimate", json={"texts": texts, "model": "series"})
    assert (refused.status_code, "does not estimate" in refused.text) == (400, True)
    protocol = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [3], "data": texts}]}
    given = answers.post("/v2/models/stars/infer", json=protocol).json()["outputs"][0]
    assert (given["name"], given["datatype"]) == ("number", "FP64")
    assert given["data"] == pytest.approx(said)


def test_numbers_of_series_are_those_of_the_model(answers: TestClient, models: SimpleNamespace) -> None:
    asked = {"model": "heights", "sequences": [one.tolist() for one in models.waves[:5]]}
    found = answers.post("/estimate", json=asked)
    assert found.status_code == 200, found.text
    said = [one["number"] for one in found.json()["results"]]
    assert said == pytest.approx(models.heights.predict(models.waves[:5]).tolist())
    found = answers.post("/estimate", json={"model": "yields", "texts": models.bases[:3]}).json()["results"]
    said = [one["number"] for one in found]
    assert said == pytest.approx(models.yields.predict(models.bases[:3]).tolist(), rel=1e-5)
    refused = answers.post("/estimate", json={"model": "heights", "texts": ["good"]})
    assert (refused.status_code, "sequences: a SeriesRegressor reads" in refused.text) == (400, True)
    refused = answers.post("/estimate", json={"model": "heights", "sequences": [[]]})
    assert (refused.status_code, "at least one step" in refused.text) == (400, True)
