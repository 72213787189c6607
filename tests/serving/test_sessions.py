"""Sessions: the same numbers as the whole sequence, bounds, expiry, and moving to another server."""

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import nabi
from nabi.serving import Limits
from nabi.serving._refused import RefusedError
from nabi.serving._sessions import Sessions

from ..examples import examples
from .conftest import KEY

PATH = "/v2/models/gauge/sessions"


def opened(client, body=None) -> str:
    answer = client.post(PATH, json=body or {})
    assert answer.status_code == 201, answer.text
    return f"{PATH}/{answer.json()['session']}"


@settings(max_examples=examples(10))
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_steps_give_what_the_whole_sequence_gives(server, saved, parts) -> None:
    x = np.random.default_rng(1).normal(size=(sum(parts), 3)).astype(np.float32)
    place, outputs = opened(server.client), []
    for part in np.split(x, np.cumsum(parts)[:-1]):
        answer = server.client.post(f"{place}/steps", json={"steps": part.tolist()})
        outputs += answer.json()["outputs"]
    assert server.client.get(place).json()["steps"] == len(x)
    assert server.client.delete(place).status_code == 204
    assert server.client.delete(place).status_code == 404
    for end in range(1, len(x) + 1):
        np.testing.assert_allclose(
            outputs[end - 1], saved.gauge.predict(x[None, :end], verbose=0)[0], atol=2e-6
        )


def test_a_state_moves_to_another_session(server) -> None:
    x = np.random.default_rng(2).normal(size=(6, 3)).tolist()
    first = opened(server.client)
    server.client.post(f"{first}/steps", json={"steps": x[:3]})
    exported = server.client.get(f"{first}/state").json()
    second = opened(server.client, {"state": exported})
    answers = [server.client.post(f"{one}/steps", json={"steps": x[3:]}).json() for one in (first, second)]
    assert answers[0] == answers[1]
    assert answers[0]["steps"] == 6
    for wrong in (
        {**exported, "structure": "other"},
        {**exported, "state": {}},
        {"steps": 3},
        {**exported, "steps": -1},
        {**exported, "format": 0},
        {**exported, "weights": "others"},
        {**exported, "more": 1},
        {**exported, "state": {name: [0.0] for name in exported["state"]}},
    ):
        assert server.client.post(PATH, json={"state": wrong}).status_code == 400
    overflowing = {name: [1e39] * len(values) for name, values in exported["state"].items()}
    assert server.client.post(PATH, json={"state": {**exported, "state": overflowing}}).status_code == 422
    for one in (first, second):
        server.client.delete(one)


def test_a_wrong_step_leaves_the_session_as_it_was(server) -> None:
    place = opened(server.client)
    before = server.client.get(f"{place}/state").json()
    for wrong in ([[1, 2]], [1, 2, 3], [[1, 2, "a"]], [[1, 2, 1e300]], [], None, [[1, 2, 3]] * 501):
        answer = server.client.post(f"{place}/steps", json={"steps": wrong})
        assert answer.status_code in (400, 413, 422)
        assert "steps" in answer.json()["error"]
    assert server.client.get(f"{place}/state").json() == before
    server.client.delete(place)


def test_sessions_are_bounded(server) -> None:
    places = []
    while (answer := server.client.post(PATH, json={})).status_code == 201:
        places.append(f"{PATH}/{answer.json()['session']}")
    assert len(places) == 8
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    for place in places:
        server.client.delete(place)


def test_a_connection_is_a_session(server, saved) -> None:
    x = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)
    address = server.address.replace("http", "ws") + "/v2/models/gauge/stream"
    key = {"Authorization": f"Bearer {KEY}"}
    with connect(address, additional_headers=key, proxy=None) as socket:
        for wrong in ("{", "[]", '{"steps": [[1]]}', '{"other": 1}', b"bytes", b""):
            socket.send(wrong)
            assert "error" in json.loads(socket.recv())
        for end in range(1, len(x) + 1):
            socket.send(json.dumps({"steps": x[end - 1 : end].tolist()}))
            (found,) = json.loads(socket.recv())["outputs"]
            np.testing.assert_allclose(found, saved.gauge.predict(x[None, :end], verbose=0)[0], atol=2e-6)
    place = opened(server.client)
    with connect(
        f"{address}?session={place.rsplit('/', 1)[1]}", additional_headers=key, proxy=None
    ) as socket:
        socket.send(json.dumps({"steps": x.tolist()}))
        assert len(json.loads(socket.recv())["outputs"]) == 4
        # Two writers would mix their steps.
        assert server.client.post(f"{place}/steps", json={"steps": x.tolist()}).status_code == 409
    server.client.delete(place)
    with pytest.raises(InvalidStatus, match="403"), connect(address, proxy=None):
        pass


def test_a_state_that_is_not_finite_is_not_kept() -> None:
    model = nabi.Sequential([nabi.layers.SimpleRNN(1, activation="linear", input_shape=(None, 1))])
    model.set_weights(
        [np.full((1, 1), 1e18, "float32"), np.full((1, 1), 1e18, "float32"), np.zeros(1, "float32")]
    )
    sessions = Sessions("m", nabi.Stream(model), Limits())
    first, second = sessions.open(), sessions.open()

    async def both() -> list:
        asked = (sessions.read([[1e8], [1.0]]), sessions.read([[1.0], [1.0]]))
        answers = [sessions.advance([one], steps) for one, steps in zip((first, second), asked, strict=True)]
        return await asyncio.gather(*answers, return_exceptions=True)

    before = sessions.export(first)["state"]
    refused, answered = asyncio.run(both())
    assert isinstance(refused, RefusedError)
    assert refused.status == 422
    assert (first.steps, sessions.export(first)["state"]) == (0, before)
    # The other one, which went through the same call, has gone on.
    assert (sessions.calls, second.steps) == (1, 2)
    assert np.isfinite(answered).all()


def test_many_clients_at_once_get_their_own_numbers(server, saved) -> None:
    import httpx

    x = np.random.default_rng(4).normal(size=(8, 5, 3)).astype(np.float32)
    expected = saved.gauge.predict(x, verbose=0)

    async def one(client, row) -> list[float]:
        place = (await client.post(PATH, json={})).json()["session"]
        for step in row:
            answer = await client.post(f"{PATH}/{place}/steps", json={"steps": [step.tolist()]})
        await client.delete(f"{PATH}/{place}")
        return answer.json()["outputs"][-1]

    async def all_of_them() -> list[list[float]]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            base_url=server.address, headers=headers, timeout=60, trust_env=False
        ) as client:
            return await asyncio.gather(*(one(client, row) for row in x))

    np.testing.assert_allclose(asyncio.run(all_of_them()), expected, atol=2e-6)
