"""Malformed requests to a server: each must be refused with a reason, and none may harm what others ask.

    python benchmarks/serving_fuzz.py [--requests 10000] [--seed 0]

Fuzzed JSON, wrong shapes and types, numbers that are not finite, bodies that are too large, bytes that are
no HTTP, connections that are closed or half closed in the middle, clients that stop sending, and broken
messages over WebSockets. What comes back is counted by status; a server error, an answer without a reason, a
session that is left, or a server that does not answer afterwards ends the program with an error.
"""

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

import nabi

PATHS = [
    "/classify",
    "/write",
    "/nowhere",
    "/v2/repository/index",
    "/v2/models/reviews/infer",
    "/v2/models/gauge/infer",
    "/v2/models/gauge/sessions",
    "/v2/models/gauge/sessions/none/steps",
]
FIELDS = ["texts", "model", "inputs", "outputs", "id", "start", "length", "steps", "state", "aspects", "name",
          "sequences", "shape", "datatype", "data", "sessions", "reset", "ready", "stream"]  # fmt: skip
HEAD = b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HEAD += b"Content-Length: 40\r\n\r\n"
JSON = {"Content-Type": "application/json"}
SCALARS = [None, True, 0, -1, 3, 1.5, 2**70, 1e300, float("nan"), float("inf"), "", "gauge", "FP32", "\ud800",
           "x" * 300, "나비", [1, 2, 3], [[1, 2, 3]], "../../etc/passwd"]  # fmt: skip
