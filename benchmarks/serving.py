"""How many requests a server answers, and how long a step of a session takes.

    python benchmarks/serving.py sessions [--sessions 1000] [--sockets 10] [--every 0.01] [--form binary]
    python benchmarks/serving.py requests [--peer] [--rates 100,200,400,800] [--seconds 5]
    python benchmarks/serving.py memory [--requests 1000000] [--minutes 2]

A server process is started on a free port; the load comes from this process, with a core of its own where
there are two. A request that could not be sent in time counts from when it was due.

sessions: each session sends a step at a fixed rate; several may share a WebSocket, and send in one message.
requests: texts for a classifier of words and one of pieces of words, at several rates; with --peer also to
    `benchmarks/peers/serving_peer.py`, where torch's nn.LSTM of the same sizes answers behind Starlette and
    uvicorn, and to `litserve_peer.py`, where LitServe is installed.
memory: as many requests and steps as go into the time, and what the server's memory is along the way.
"""

import argparse
import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
from peers.spelling import WORDS, spelled
from websockets.asyncio.client import connect

import nabi

WIDTH, UNITS, OUTPUTS = 8, 32, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["sessions", "requests", "memory"])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--sockets", type=int, default=10, help="that the sessions share")
    parser.add_argument("--every", type=float, default=0.01, help="seconds between the steps of a session")
    parser.add_argument("--form", choices=["binary", "json"], default="binary")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rates", default="100,200,400,800", help="requests a second")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    {"sessions": sessions, "requests": classifying, "memory": memory}[given.what](given)


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """Start a server, and give its address and process number."""
    cores = sorted(os.sched_getaffinity(0))
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if len(cores) > 1:
        os.sched_setaffinity(server.pid, {cores[0]})
        os.sched_setaffinity(0, {cores[1]})
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[0], server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        os.sched_setaffinity(0, cores)


def nabi_command(file: Path, *options: object) -> list[str]:
    return [sys.executable, "-m", "nabi", "serve", str(file), "--port", "0", *map(str, options)]


def gauge(folder: str) -> Path:
    file = Path(folder) / "gauge.nabi"
    layers = [nabi.layers.LSTM(UNITS, input_shape=(None, WIDTH)), nabi.layers.Dense(OUTPUTS)]
    nabi.Sequential(layers).save(file)
    return file


# Sessions -------------------------------------------------------------------------------------------------


def sessions(given: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(nabi_command(gauge(folder), "--max-sessions", given.sessions)) as (address, _),
    ):
        asyncio.run(steps(address, given))


async def steps(address: str, given: argparse.Namespace) -> None:
    each = given.sessions // given.sockets
    x = np.random.default_rng(1).normal(size=(each, 1, WIDTH)).astype("<f4")
    if given.form == "binary":
        head = struct.pack("<II", each, 1) + np.arange(each, dtype="<u4").tobytes()
        message: bytes | str = head + x.tobytes()
    else:
        message = json.dumps({"sessions": list(range(each)), "steps": x.round(4).tolist()})
    took: list[float] = []

    async def one(place: int, begins: float) -> None:
        url = f"{address.replace('http', 'ws')}/v2/models/gauge/stream?sessions={each}"
        async with connect(url, proxy=None, compression=None, open_timeout=60) as socket:
            due = begins + given.every * place / given.sockets
            while due < begins + given.seconds:
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                await socket.send(message)
                answer = await socket.recv()
                assert "error" not in answer if isinstance(answer, str) else len(answer) > 8
                took.append(time.perf_counter() - due)
                due += given.every

    began = time.perf_counter() + 1 + given.sockets / 500  # by then all are connected
    await asyncio.gather(*(one(place, began) for place in range(given.sockets)))
    seconds = time.perf_counter() - began
    said = f"{given.sessions} sessions over {given.sockets} sockets, {given.form}, "
    said += f"a step every {given.every * 1000:g} ms"
    wanted = given.sessions / given.every
    print(f"{said}: {len(took) * each / seconds:,.0f} steps a second of {wanted:,.0f}, {quantiles(took)}")


def quantiles(took: list[float]) -> str:
    middle, late = np.quantile(took, [0.5, 0.99]) * 1000
    return f"p50 {middle:.2f} ms, p99 {late:.2f} ms"


# Requests -------------------------------------------------------------------------------------------------

TEXTS = 500


