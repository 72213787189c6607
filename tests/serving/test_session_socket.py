"""Many sessions over one WebSocket, as JSON and as bytes, and the calls that they share."""

import asyncio
import json
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import nabi
from nabi.serving import Limits, application
from nabi.serving._refused import RefusedError
from nabi.serving._sessions import Sessions

PATH = "/v2/models/gauge/stream"
LOCAL = {"host": "localhost"}


@pytest.fixture(scope="module")
def served() -> Iterator[SimpleNamespace]:
    """A program with a model that reads rows and one that reads codes, asked in this process."""
    gauge = nabi.Sequential([nabi.layers.GRU(4, input_shape=(None, 3)), nabi.layers.Dense(2)])
    letters = nabi.Sequential(
        [nabi.layers.Embedding(7, 3, input_length=5), nabi.layers.LSTM(4), nabi.layers.Dense(2)]
    )
    limits = Limits(sessions=12, numbers=10_000)
    with TestClient(
        application({"gauge": gauge, "letters": letters}, limits=limits), base_url="http://localhost"
    ) as client:
        yield SimpleNamespace(client=client, gauge=gauge, letters=letters)


def frame(numbers: list[int], steps: np.ndarray) -> bytes:
    head = struct.pack("<II", len(numbers), steps.shape[1])
    return head + np.asarray(numbers, "<u4").tobytes() + steps.astype("<f4").tobytes()


def unframed(data: bytes) -> tuple[list[int], np.ndarray]:
    count, steps = struct.unpack_from("<II", data)
    numbers = np.frombuffer(data, "<u4", count, 8).tolist()
    return numbers, np.frombuffer(data, "<f4", offset=8 + 4 * count).reshape(count, steps, -1)


def test_a_session_of_bytes(served) -> None:
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("<f4")
    with served.client.websocket_connect(PATH, headers=LOCAL) as socket:
        socket.send_bytes(x[:2].tobytes())
        assert len(socket.receive_bytes()) == 2 * 2 * 4
        for wrong in (b"", b"12345", np.full(3, np.nan, "<f4").tobytes()):
            socket.send_bytes(wrong)
            assert "error" in json.loads(socket.receive_text())
        socket.send_bytes(x[2:].tobytes())
        found = np.frombuffer(socket.receive_bytes(), "<f4").reshape(3, 2)
    np.testing.assert_allclose(found[-1], served.gauge.predict(x[None], verbose=0)[0], atol=2e-6)


def test_many_sessions_over_one_connection(served) -> None:
    x = np.random.default_rng(1).normal(size=(6, 4, 3)).astype(np.float32)
    expected = served.gauge.predict(x, verbose=0)
    with served.client.websocket_connect(f"{PATH}?sessions=8", headers=LOCAL) as socket:
        socket.send_bytes(frame([0, 1, 2, 3, 4, 5], x[:, :3]))
        assert unframed(socket.receive_bytes())[0] == [0, 1, 2, 3, 4, 5]
        socket.send_bytes(frame([4, 1], x[[4, 1], 3:]))
        numbers, found = unframed(socket.receive_bytes())
        assert numbers == [4, 1]
        np.testing.assert_allclose(found[:, -1], expected[[4, 1]], atol=2e-6)
        socket.send_text(json.dumps({"sessions": [0, 5], "steps": x[[0, 5], 3:].tolist()}))
        answer = json.loads(socket.receive_text())
        assert answer["sessions"] == [0, 5]
        np.testing.assert_allclose(np.array(answer["outputs"])[:, -1], expected[[0, 5]], atol=2e-6)
        socket.send_text(json.dumps({"reset": [5, 7]}))
        assert json.loads(socket.receive_text()) == {"reset": [5, 7]}
        socket.send_bytes(frame([5, 7], x[:2]))
        np.testing.assert_allclose(unframed(socket.receive_bytes())[1][:, -1], expected[:2], atol=2e-6)


WRONG: list[Any] = [
    {"sessions": [0, 0], "steps": [[[1, 2, 3]]] * 2},
    {"sessions": [8], "steps": [[[1, 2, 3]]]},
    {"sessions": [-1], "steps": [[[1, 2, 3]]]},
    {"sessions": [True], "steps": [[[1, 2, 3]]]},
    {"sessions": [0], "steps": [[[1, 2]]]},
    {"sessions": [0, 1], "steps": [[[1, 2, 3]]]},
    {"sessions": [0, 1], "steps": [[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]]},
    {"sessions": [0], "steps": []},
    {"sessions": [0], "steps": [[[1, 2, 1e999]]]},
    {"reset": [0], "steps": []},
    {"reset": "all"},
    frame([0, 0], np.zeros((2, 1, 3))),
    frame([9], np.zeros((1, 1, 3))),
    frame([0], np.zeros((1, 1, 2))),
    frame([0], np.full((1, 1, 3), np.inf)),
    frame([], np.zeros((0, 1, 3))),
    struct.pack("<II", 2**32 - 1, 2**32 - 1),
    struct.pack("<II", 1, 0) + b"\0\0\0\0",
    b"\0",
]


