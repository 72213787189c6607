"""What stays in a server in the long run.

    OMP_NUM_THREADS=1 python -m benchmarks.serving_long requests [--requests 1000000] [--minutes 4]
    OMP_NUM_THREADS=1 python -m benchmarks.serving_long day [--hours 24] [--sessions 30000]

The server's program runs in this process, without sockets, so that a million requests take minutes.

requests: arrays and texts to be computed, steps of sessions, sessions that nobody closes, addresses, models
    and fields that there are not, figures. The memory of the process is said along the way.
day: a day of sessions on two servers with a clock that is set forward. They are opened at random moments,
    more of them by day than by night, read steps, are left alone, closed, or exported and imported by the
    other server. Whether a session is still open, and how many are, is compared with what their last uses
    say, and outputs with those of the model for the whole sequence.
"""

import argparse
import asyncio
import gc
import heapq
import json
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import nabi
from nabi.serving import Limits
from nabi.serving._app import program
from nabi.serving._models import Models

__all__ = ["Answer", "Day", "Inside"]

WIDTH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["requests", "day"])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=4.0, help="after which requests end")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--sessions", type=int, default=30_000, help="that are opened in these hours")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.what == "requests":
        asyncio.run(many(given.requests, given.minutes, given.seed))
        return
    day = Day(gauge(), hours=given.hours, opened=given.sessions, limits=DAY, seed=given.seed, says=True)
    began = time.perf_counter()
    asyncio.run(day.passes())
    print(f"{given.hours:g} hours in {time.perf_counter() - began:.0f} s: {day.summary()}")


def gauge(units: int = 32) -> nabi.Sequential:
    return nabi.Sequential(
        [nabi.layers.LSTM(units, input_shape=(None, WIDTH)), nabi.layers.Dense(4)], name="gauge"
    )


def resident() -> float:
    """Return the megabytes of memory that this process has."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc does not say")


class Answer:
    """What a server has answered: status and JSON."""

    def __init__(self) -> None:
        self.status, self.body = 0, b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Inside:
    """A client of an ASGI program in the same process."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(self, method: str, path: str, body: Any = None, headers: Iterable[Any] = ()) -> Answer:
        """Send a request, with a body of JSON, and wait for the whole answer."""
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = Answer()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
            else:
                answer.body += message.get("body", b"")

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        await self._app(scope, receive, send)
        return answer


# Requests -------------------------------------------------------------------------------------------------

TOGETHER = 16
SESSIONS = "/v2/models/gauge/sessions"


async def many(requests: int, minutes: float, seed: int) -> None:
    """Send requests of all kinds, and say what the memory is along the way."""
    texts = nabi.TextClassifier(units=16, embedding_size=16, epochs=1)
    texts.fit(["a good film", "good and warm", "bad", "a bad film"] * 8, ["+", "+", "-", "-"] * 8, verbose=0)
    now = [0.0]
    models = Models({"gauge": gauge(), "texts": texts}, Limits(sessions=200, idle=5.0), lambda: now[0])
    client = Inside(program(models))
    statuses: Counter[int] = Counter()
    seen: list[tuple[int, float]] = []
    gc.collect()
    gc.freeze()  # what was loaded until now is not looked at again, which takes half a second
    began = time.perf_counter()
    end = began + 60 * minutes

    async def one(number: int) -> None:
        draw = random.Random(seed * requests + number)
        sessions: list[str] = []
        while statuses.total() < requests and time.perf_counter() < end:
            answer = await client.ask(*_request(draw, sessions))
            statuses[answer.status] += 1
            if answer.status == 201:
                sessions = [*sessions[-2:], answer.json["session"]]
            assert answer.status < 500 or answer.status == 504, answer.body
            now[0] += 0.001
            if statuses.total() % 1000 == 0:
                gc.collect()
                seen.append((statuses.total(), resident()))

    await asyncio.gather(*(one(number) for number in range(TOGETHER)))
    total, seconds = statuses.total(), time.perf_counter() - began
    print(f"{total:,} requests in {seconds:.0f} s, by status: {dict(sorted(statuses.items()))}")
    for share in (0.01, 0.1, 0.25, 0.5, 0.75, 1.0):
        count, megabytes = min(seen, key=lambda one: abs(one[0] - share * total))
        print(f"{share:>5.0%}: after {count:>9,} requests {megabytes:.1f} MB")
    now[0] += 10
    opened = models["gauge"].sessions
    print(f"{0 if opened is None else len(opened)} sessions are left")


