"""Model files, and one server process for all tests of a module."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette", reason="needs starlette, from the extra `serve`")
pytest.importorskip("uvicorn", reason="needs uvicorn, from the extra `serve`")
pytest.importorskip("websockets", reason="needs websockets, from the extra `serve`")
httpx = pytest.importorskip("httpx", reason="needs httpx")

KEY = "a key"
LIMITS = ("--max-body", 20_000, "--max-steps", 500, "--max-sessions", 8, "--seconds", 20)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A small model of each task, with its file."""
    import nabi

    folder = tmp_path_factory.mktemp("served")
    gauge = nabi.Sequential([nabi.layers.LSTM(4, input_shape=(None, 3)), nabi.layers.Dense(2)])
    reviews = nabi.TextClassifier(units=4, embedding_size=4, epochs=1)
    texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 2
    reviews.fit(texts, (["+"] * 3 + ["-"] * 3) * 2, verbose=0)
    lines = nabi.LanguageModel(units=4, embedding_size=4, window=8, batch_size=2, epochs=1, warmup=1)
    lines.fit(["hello world. " * 20], verbose=0)
    numbers = nabi.Translator(units=4, embedding_size=4, epochs=1, dropout=0.0)
    numbers.fit(["one two", "two one", "one", "two"], ["1 2", "2 1", "1", "2"], validation_share=0, verbose=0)
    sales = nabi.Forecaster(units=4, networks=1, epochs=1)
    sales.fit([1.0, 2, 3, 4] * 10, horizon=2, verbose=0)
    models = {"gauge": gauge, "reviews": reviews, "lines": lines, "numbers": numbers, "sales": sales}
    files = {name: folder / f"{name}.nabi" for name in models}
    for name, model in models.items():
        model.save(files[name])
    return SimpleNamespace(files=files, **models)


class Server:
    """A process of `nabi serve` on a free port."""

    def __init__(self, files: dict[str, Path], *options: object, key: str = "") -> None:
        command = [sys.executable, "-m", "nabi", "serve", *files.values(), "--port", 0, *options]
        root = Path(__file__).parents[2]
        environment = {**os.environ, "NABI_API_KEY": key, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [str(one) for one in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("http"):
            _, errors = self.process.communicate()
            raise AssertionError(line + errors)
        self.address = line.split()[0]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=self.address, headers=headers, timeout=60, trust_env=False)

    def end(self) -> tuple[int, str]:
        """Ask the process to end, and return its status and what it has logged."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture(scope="session")
def server(saved: SimpleNamespace) -> Iterator[Server]:
    """All models behind one address, with a key; it must end by itself and log no failure."""
    running = Server(saved.files, *LIMITS, key=KEY)
    yield running
    status, errors = running.end()
    assert "Traceback" not in errors
    assert status in (0, -signal.SIGTERM)