def test_what_is_wrong_leaves_all_sessions_as_they_were(served) -> None:
    x = np.random.default_rng(2).normal(size=(2, 2, 3)).astype(np.float32)
    with served.client.websocket_connect(f"{PATH}?sessions=8", headers=LOCAL) as socket:
        socket.send_bytes(frame([0, 1], x[:, :1]))
        socket.receive_bytes()
        for wrong in WRONG:
            (socket.send_bytes if isinstance(wrong, bytes) else socket.send_json)(wrong)
            assert json.loads(socket.receive_text())["error"]
        socket.send_bytes(frame([0, 1], x[:, 1:]))
        found = unframed(socket.receive_bytes())[1][:, 0]
    np.testing.assert_allclose(found, served.gauge.predict(x, verbose=0), atol=2e-6)


def test_codes_are_one_number(served) -> None:
    codes = np.array([[3, 1, 0, 6, 2]])
    with served.client.websocket_connect("/v2/models/letters/stream", headers=LOCAL) as socket:
        socket.send_bytes(codes.astype("<f4").tobytes())
        found = np.frombuffer(socket.receive_bytes(), "<f4").reshape(5, 2)
        np.testing.assert_allclose(found[-1], served.letters.predict(codes, verbose=0)[0], atol=2e-6)
        for wrong in (7.0, 1.5, -1.0):
            socket.send_bytes(np.array([wrong], "<f4").tobytes())
            assert "codes from 0 to 6" in socket.receive_text()


@pytest.mark.parametrize(
    "asked", ["sessions=0", "sessions=x", "sessions=13", "sessions=%C2%B2", "session=none"]
)
def test_sessions_that_are_not_granted(served, asked) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        served.client.websocket_connect(f"{PATH}?{asked}", headers=LOCAL),
    ):
        pass
    # None of those that were opened on the way is left.
    assert 'nabi_sessions{model="gauge"} 0' in served.client.get("/metrics").text


def test_steps_that_arrive_together_are_one_call() -> None:
    model = nabi.Sequential([nabi.layers.LSTM(4, input_shape=(None, 3)), nabi.layers.Dense(2)])
    x = np.random.default_rng(3).normal(size=(40, 3, 3)).astype(np.float32)

    async def all_of_them() -> None:
        sessions = Sessions("m", nabi.Stream(model), Limits())
        held = [sessions.open() for _ in x]
        for step in range(3):
            found = await asyncio.gather(
                *(
                    sessions.advance([one], row[None, step : step + 1])
                    for one, row in zip(held, x, strict=True)
                )
            )
        assert sessions.calls == 3
        np.testing.assert_allclose(np.concatenate(found)[:, 0], model.predict(x, verbose=0), atol=2e-6)
        # Whoever goes away in the middle is not waited for, and the row of the state may be used again.
        gone = asyncio.create_task(sessions.advance([held[0]], x[:1]))
        await asyncio.sleep(0)
        gone.cancel()
        sessions.discard(held[0])
        fresh = sessions.open()
        again = await sessions.advance([fresh], x[:1])
        np.testing.assert_allclose(again[0, -1], model.predict(x[:1], verbose=0)[0], atol=2e-6)
        await sessions.finish()
        with pytest.raises(RefusedError, match="ending"):
            await sessions.advance([fresh], x[:1])

    asyncio.run(all_of_them())


def test_long_steps_leave_the_others_their_turn(monkeypatch) -> None:
    """What takes longer than a moment is computed in a thread, and bounded by the deadline."""
    import nabi.serving._steps as steps

    monkeypatch.setattr(steps, "_SHORT", 0.0)
    model = nabi.Sequential([nabi.layers.LSTM(128, input_shape=(None, 3))])
    x = np.random.default_rng(4).normal(size=(1, 20_000, 3)).astype(np.float32)

    async def both() -> None:
        sessions = Sessions("m", nabi.Stream(model), Limits(seconds=0.05))
        one, other = sessions.open(), sessions.open()
        await sessions.advance([one], x[:, :1])  # measures how long a step takes
        before = sessions.export(one)
        late, _ = await asyncio.gather(
            sessions.advance([one], x), sessions.advance([other], x[:, :1]), return_exceptions=True
        )
        assert isinstance(late, RefusedError)
        assert late.status == 504
        await sessions.finish()
        assert sessions.export(one) == before

    asyncio.run(both())