TELLING = ("Traceback", ".py", "site-packages", "/home", "/tmp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = saved(Path(folder))
        command = [sys.executable, "-m", "nabi", "serve", *map(str, files), "--port", "0"]
        command += ["--max-body", "20000", "--max-steps", "500", "--max-sessions", "50", "--seconds", "2"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        began = time.perf_counter()
        try:
            counts = fuzz(address, given.requests, random.Random(given.seed))
        finally:
            server.send_signal(signal.SIGTERM)
            _, errors = server.communicate(timeout=60)
    if "Traceback" in errors:
        raise SystemExit(errors)
    print(f"{sum(counts.values()):,} requests in {time.perf_counter() - began:.0f} s, seed {given.seed}:")
    for what, count in sorted(counts.items()):
        print(f"{count:>7,}  {what}")


def saved(folder: Path) -> list[Path]:
    """Return files of a small model of layers and of one that reads texts."""
    gauge = nabi.Sequential([nabi.layers.LSTM(4, input_shape=(None, 3)), nabi.layers.Dense(2)])
    texts = nabi.TextClassifier(units=4, embedding_size=4, epochs=1)
    texts.fit(
        ["good", "so good", "warm", "bad", "so bad", "cold"] * 2, (["+"] * 3 + ["-"] * 3) * 2, verbose=0
    )
    files = [folder / "gauge.nabi", folder / "reviews.nabi"]
    gauge.save(files[0])
    texts.save(files[1])
    return files


def fuzz(address: str, requests: int, draw: random.Random) -> Counter[str]:
    """Send malformed requests, and return how often each kind was answered how.

    Raises:
        SystemExit: for an answer that should not be.
    """
    counts: Counter[str] = Counter()
    host, port = address.removeprefix("http://").split(":")
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        good = right(client)
        for number in range(requests):
            kind = draw.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
            counts[f"{kind}: {KINDS[kind][1](client, (host, int(port)), draw)}"] += 1
            if number % 500 == 0 and right(client) != good:
                raise SystemExit("another answer than before to a request that is right")
        if right(client) != good:
            raise SystemExit("another answer than before to a request that is right")
        time.sleep(0.5)  # for the last sockets to be seen as closed
        opened = [
            line for line in client.get("/metrics").text.splitlines() if line.startswith("nabi_sessions{")
        ]
        if any(line.split()[-1] != "0" for line in opened):
            raise SystemExit(f"sessions are left: {opened}")
    return counts


def right(client: httpx.Client) -> str:
    """Return the answer to a request that is right."""
    answer = client.post("/classify", json={"texts": ["good"]})
    if answer.status_code != 200:
        raise SystemExit(f"a request that is right was answered with {answer.status_code}: {answer.text}")
    return answer.text


def said(answer: httpx.Response, client: httpx.Client) -> str:
    """Check an answer and return its status; a session that was opened is closed."""
    if answer.status_code == 201:
        client.delete(f"/v2/models/gauge/sessions/{answer.json()['session']}").raise_for_status()
    if answer.status_code >= 500 or (answer.status_code >= 400 and not answer.json()["error"]):
        raise SystemExit(
            f"{answer.request.url} {answer.request.content!r}: {answer.status_code} {answer.text}"
        )
    if answer.status_code >= 400 and any(word in answer.text for word in TELLING):
        raise SystemExit(f"an answer tells too much: {answer.text}")
    return str(answer.status_code)


def value(draw: random.Random, depth: int = 0) -> Any:
    """Return something that JSON can hold, and some that it cannot."""
    kind = draw.randrange(6 if depth < 3 else 4)
    if kind == 4:
        return [value(draw, depth + 1) for _ in range(draw.randrange(5))]
    if kind == 5:
        return {draw.choice(FIELDS): value(draw, depth + 1) for _ in range(draw.randrange(5))}
    return draw.choice(SCALARS)


def odd_json(client: httpx.Client, address: Any, draw: random.Random) -> str:
    fields = {draw.choice(FIELDS): value(draw) for _ in range(draw.randrange(5))}
    return said(client.post(draw.choice(PATHS), content=json.dumps(fields), headers=JSON), client)


def broken_json(client: httpx.Client, address: Any, draw: random.Random) -> str:
    text = bytearray(json.dumps({"texts": ["good", "bad"], "model": "reviews"}).encode())
    for _ in range(draw.randrange(1, 6)):
        text[draw.randrange(len(text))] = draw.randrange(256)
    return said(client.post(draw.choice(PATHS), content=bytes(text), headers=JSON), client)


def odd_tensor(client: httpx.Client, address: Any, draw: random.Random) -> str:
    shape = [draw.choice([-1, 0, 1, 2, 3, 10**9, 1.5, "3", None]) for _ in range(draw.randrange(5))]
    kind = draw.choice(["FP32", "INT8", "BOOL", "BYTES", "FP99", 4])
    tensor = {"name": "input", "shape": shape, "datatype": kind, "data": value(draw, 1)}
    asked = json.dumps({"inputs": [tensor]})
    return said(client.post("/v2/models/gauge/infer", content=asked, headers=JSON), client)


def huge(client: httpx.Client, address: Any, draw: random.Random) -> str:
    body = b'{"texts": ["' + b"x" * draw.choice([20_000, 60_000, 200_000]) + b'"]}'
    try:
        return said(client.post("/classify", content=body, headers=JSON), client)
    except httpx.TransportError:
        return "cut off"  # far above the bound, the connection is closed while the client sends


def raw(client: httpx.Client, address: Any, draw: random.Random) -> str:
    """Send bytes that are no HTTP, or only a part of a request, and close or half close."""
    parts = [
        draw.randbytes(draw.randrange(80)),
        HEAD,
        HEAD + b'{"texts": [',
        HEAD[: draw.randrange(len(HEAD))],
    ]
    sent = draw.choice(parts)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        if draw.random() < 0.5:
            return "closed"
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 4") else refused(answer)


def refused(answer: bytes) -> str:
    if answer:
        raise SystemExit(f"half a request was answered with {answer!r}")
    return "no answer"


def slow(client: httpx.Client, address: Any, draw: random.Random) -> str:
    """Send a part of a body, and then nothing: after its time the request is refused."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(HEAD + b"{")
        answer = connection.recv(4096)
    if b" 408 " not in answer:
        raise SystemExit(f"a slow client was answered with {answer!r}")
    return "408"


def message(client: httpx.Client, address: Any, draw: random.Random) -> str:
    """Open a WebSocket with one or many sessions, and send what is no message."""
    asked = draw.choice(["", "?sessions=3", "?sessions=0", "?session=x", "?sessions=99999999"])
    try:
        with connect(f"ws://{address[0]}:{address[1]}/v2/models/gauge/stream{asked}", proxy=None) as stream:
            for _ in range(3):
                stream.send(draw.choice([draw.randbytes(draw.randrange(60)), json.dumps(value(draw)), ""]))
                answer = stream.recv(timeout=30)
                if isinstance(answer, str) and json.loads(answer).get("error", "the server").startswith(
                    "the server"
                ):
                    raise SystemExit(f"a message was answered with {answer}")
        return "answered"
    except WebSocketException:
        return "closed"


KINDS: dict[str, tuple[float, Any]] = {
    "odd JSON": (40, odd_json),
    "broken JSON": (20, broken_json),
    "odd tensors": (20, odd_tensor),
    "huge bodies": (5, huge),
    "parts of requests": (10, raw),
    "slow clients": (0.1, slow),
    "messages of WebSockets": (5, message),
}


if __name__ == "__main__":
    main()
