"""Models are replaced while the server answers, and nothing that runs is dropped."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import nabi
from nabi.errors import ArgumentError
from nabi.serving import ModelFiles, application

KEY = {"X-API-Key": "a key"}
ASKED = {"inputs": [{"name": "input", "shape": [1, 2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}]}


def model(seed: int) -> nabi.Sequential:
    nabi.utils.set_random_seed(seed)
    return nabi.Sequential([nabi.layers.GRU(4, input_shape=(None, 3)), nabi.layers.Dense(1)])


def saved(folder: Path, seed: int) -> Path:
    """A file is written beside its place and renamed, as `save` does."""
    model(seed).save(folder / "gauge.nabi", overwrite=True)
    return folder / "gauge.nabi"


def client(path: Path, **options) -> TestClient:
    files = ModelFiles({"gauge": path}, **options)
    app = application({"gauge": files.load("gauge")}, key="a key", files=files)
    return TestClient(app, base_url="http://localhost", headers=KEY)


def answer(asked: TestClient) -> float:
    found = asked.post("/v2/models/gauge/infer", json=ASKED)
    assert found.status_code == 200, found.text
    return found.json()["outputs"][0]["data"][0]


def test_load_and_unload(tmp_path) -> None:
    path = saved(tmp_path, 0)
    index = "/v2/repository/index"
    with client(path) as asked:
        first = answer(asked)
        place = "/v2/models/gauge/sessions"
        session = f"{place}/{asked.post(place, json={}).json()['session']}"
        step = {"steps": [[1.0, 2.0, 3.0]]}
        assert asked.post(f"{session}/steps", json=step).status_code == 200
        state = asked.get(f"{session}/state").json()
        saved(tmp_path, 1)
        assert answer(asked) == first
        assert asked.post("/v2/repository/models/gauge/load").status_code == 200
        second = answer(asked)
        assert second != first
        np.testing.assert_allclose(
            second, model(1).predict(np.arange(1, 7, dtype="f4").reshape(1, 2, 3), verbose=0), atol=1e-6
        )
        # The session goes on with the model that it began with; its state does not fit the new one.
        after = asked.post(f"{session}/steps", json={"steps": [[4.0, 5.0, 6.0]]}).json()
        assert (after["steps"], after["outputs"][0][0]) == (2, pytest.approx(first, abs=1e-6))
        refused = asked.post(place, json={"state": state})
        assert (refused.status_code, "other weights" in refused.text) == (400, True)
        assert asked.post("/v2/repository/models/gauge/unload", json={}).status_code == 200
        assert asked.post("/v2/models/gauge/infer", json=ASKED).status_code == 404
        assert asked.post(f"{session}/steps", json=step).status_code == 200
        assert asked.delete(session).status_code == 204
        assert asked.post(index, json={}).json() == [{"name": "gauge", "state": "UNAVAILABLE", "reason": ""}]
        assert asked.post(index, json={"ready": True}).json() == []
        assert asked.get("/v2/models/gauge/ready").status_code == 404
        assert asked.post("/v2/repository/models/gauge/load", json={"parameters": {}}).status_code == 200
        assert answer(asked) == second


def test_a_file_that_is_broken_leaves_the_model(tmp_path) -> None:
    path = saved(tmp_path, 0)
    with client(path) as asked:
        before = answer(asked)
        path.write_bytes(b"nonsense")
        refused = asked.post("/v2/repository/models/gauge/load")
        assert refused.status_code == 500
        assert str(tmp_path) not in refused.text
        nabi.Sequential([nabi.layers.Dense(2, input_shape=(3,))]).save(path, overwrite=True)
        assert asked.post("/v2/repository/models/other/load").status_code == 404
        assert answer(asked) == before


def test_models_are_replaced_by_those_with_the_key_only(tmp_path) -> None:
    files = ModelFiles({"gauge": saved(tmp_path, 0)})
    with TestClient(
        application({"gauge": files.load("gauge")}, files=files), base_url="http://localhost"
    ) as asked:
        for what in ("load", "unload"):
            assert asked.post(f"/v2/repository/models/gauge/{what}").status_code == 403
    with client(files._files["gauge"]) as asked:
        assert asked.post("/v2/repository/models/gauge/unload", headers={"X-API-Key": "x"}).status_code == 401


def test_a_file_that_changes_is_loaded_under_load(tmp_path) -> None:
    """With `watch`, and clients that ask all the time: each gets the numbers of one model or the other."""
    path = saved(tmp_path, 0)
    with client(path, watch=0.05) as asked:
        before, found, stop = answer(asked), [], threading.Event()

        def ask() -> None:
            while not stop.is_set():
                found.append(answer(asked))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for one in threads:
            one.start()
        path.write_bytes(b"half a file")
        asyncio.run(asyncio.sleep(0.2))
        saved(tmp_path, 1)
        while abs(found[-1] - before) < 1e-4:
            assert all(one.is_alive() for one in threads)
        stop.set()
        for one in threads:
            one.join()
        # Requests that are computed together differ by rounding.
        assert {round(one, 5) for one in found} == {round(before, 5), round(answer(asked), 5)}


def test_a_model_of_another_kind_is_not_put_in_its_place(tmp_path) -> None:
    from nabi.serving import Limits
    from nabi.serving._models import Models

    models = Models({"gauge": model(0)}, Limits())
    with pytest.raises(ArgumentError, match="expected a Sequential"):
        models.made("gauge", nabi.TextClassifier())
