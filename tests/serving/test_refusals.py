"""What a client may not do, and what it is told."""

import json
import socket

import pytest
from hypothesis import given, settings, strategies as st

from ..examples import examples
from .conftest import KEY

POSTS = ["/classify", "/translate", "/forecast", "/write", "/v2/models/gauge/infer",
         "/v2/models/reviews/infer", "/v2/models/gauge/sessions/none/steps"]  # fmt: skip
FIELDS = ["texts", "model", "inputs", "outputs", "id", "start", "length", "table", "horizon", "steps",
          "state", "beam", "aspects", "stream", "sequences", "name", "shape", "datatype", "data"]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
JSON = {"Content-Type": "application/json"}


def refused(answer) -> None:
    """A refusal has a reason, and tells nothing of the machine."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]
    assert not any(word in answer.text for word in ("Traceback", ".py", "site-packages", "/home", "/tmp"))


@settings(max_examples=examples(20))
@given(path=st.sampled_from(POSTS), fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_odd_objects_are_answered_or_refused(server, path, fields) -> None:
    answer = server.client.post(path, content=json.dumps(fields), headers=JSON)
    if answer.status_code >= 400:
        refused(answer)


@settings(max_examples=examples(20))
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=60))
def test_bytes_that_are_no_object_are_refused(server, path, body) -> None:
    refused(server.client.post(path, content=b"[" + body, headers=JSON))


@settings(max_examples=examples(20))
@given(
    shape=st.lists(st.integers(-2, 4) | VALUES, max_size=4),
    datatype=st.sampled_from(["FP32", "INT64", "BOOL", "BYTES", "UINT8", "FP99"]),
    data=st.lists(VALUES, max_size=6),
)
def test_odd_tensors_are_answered_or_refused(server, shape, datatype, data) -> None:
    (asked,) = server.client.get("/v2/models/gauge").json()["inputs"]
    given = {"name": asked["name"], "shape": shape, "datatype": datatype, "data": data}
    for name, model in ((asked["name"], "gauge"), ("text", "reviews")):
        body = json.dumps({"inputs": [{**given, "name": name}]})
        answer = server.client.post(f"/v2/models/{model}/infer", content=body, headers=JSON)
        if answer.status_code >= 400:
            refused(answer)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/classify", {"texts": ["a"], "file": "x"}, 400, "unknown field 'file'"),
        ("/classify", {"texts": ["x" * 15_000] * 2}, 413, "at most 20000 bytes"),
        ("/classify", {"texts": ["a"], "model": "lines"}, 400, "does not classify"),
        ("/classify", {"texts": ["a"], "model": "other"}, 404, "no model is called"),
        ("/classify", {"texts": []}, 400, "at least one"),
        ("/classify", {"sequences": [[1]]}, 400, "reads this field"),
        ("/classify", {"texts": ["a\ud800"]}, 400, "Unicode"),
        ("/forecast", {"table": "/etc/passwd"}, 400, "expected an object"),
        ("/forecast", {"table": {"y\ud800": [1, 2]}}, 400, "Unicode"),
        ("/write", {"length": 501}, 400, "from 1 to 500"),
        ("/v2/models/lines/infer", {"inputs": [{}]}, 400, "does not read arrays"),
        ("/v2/models/numbers/sessions", {}, 400, "has no sessions"),
        ("/v2/models/gauge/sessions/none/steps", {"steps": [[1, 2, 3]]}, 404, "not open"),
        ("/nowhere", {}, 404, "openapi.json"),
    ],
)
def test_each_refusal_has_its_reason(server, path, body, status, said) -> None:
    answer = server.client.post(path, content=json.dumps(body), headers=JSON)
    refused(answer)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/gauge/infer", '{"inputs": [{"name": "NAME", TENSOR, "data": [1, 2, %s]}]}'),
        ("/forecast", '{"table": {"y": [1, %s]}}'),
        ("/translate", '{"texts": ["one"], "length_penalty": %s}'),
        ("/write", '{"length": %s}'),
    ],
)
def test_numbers_that_are_not_finite_are_refused(server, path, body, number) -> None:
    name = server.client.get("/v2/models/gauge").json()["inputs"][0]["name"]
    tensor = '"shape": [1, 1, 3], "datatype": "FP32"'
    answer = server.client.post(
        path, content=body.replace("NAME", name).replace("TENSOR", tensor) % number, headers=JSON
    )
    refused(answer)
    assert answer.status_code == 422
    assert "finite" in answer.json()["error"]


def test_methods_and_content_types(server) -> None:
    answer = server.client.get("/classify")
    refused(answer)
    assert answer.status_code == 405
    answer = server.client.post("/classify", content="{}", headers={"Content-Type": "text/plain"})
    refused(answer)
    assert answer.status_code == 415
    deep = server.client.post("/classify", content="[" * 15_000, headers=JSON)
    refused(deep)
    huge = server.client.post("/classify", content='{"texts": %s}' % ("9" * 10_000), headers=JSON)
    refused(huge)


def test_a_body_without_a_length_is_bounded(server) -> None:
    answer = server.client.post("/classify", content=(b" " * 1000 for _ in range(40)), headers=JSON)
    refused(answer)
    assert answer.status_code == 413


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer another", "Basic " + KEY, "Bearer " + KEY + "x"])
def test_nothing_is_told_without_the_key(server, given) -> None:
    for path in ("/v2", "/metrics", "/openapi.json", "/v2/models/gauge"):
        answer = server.client.get(path, headers={"Authorization": given})
        refused(answer)
        assert answer.status_code == 401


def test_the_key_may_be_in_a_header_of_its_own(server) -> None:
    assert server.client.get("/v2", headers={"Authorization": "", "X-API-Key": KEY}).status_code == 200


def test_pages_of_other_sites_are_refused(server) -> None:
    answer = server.client.get("/v2", headers={"Origin": "https://example.org"})
    refused(answer)
    assert answer.status_code == 403


def test_clients_that_go_away_in_the_middle_do_no_harm(server) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    head = f"POST /classify HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    for sent in (b"", b"\x00\xff\r\n\r\n", head.encode()[:50], head.encode(), head.encode() + b'{"texts": ['):
        for half in (False, True):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(sent)
                if half:
                    connection.shutdown(socket.SHUT_WR)
    assert server.client.get("/v2/health/live").status_code == 200


def test_without_a_key_only_this_machine_is_answered(saved) -> None:
    from starlette.testclient import TestClient

    from nabi.serving import application

    with TestClient(application({"gauge": saved.gauge}), base_url="http://127.0.0.1") as client:
        assert client.get("/v2").status_code == 200
        answer = client.get("/v2", headers={"Host": "rebound.example"})
        refused(answer)
        assert answer.status_code == 403


def test_a_failure_of_the_server_tells_nothing(saved, monkeypatch, caplog) -> None:
    from starlette.testclient import TestClient

    from nabi.serving import application

    def fail(*_: object, **__: object) -> None:
        raise OSError("/secret/place")

    monkeypatch.setattr(type(saved.reviews), "predict", fail)
    with TestClient(application({"reviews": saved.reviews}), base_url="http://localhost") as client:
        answer = client.post("/classify", json={"texts": ["good"]})
        assert answer.status_code == 500
        assert "secret" not in answer.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.nabi"], "missing.nabi"),
        (["{gauge}", "--host", "0.0.0.0"], "API key"),
        (["{gauge}", "{gauge}"], "twice"),
        (["a/b={gauge}"], "name of letters"),
        (["{gauge}", "--port", "{port}"], "listen"),
    ],
)
def test_the_command_says_what_is_wrong(server, saved, capsys, monkeypatch, arguments, said) -> None:
    from nabi.cli import main

    monkeypatch.delenv("NABI_API_KEY", raising=False)
    given = {"gauge": saved.files["gauge"], "port": server.address.rsplit(":", 1)[1]}
    with pytest.raises(SystemExit) as end:
        main(["serve", *(one.format(**given) for one in arguments)])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
