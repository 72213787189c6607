"""Routes by task give what the models give."""

import json

import numpy as np
import pytest


def test_labels(server, saved) -> None:
    texts = ["good", "a bad film", ""]
    found = server.client.post("/classify", json={"texts": texts}).json()
    assert found["model"] == "reviews"
    for one, expected in zip(found["results"], saved.reviews.predict(texts), strict=True):
        assert one["label"] == expected.label
        assert one["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)


def test_translations(server, saved) -> None:
    found = server.client.post("/translate", json={"texts": ["one two", "two"], "beam": 2}).json()["results"]
    assert [one["text"] for one in found] == [
        one.text for one in saved.numbers.translate(["one two", "two"], beam=2)
    ]


def test_forecasts(server, saved) -> None:
    (found,) = server.client.post("/forecast", json={"horizon": 3}).json()["results"]
    (expected,) = saved.sales.forecast(horizon=3)
    np.testing.assert_allclose(found["median"], expected.median, rtol=1e-5)
    assert len(found["low95"]) == 3


def test_text_comes_as_events(server, saved) -> None:
    asked = {"start": "hello", "length": 20, "seed": 3}
    expected = "".join(saved.lines.write("hello", 20, seed=3))
    assert server.client.post("/write", json={**asked, "stream": False}).json()["text"] == expected
    with server.client.stream("POST", "/write", json=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = answer.read().decode().strip().split("\n\n")
    pieces = [json.loads(event.removeprefix("data: "))["text"] for event in events[:-1]]
    assert len(pieces) > 1
    assert "".join(pieces) == expected
    assert events[-1].startswith("event: end")


def test_what_is_wrong_is_said_before_the_text_begins(server) -> None:
    answer = server.client.post("/write", json={"start": "Zürich"})
    assert answer.status_code == 400
    assert "start" in answer.json()["error"]