def classifying(given: argparse.Namespace) -> None:
    draw = np.random.default_rng(0)
    words = [spelled(number) for number in range(WORDS)]
    texts = [" ".join(draw.choice(words, draw.integers(20, 200))) for _ in range(TEXTS)]
    rates = [float(one) for one in given.rates.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        commands = {}
        for name, unit in (("nabi, pieces of words", "pieces"), ("nabi, words", "words")):
            file = Path(folder) / f"{unit}.nabi"
            model = nabi.TextClassifier(
                units=64, embedding_size=64, epochs=1, vocabulary_size=5002, unit=unit
            )
            model.fit(texts[:64], ["+", "-"] * 32, verbose=0)
            model.save(file)
            commands[name] = nabi_command(file, "--queue", 2000)
            lengths = [len(codes) for codes in model.encode(texts)]
            print(f"{name}: a text has {np.mean(lengths):.0f} codes on average")
        if given.peer:
            peers = Path(__file__).parent / "peers"
            commands["Starlette, nn.LSTM, words"] = [sys.executable, str(peers / "serving_peer.py")]
            if find_spec("litserve") is not None:
                commands["LitServe, nn.LSTM, words"] = [sys.executable, str(peers / "litserve_peer.py")]
        print("| server | asked, a second | answered, a second | p50, ms | p99, ms | CPU of a request, ms |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, command in commands.items():
            with serving(command) as (address, process):
                for rate in [20.0, *rates]:
                    before = computed(process)
                    took, refused = asyncio.run(requests(address, texts, rate, given.seconds))
                    if rate == 20.0:
                        continue  # warms up
                    middle, late = np.quantile(took, [0.5, 0.99]) * 1000
                    more = f" ({refused} refused)" if refused else ""
                    answered = len(took) / max(given.seconds, 1e-9)
                    each = (computed(process) - before) * 1000 / max(len(took), 1)
                    said = f"| {name} | {rate:,.0f} | {answered:,.0f}{more} | {middle:.1f} | {late:.1f} "
                    print(f"{said}| {each:.2f} |", flush=True)


def computed(process: int) -> float:
    """Return the seconds that a process and its children have computed, which others change little."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(computed(int(one)) for one in children)


async def requests(address: str, texts: list[str], rate: float, seconds: float) -> tuple[list[float], int]:
    """Ask at a rate, whether or not answers come (an open loop)."""
    took: list[float] = []
    refused = 0
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)

    async def one(client: httpx.AsyncClient, number: int, due: float) -> None:
        nonlocal refused
        answer = await client.post("/classify", json={"texts": [texts[number % len(texts)]]})
        if answer.status_code != 200:
            refused += 1
        elif time.perf_counter() < began + seconds + 0.5:
            took.append(time.perf_counter() - due)

    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60, limits=limits) as client:
        began, tasks = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(one(client, number, due)))
        await asyncio.gather(*tasks)
    return took, refused


# Memory ---------------------------------------------------------------------------------------------------


def memory(given: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(nabi_command(gauge(folder), "--idle", 1, "--max-sessions", 200)) as (address, process),
    ):
        asyncio.run(many(address, process, given))


async def many(address: str, process: int, given: argparse.Namespace) -> None:
    """Mix requests over HTTP, sessions that are never closed, and steps over WebSockets."""
    data = np.random.default_rng(0).normal(size=WIDTH).round(4).tolist()
    tensor = {"name": "input", "shape": [1, 1, WIDTH], "datatype": "FP32", "data": data}
    body, headers = json.dumps({"inputs": [tensor]}), {"Content-Type": "application/json"}
    step = np.asarray(data, "<f4").tobytes()
    count, end = 0, time.perf_counter() + 60 * given.minutes

    def going() -> bool:
        return count < given.requests and time.perf_counter() < end

    async def over_http(client: httpx.AsyncClient) -> None:
        nonlocal count
        while going():
            answer = await client.post("/v2/models/gauge/infer", content=body, headers=headers)
            answer.raise_for_status()
            count += 1
            if count % 50 == 0:
                # Refused at times, when too many that nobody closed have not expired yet.
                await client.post("/v2/models/gauge/sessions", content="{}", headers=headers)

    async def over_sockets() -> None:
        nonlocal count
        url = f"{address.replace('http', 'ws')}/v2/models/gauge/stream"
        while going():
            try:
                async with connect(url, proxy=None, compression=None) as socket:
                    for _ in range(2000):
                        await socket.send(step)
                        await socket.recv()
                        count += 1
            except OSError:
                await asyncio.sleep(0.1)

    async def watched() -> None:
        while going():
            print(f"{count:>9,} requests: {resident(process):.1f} MB", flush=True)
            await asyncio.sleep(60 * given.minutes / 8)

    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        await asyncio.gather(
            *(over_http(client) for _ in range(4)), *(over_sockets() for _ in range(8)), watched()
        )
        await asyncio.sleep(2)
        said = (await client.get("/metrics")).text
    left = next(line for line in said.splitlines() if line.startswith("nabi_sessions{"))
    print(f"{count:>9,} requests: {resident(process):.1f} MB; {left.split()[-1]} sessions are left")


def resident(process: int) -> float:
    """Return the megabytes of memory that a process has."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the server has ended")


if __name__ == "__main__":
    main()
