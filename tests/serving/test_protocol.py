"""The Open Inference Protocol: health, metadata, arrays."""

import numpy as np

import nabi


def tensor(name, values, datatype="FP32"):
    values = np.asarray(values)
    return {
        "name": name,
        "shape": list(values.shape),
        "datatype": datatype,
        "data": values.reshape(-1).tolist(),
    }


def test_health_and_metadata(server) -> None:
    assert server.client.get("/v2/health/live").json() == {"live": True}
    assert server.client.get("/v2/health/ready", headers={"Authorization": ""}).status_code == 200
    assert server.client.get("/v2").json()["version"] == nabi.__version__
    told = server.client.get("/v2/models/gauge").json()
    assert told["inputs"][0]["shape"] == [-1, -1, 3]
    assert told["inputs"][0]["datatype"] == "FP32"
    assert server.client.get("/v2/models/gauge/ready").json() == {"name": "gauge", "ready": True}


def test_arrays_give_what_the_model_gives(server, saved) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    (given,) = server.client.get("/v2/models/gauge").json()["inputs"]
    flat = tensor(given["name"], x)
    for data in (flat["data"], x.tolist()):
        answer = server.client.post(
            "/v2/models/gauge/infer", json={"id": "7", "inputs": [{**flat, "data": data}]}
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["model_name"], found["id"]) == ("gauge", "7")
        (output,) = found["outputs"]
        assert output["datatype"] == "FP32"
        values = np.array(output["data"]).reshape(output["shape"])
        np.testing.assert_allclose(values, saved.gauge.predict(x, verbose=0), atol=1e-6)


def test_texts_are_bytes(server, saved) -> None:
    texts = ["good", "a bad film"]
    asked = {"name": "text", "shape": [2], "datatype": "BYTES", "data": texts}
    (output,) = server.client.post("/v2/models/reviews/infer", json={"inputs": [asked]}).json()["outputs"]
    values = np.array(output["data"]).reshape(output["shape"])
    np.testing.assert_allclose(values, saved.reviews.probabilities(texts), atol=1e-6)
    (output,) = server.client.post("/v2/models/numbers/infer", json={"inputs": [asked]}).json()["outputs"]
    assert output["datatype"] == "BYTES"
    assert output["data"] == [one.text for one in saved.numbers.translate(texts)]
