"""A web server that does what servers do on bad days, and the files of data sets in small."""

import gzip
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Answers at /NAME as the function NAME of this class says; `asked` has the paths in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.over = threading.Event()
        self.both = threading.Barrier(2, timeout=60)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def good(self, handler: "_Handler") -> None:
        handler.begin(200, len(CONTENT))
        handler.wfile.write(CONTENT)

    def slow(self, handler: "_Handler") -> None:
        handler.begin(200, len(CONTENT))
        for start in range(0, len(CONTENT), 1 << 17):
            handler.wfile.write(CONTENT[start : start + (1 << 17)])
            time.sleep(0.1)

    def together(self, handler: "_Handler") -> None:
        """Two clients get the first half before either gets the second."""
        handler.begin(200, len(CONTENT))
        handler.wfile.write(CONTENT[:500_000])
        self.both.wait()
        handler.wfile.write(CONTENT[500_000:])

    def unannounced(self, handler: "_Handler") -> None:
        handler.begin(200, None)
        handler.wfile.write(CONTENT)

    def more_announced(self, handler: "_Handler") -> None:
        handler.begin(200, 2 * len(CONTENT))
        handler.wfile.write(CONTENT)

    def less_announced(self, handler: "_Handler") -> None:
        handler.begin(200, 1000)
        handler.wfile.write(CONTENT)

    def breaks_off(self, handler: "_Handler") -> None:
        handler.begin(200, len(CONTENT))
        handler.wfile.write(CONTENT[:300_000])

    def breaks_off_in_chunks(self, handler: "_Handler") -> None:
        handler.begin(200, None, ("Transfer-Encoding", "chunked"))
        handler.wfile.write(b"40000\r\n" + CONTENT[:1000])

    def breaks_off_once(self, handler: "_Handler") -> None:
        (self.good if self.asked.count(handler.path) > 1 else self.breaks_off)(handler)

    def wrong(self, handler: "_Handler") -> None:
        handler.begin(200, len(CONTENT))
        handler.wfile.write(CONTENT[:-1] + b"?")

    def too_long(self, handler: "_Handler") -> None:
        handler.begin(200, None)
        handler.wfile.write(CONTENT + b"and more")

    def empty(self, handler: "_Handler") -> None:
        handler.begin(200, 0)

    def no_http(self, handler: "_Handler") -> None:
        handler.wfile.write(b"SSH-2.0-something else\r\n")

    def missing(self, handler: "_Handler") -> None:
        handler.send_error(404)

    def broken(self, handler: "_Handler") -> None:
        handler.send_error(500)

    def redirect(self, handler: "_Handler") -> None:
        handler.begin(302, 0, ("Location", "/good"))

    def redirect_elsewhere(self, handler: "_Handler") -> None:
        handler.begin(302, 0, ("Location", "file:///etc/hostname"))

    def loop(self, handler: "_Handler") -> None:
        handler.begin(302, 0, ("Location", "/loop"))

    def silent(self, handler: "_Handler") -> None:
        self.over.wait(30)

    def falls_silent(self, handler: "_Handler") -> None:
        handler.begin(200, len(CONTENT))
        handler.wfile.write(CONTENT[:300_000])
        handler.wfile.flush()
        self.over.wait(30)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        getattr(self.server, self.path.strip("/"))(self)

    def begin(self, code: int, length: int | None, *headers: tuple[str, str]) -> None:
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No data sets on this machine; gives the folder into which they would be downloaded."""
    monkeypatch.delenv("NABI_DATA", raising=False)
    monkeypatch.setenv("NABI_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    if not os.environ.get("NABI_DATA"):
        pytest.skip("NABI_DATA is not set: it names the folder of real data sets")


Stories = list[dict[str, object]]


@pytest.fixture
def stories() -> Stories:
    """16 stories of earn, 15 of acq, 14 of gold, two without a topic."""
    many: Stories = []
    for number in range(1, 48):
        topics = {0: ["earn"], 1: ["acq", "gold"], 2: ["gold"]}[number % 3]
        if number == 2:
            topics = ["earn"]
        many.append(
            {
                "id": number,
                "topics": [] if number in (46, 47) else topics,
                "title": f"TITLE <X> {number}",
                "body": f"Profits & losses of {number} mln,\nup \u00fc.\n Reuter" if number % 5 else "",
            }
        )
    return many


def as_sgml(stories: Stories) -> str:
    def marked(text: object) -> str:
        return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    lines = ['<!DOCTYPE lewis SYSTEM "lewis.dtd">']
    for story in stories:
        topics = "".join(f"<D>{topic}</D>" for topic in story["topics"])  # type: ignore[attr-defined]
        body = f"<BODY>{marked(story['body'])}\n&#3;</BODY>" if story["body"] else ""
        lines.append(
            f'<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" OLDID="5" NEWID="{story["id"]}">\n'
            f"<DATE>26-FEB-1987</DATE>\n<TOPICS>{topics}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n"
            f'<TEXT TYPE="NORM">&#2;\n<TITLE>{marked(story["title"])}</TITLE>\n'
            f"<DATELINE>    NEW YORK, Feb 26 - </DATELINE>{body}</TEXT>\n</REUTERS>"
        )
    return "\n".join(lines)


def write_archive(path: Path, files: dict[str, bytes], *odd: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in odd:
            archive.addfile(member)
    return path


def write_json_lines(path: Path, stories: Stories) -> Path:
    path.write_text("".join(json.dumps(story) + "\n" for story in stories), encoding="utf-8")
    return path


def write_reviews(path: Path, rows: list[tuple[str, int, str]]) -> Path:
    """A CSV file of reviews: rows of split, label, text."""
    import csv

    opened: Callable[..., io.TextIOWrapper] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("split", "label", "text"), *rows])
    return path
