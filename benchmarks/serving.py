"""How many requests a server answers, and how long a step of a session takes.

    python benchmarks/serving.py [--sessions 100] [--every 0.01] [--seconds 10] [--clients 16] [--units 32]

A server process is started on a free port. The load comes from this process: over HTTP for arrays, and over
WebSockets for sessions that send a step each at a fixed rate. A step that a session could not send in time,
because the one before was not answered, counts from when it was due.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from websockets.asyncio.client import connect

import nabi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--every", type=float, default=0.01, help="seconds between the steps of a session")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16, help="of HTTP, each with one request at a time")
    parser.add_argument("--units", type=int, default=32)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gauge.nabi"
        layers = [nabi.layers.LSTM(given.units, input_shape=(None, 8)), nabi.layers.Dense(4)]
        nabi.Sequential(layers).save(file)
        command = [sys.executable, "-m", "nabi", "serve", str(file), "--port", "0"]
        command += ["--max-sessions", str(given.sessions)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        try:
            asyncio.run(measure(address, given))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


async def measure(address: str, given: argparse.Namespace) -> None:
    began = time.perf_counter()
    took = await requests(address, given.clients, given.seconds)
    show(f"{given.clients} clients, infer [1, 20, 8]", took, time.perf_counter() - began)
    began = time.perf_counter()
    took = await steps(address, given.sessions, given.every, given.seconds)
    said = f"{given.sessions} sessions, a step every {given.every * 1000:g} ms"
    show(said, took, time.perf_counter() - began)


async def requests(address: str, clients: int, seconds: float) -> list[float]:
    x = np.random.default_rng(0).normal(size=160).round(4).tolist()
    asked = {"inputs": [{"name": "input", "shape": [1, 20, 8], "datatype": "FP32", "data": x}]}
    body, took = json.dumps(asked), []
    headers = {"Content-Type": "application/json"}

    async def one(client: httpx.AsyncClient, end: float) -> None:
        while (began := time.perf_counter()) < end:
            answer = await client.post("/v2/models/gauge/infer", content=body, headers=headers)
            answer.raise_for_status()
            took.append(time.perf_counter() - began)

    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(one(client, end) for _ in range(clients)))
    return took


async def steps(address: str, sessions: int, every: float, seconds: float) -> list[float]:
    message = json.dumps({"steps": np.random.default_rng(1).normal(size=(1, 8)).round(4).tolist()})
    took: list[float] = []

    async def one(delay: float) -> None:
        url = address.replace("http", "ws") + "/v2/models/gauge/stream"
        async with connect(url, proxy=None, compression=None, open_timeout=60) as socket:
            await asyncio.sleep(delay)
            due = time.perf_counter()
            end = due + seconds
            while due < end:
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                await socket.send(message)
                assert "outputs" in json.loads(await socket.recv())
                took.append(time.perf_counter() - due)
                due += every

    await asyncio.gather(*(one(every * place / sessions) for place in range(sessions)))
    return took


def show(what: str, took: list[float], seconds: float) -> None:
    middle, late = np.quantile(took, [0.5, 0.99]) * 1000
    print(f"{what}: {len(took) / seconds:,.0f} a second, p50 {middle:.2f} ms, p99 {late:.2f} ms")


if __name__ == "__main__":
    main()