def _request(draw: random.Random, sessions: list[str]) -> tuple[Any, ...]:
    """Return a method, an address, a body and headers."""
    kind = draw.random()
    numbers = [round(draw.gauss(0, 1), 3) for _ in range(WIDTH)]
    odd = f"{draw.getrandbits(64):x}"
    if kind < 0.45:
        tensor = {"name": "input", "shape": [1, 1, WIDTH], "datatype": "FP32", "data": numbers}
        return "POST", "/v2/models/gauge/infer", {"inputs": [tensor]}
    if kind < 0.5:
        return "POST", "/classify", {"texts": [f"a {odd} film", f"so {draw.choice('abc')}"]}
    if kind < 0.6 or not sessions:
        return "POST", SESSIONS, {}
    if kind < 0.85:
        return "POST", f"{SESSIONS}/{draw.choice(sessions)}/steps", {"steps": [numbers]}
    if kind < 0.88:
        return "GET", f"{SESSIONS}/{draw.choice(sessions)}/state"
    if kind < 0.9:
        return "GET", "/metrics"
    wrong: list[tuple[Any, ...]] = [
        ("GET", f"/{odd}"), (odd[:6].upper(), "/v2"), ("POST", f"/v2/models/{odd}/infer", {}),
        ("POST", f"{SESSIONS}/{odd}/steps", {"steps": [numbers]}), ("POST", "/classify", {odd: 1}),
        ("POST", "/classify", b"{"), ("POST", SESSIONS, {"state": {odd: numbers}}),
        ("POST", "/classify", {"texts": ["a"]}, [(b"x-server-timeout", odd.encode())]),
        ("POST", "/classify", {"texts": ["a"]}, [(b"x-server-timeout", b"0.000001")]),
    ]  # fmt: skip
    return draw.choice(wrong)


# A day ----------------------------------------------------------------------------------------------------

DAY = Limits(sessions=300, idle=600.0)


