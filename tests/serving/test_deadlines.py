"""A client says until when it wants its answer; work for one that waits no longer is not begun."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nabi.serving import Limits, application

SOON = {"X-Server-Timeout": "0.05"}
JSON = {"Content-Type": "application/json"}
TEXT = {"texts": ["so good"]}
SESSIONS = "/v2/models/gauge/sessions"
STREAM = "ws://localhost/v2/models/gauge/stream"


class Gate:
    """Stands before a method: it keeps what it was given, and computes when it is let go."""

    def __init__(self, monkeypatch, owner, name: str) -> None:
        self.go, self.begun, self.given = threading.Event(), threading.Event(), []
        method = getattr(owner, name)

        def gated(model, *arguments, **named):
            self.given.append(arguments[0] if arguments else named["texts"])
            self.begun.set()
            assert self.go.wait(60)
            return method(model, *arguments, **named)

        monkeypatch.setattr(owner, name, gated)


def asking(models, test, **limits) -> None:
    async def all_of_it() -> None:
        transport = httpx.ASGITransport(application(models, limits=Limits(**limits)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await test(client)

    asyncio.run(all_of_it())


def too_late(answer, seconds: str = "0.05") -> bool:
    return (answer.status_code, answer.json()) == (504, {"error": f"no answer within {seconds} seconds"})


def test_a_request_that_has_waited_too_long_is_not_begun(saved, monkeypatch) -> None:
    gate = Gate(monkeypatch, type(saved.reviews), "predict")

    async def test(client) -> None:
        first = asyncio.create_task(client.post("/classify", json=TEXT))
        await asyncio.to_thread(gate.begun.wait, 60)
        assert too_late(await client.post("/classify", json={"texts": ["bad"]}, headers=SOON))
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["bad"]}
        body = {"inputs": [tensor], "parameters": {"timeout": 20_000, "other": "x"}}
        assert too_late(await client.post("/v2/models/reviews/infer", json=body), "0.02")
        # The earlier of the two, and never later than the server's.
        assert too_late(await client.post("/v2/models/reviews/infer", json=body, headers=SOON), "0.02")
        gate.go.set()
        assert (await first).status_code == 200
        body["parameters"] = {"timeout": 0}
        answers = [
            await client.post("/classify", json=TEXT, headers={"X-Server-Timeout": "100000"}),
            await client.post("/v2/models/reviews/infer", json=body),
        ]
        assert [one.status_code for one in answers] == [200, 200]
        assert gate.given == [["so good"], ["so good"]]

    asking({"reviews": saved.reviews}, test)


def test_a_turn_that_comes_after_the_deadline_is_not_used(saved, monkeypatch) -> None:
    """The loop may stand still so long that it learns of the deadline only when it would begin."""
    gate = Gate(monkeypatch, type(saved.reviews), "predict")

    async def test(client) -> None:
        first = asyncio.create_task(client.post("/classify", json=TEXT))
        await asyncio.to_thread(gate.begun.wait, 60)
        second = asyncio.create_task(client.post("/classify", json={"texts": ["bad"]}, headers=SOON))
        for _ in range(10):
            await asyncio.sleep(0)
        gate.go.set()
        time.sleep(0.1)  # the first has been computed, and the second's time is over
        assert too_late(await second)
        assert (await first).status_code == 200
        assert gate.given == [["so good"]]

    asking({"reviews": saved.reviews}, test)


def test_the_server_has_a_deadline_of_its_own(saved, monkeypatch) -> None:
    gate = Gate(monkeypatch, type(saved.reviews), "predict")

    async def test(client) -> None:
        asked = [
            client.post("/classify", json=TEXT, headers=headers)
            for headers in ({}, {"X-Server-Timeout": "30"})
        ]
        assert all(map(too_late, await asyncio.gather(*asked)))
        gate.go.set()

    asking({"reviews": saved.reviews}, test, seconds=0.05)


def test_a_text_ends_where_its_time_ends(saved, monkeypatch) -> None:
    import nabi.serving._tasks as tasks

    gate = Gate(monkeypatch, tasks, "islice")
    body = {"start": "hello", "length": 20}

    async def test(client) -> None:
        for stream in (True, False):
            gate.begun.clear()
            gate.go.set()
            asked = {**body, "stream": stream}
            whole = await client.post("/write", json=asked, headers={"X-Server-Timeout": "60"})
            assert whole.status_code == 200
            # So with the first pieces; later ones come in an answer that has begun.
            gate.go.clear()
            assert too_late(await client.post("/write", json=asked, headers=SOON))
            gate.go.set()
        gate.given.clear()
        monkeypatch.setattr(tasks, "islice", slow)
        answer = await client.post("/write", json=body, headers={"X-Server-Timeout": "0.3"})
        assert answer.status_code == 200
        event, said = answer.text.strip().split("\n\n")[-1].split("\n")
        assert event == "event: error"
        assert json.loads(said.removeprefix("data: ")) == {"error": "no answer within 0.3 seconds"}

    def slow(pieces, count):
        gate.given.append(count)
        if len(gate.given) > 1:
            time.sleep(0.4)
        return [next(pieces)]

    asking({"lines": saved.lines}, test)


def test_a_body_that_comes_too_slowly(saved) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.2)
        yield b"}"

    async def test(client) -> None:
        answer = await client.post("/classify", content=slow(), headers={**JSON, **SOON})
        assert (answer.status_code, answer.json()["error"][-19:]) == (408, "within 0.05 seconds")

    asking({"reviews": saved.reviews}, test)


@pytest.mark.parametrize("said", ["", "0", "-1", "0.0", "1e3", "nan", "inf", "1s", "1,5", "٣", "9" * 400])
def test_what_is_no_time_is_refused(server, said) -> None:
    answer = server.client.post("/classify", json=TEXT, headers={"X-Server-Timeout": said.encode()})
    assert answer.status_code == 400
    assert "X-Server-Timeout: expected seconds above 0" in answer.json()["error"]


@pytest.mark.parametrize("said", [-1, 0.5, True, "1", 2**63, [], 0.0])
def test_what_is_no_timeout_of_the_protocol_is_refused(server, said) -> None:
    body = {"inputs": [{}], "parameters": {"timeout": said}}
    answer = server.client.post("/v2/models/gauge/infer", json=body)
    assert answer.status_code == 400
    assert "parameters: timeout: expected a whole number" in answer.json()["error"]
    answer = server.client.post("/v2/models/gauge/infer", json={"inputs": [{}], "parameters": [said]})
    assert (answer.status_code, answer.json()["error"]) == (400, "parameters: expected an object")


def test_steps_that_come_too_late_leave_the_session_as_it_was(saved, monkeypatch) -> None:
    import nabi.serving._steps as steps
    from nabi.shipping import Stream

    monkeypatch.setattr(steps, "_SHORT", 0.0)
    gate = Gate(monkeypatch, Stream, "advance")
    gate.go.set()
    step = {"steps": [[1, 2, 3]]}
    with TestClient(application({"gauge": saved.gauge}), base_url="http://localhost") as client:
        place = f"{SESSIONS}/{client.post(SESSIONS, json={}).json()['session']}"
        assert client.post(f"{place}/steps", json=step).json()["steps"] == 1  # measures
        gate.go.clear()
        assert too_late(client.post(f"{place}/steps", json=step, headers=SOON))
        with client.websocket_connect(f"{STREAM}?timeout=0.05") as socket:
            socket.send_json(step)
            assert socket.receive_json() == {"error": "no answer within 0.05 seconds"}
            gate.go.set()
            socket.send_json(step)
            assert socket.receive_json()["steps"] == 1
        assert client.get(place).json()["steps"] == 1
        refused = client.websocket_connect(f"{STREAM}?timeout=0")
        with pytest.raises(WebSocketDisconnect) as closed, refused:
            pass
        assert "timeout: expected seconds above 0" in closed.value.reason
