"""The OpenAPI document and the metrics."""

import re


def test_the_description_names_every_route(server) -> None:
    document = server.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/classify", "/write", "/v2/models/{model}/infer", "/metrics"} <= set(document["paths"])
    assert "/recognise" not in document["paths"]  # no model recognises
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            assert said["summary"]
            named = [one["name"] for one in said["parameters"] if "name" in one]
            assert named == re.findall(r"\{(\w+)\}", path)
            # What computes may be asked for an answer in time; the reference leads somewhere.
            for one in said["parameters"][len(named) :]:
                assert "requestBody" in said
                assert document["components"]["parameters"][one["$ref"].rsplit("/", 1)[1]]["in"] == "header"
            # None is missing where it is said to be.
            model = "none" if "repository" in path else "gauge"  # which is needed below
            asked = re.sub(r"\{model\}", model, re.sub(r"\{session\}", "none", path))
            answer = server.client.request(method, asked)
            assert "there is no such address" not in answer.text
            assert answer.status_code != 405


def test_metrics_count(server) -> None:
    def count() -> int:
        text = server.client.get("/metrics").text
        found = re.search(r'nabi_requests_total\{method="GET",path="/v2",status="200"\} (\d+)', text)
        return int(found[1]) if found else 0

    before = count()
    server.client.get("/v2")
    assert count() == before + 1
    text = server.client.get("/metrics").text
    assert 'nabi_sessions{model="gauge"} ' in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+', line)