class Day:
    """Sessions on two servers, with a clock that is set forward from one request to the next.

    Args:
        model: that both serve.
        hours: of the clock.
        opened: sessions that are opened in all.
        limits: of both servers.
        seed: of moments and choices.
        says: whether each hour is told.
    """

    def __init__(
        self, model: nabi.Sequential, *, hours: float, opened: int, limits: Limits, seed: int, says: bool
    ) -> None:
        self._model, self._limits, self._says = model, limits, says
        self._seconds, self._opened = 3600 * hours, opened
        self._random = random.Random(seed)
        self._now = 0.0
        self.served = [Models({"gauge": model}, limits, lambda: self._now) for _ in range(2)]
        self._clients = [Inside(program(one)) for one in self.served]
        # When each session was used last, for those that may still be open.
        self._used: list[dict[str, float]] = [{}, {}]
        self.counts: Counter[str] = Counter()
        self.most = 0

    async def passes(self) -> None:
        """Let the day pass.

        Raises:
            AssertionError: if a server answers otherwise than the last uses of sessions say.
        """
        waiting: list[tuple[float, int, AsyncIterator[float]]] = []
        for number, moment in enumerate(self._arrivals()):
            waiting.append((moment, number, self._client(number)))
        heapq.heapify(waiting)
        hour = 0
        while waiting:
            moment, number, client = heapq.heappop(waiting)
            self._now = max(self._now, moment)
            async for delay in client:
                heapq.heappush(waiting, (moment + delay, number, client))
                break
            if self.counts["requests"] % 10 == 0:
                self._compare()
            while self._says and self._now >= 3600 * hour:
                gc.collect()
                left = [len(one) for one in self._used]
                print(f"{hour:>3} h: {left} sessions open, {resident():.1f} MB", flush=True)
                hour += 1
        self._now += self._limits.idle + 1
        self._compare()
        assert [self._open(server) for server in (0, 1)] == [0, 0]

    def summary(self) -> str:
        """Return the counts in a line."""
        counted = ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))
        return f"{counted}; {self.most} sessions at once at most, of {self._limits.sessions} on a server"

    def _arrivals(self) -> list[float]:
        """Return when sessions are opened: nine times as often at noon as at midnight."""
        found: list[float] = []
        while len(found) < self._opened:
            moment = self._random.uniform(0, self._seconds)
            if self._random.random() < 0.2 + 0.8 * math.sin(math.pi * moment / 86400) ** 2:
                found.append(moment)
        return sorted(found)

    async def _client(self, number: int) -> AsyncIterator[float]:
        """Use a session; what is given is for how many seconds it is then left alone."""
        draw = random.Random(self._random.getrandbits(64))
        server, read = draw.randrange(2), np.empty((0, WIDTH), np.float32)
        session = await self._open_session(server, {})
        while session is not None:
            yield draw.expovariate(3 / self._limits.idle)
            end = draw.random()
            if not self._is_open(server, session):
                assert (await self._ask(server, "GET", f"/{session}")).status == 404
                self.counts["expired"] += 1
                return
            if end < 0.08:
                assert (await self._ask(server, "DELETE", f"/{session}")).status == 204
                self.counts["closed"] += 1
                del self._used[server][session]
                return
            if end < 0.16:
                self.counts["left alone"] += 1
                return
            if end < 0.24:
                state = (await self._ask(server, "GET", f"/{session}/state")).json
                self._used[server][session] = self._now
                server = 1 - server
                session = await self._open_session(server, {"state": state})
                self.counts["moved"] += session is not None
                continue
            steps = np.asarray([[draw.gauss(0, 1)] * WIDTH for _ in range(draw.randint(1, 3))], np.float32)
            wrong = end < 0.28
            body = {"steps": [[1.0]] if wrong else steps.tolist()}
            answer = await self._ask(server, "POST", f"/{session}/steps", body)
            self._used[server][session] = self._now
            if wrong:
                assert answer.status == 400
                continue
            read = np.concatenate([read, steps])
            assert answer.json["steps"] == len(read)
            if number % 10 == 0:
                expected = self._model.predict(read[None], verbose=0)[0]
                np.testing.assert_allclose(answer.json["outputs"][-1], expected, atol=2e-6)
                self.counts["compared with the whole sequence"] += 1

    async def _open_session(self, server: int, body: Any) -> str | None:
        full = self._open(server) >= self._limits.sessions
        answer = await self._ask(server, "POST", "", body)
        assert answer.status == (429 if full else 201), answer.body
        self.counts["refused" if full else "opened"] += 1
        if full:
            return None
        name: str = answer.json["session"]
        self._used[server][name] = self._now
        return name

    async def _ask(self, server: int, method: str, rest: str, body: Any = None) -> Answer:
        self.counts["requests"] += 1
        return await self._clients[server].ask(method, SESSIONS + rest, body)

    # What should be ---------------------------------------------------------------------------------------

    def _is_open(self, server: int, session: str) -> bool:
        used = self._used[server].get(session)
        return used is not None and used >= self._now - self._limits.idle

    def _open(self, server: int) -> int:
        used = self._used[server]
        for session in [one for one in used if not self._is_open(server, one)]:
            del used[session]
        return len(used)

    def _compare(self) -> None:
        for server, models in enumerate(self.served):
            sessions = models["gauge"].sessions
            assert sessions is not None
            assert len(sessions) == self._open(server) <= self._limits.sessions
            self.most = max(self.most, len(sessions))


if __name__ == "__main__":
    main()
