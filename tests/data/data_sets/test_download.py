"""A download ends with the right file under its name, or with a reason and nothing under it."""

import hashlib
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nabi.data._data_sets._download import RemoteFile, fetch
from nabi.errors import MissingFileError, OutputError

from .conftest import CONTENT, Server


def remote(*addresses: str) -> RemoteFile:
    return RemoteFile("texts.bin", addresses, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize("name", ["good", "redirect", "unannounced", "more_announced", "slow"])
def test_what_is_right_arrives(server: Server, tmp_path: Path, name: str) -> None:
    """What the server announces does not matter: the checksum tells."""
    path = fetch(remote(server.address(name)), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "texts.bin"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["texts.bin"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("breaks_off", "it ended after 300,000 of 1,048,576 bytes"),
        ("breaks_off_in_chunks", "IncompleteRead"),
        ("less_announced", "it ended after 1,000 of 1,048,576 bytes"),
        ("too_long", "it is larger than the expected 1,048,576 bytes"),
        ("empty", "it ended after 0 of 1,048,576 bytes"),
        ("wrong", "its checksum is wrong"),
        ("missing", "the server returned 404 Not Found"),
        ("broken", "the server returned 500 Internal Server Error"),
        ("loop", "infinite loop"),
        ("redirect_elsewhere", "the server returned 302"),
        ("no_http", "SSH-2.0"),
        ("silent", "no data for 0.3 seconds"),
        ("falls_silent", "no data for 0.3 seconds"),
    ],
)
def test_what_is_wrong_leaves_nothing(server: Server, tmp_path: Path, name: str, reason: str) -> None:
    address, start = server.address(name), time.monotonic()
    with pytest.raises(MissingFileError) as problem:
        fetch(remote(address), tmp_path, timeout=0.3)
    assert time.monotonic() - start < 15, "it waited for longer than it was told to"
    assert str(problem.value).startswith(f"texts.bin could not be downloaded ({address}: ")
    assert reason in str(problem.value)
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    address = server.address("good")
    server.shutdown()
    server.server_close()
    with pytest.raises(MissingFileError, match="refused"):
        fetch(remote(address), tmp_path)
    with pytest.raises(MissingFileError, match="could not be downloaded"):
        fetch(remote("http://no-such-host.invalid/texts.bin"), tmp_path)


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    addresses = [server.address(name) for name in ("missing", "wrong", "good", "slow")]
    assert fetch(remote(*addresses), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["/missing", "/wrong", "/good"]
    with pytest.raises(MissingFileError) as problem:
        fetch(remote(*addresses[:2]), tmp_path)
    assert f"{addresses[0]}: the server returned 404 Not Found; {addresses[1]}: its checksum" in str(
        problem.value
    )


def test_a_second_try_works_and_an_earlier_file_stays_until_then(server: Server, tmp_path: Path) -> None:
    (tmp_path / "texts.bin").write_bytes(b"earlier")
    with pytest.raises(MissingFileError, match="ended after"):
        fetch(remote(server.address("breaks_off_once")), tmp_path)
    assert (tmp_path / "texts.bin").read_bytes() == b"earlier"
    fetch(remote(server.address("breaks_off_once")), tmp_path)
    assert (tmp_path / "texts.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot write"):
        fetch(remote(server.address("good")), tmp_path / "file")
    assert server.asked == []


def test_a_full_disk_is_no_fault_of_the_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    class Full(io.BytesIO):
        def write(self, piece: object) -> int:
            raise OSError(28, "No space left on device")

    @contextmanager
    def full(path: Path):  # type: ignore[no-untyped-def]
        yield Full()

    monkeypatch.setattr("nabi.data._data_sets._download.write_atomically", full)
    with pytest.raises(OutputError, match=r"texts\.bin cannot be written: No space left"):
        fetch(remote(server.address("good"), server.address("good")), tmp_path)
    assert len(server.asked) == 1


SCRIPT = """
import sys, pathlib
from nabi.data._data_sets._download import RemoteFile, fetch
address, size, checksum, folder = sys.argv[1:]
fetch(RemoteFile("texts.bin", (address,), int(size), checksum), pathlib.Path(folder))
"""


def fetch_elsewhere(server: Server, name: str, folder: Path) -> subprocess.Popen[str]:
    right = remote(server.address(name))
    arguments = [right.addresses[0], str(right.size), right.sha256, str(folder)]
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once(server: Server, tmp_path: Path) -> None:
    processes = [fetch_elsewhere(server, "together", tmp_path) for _ in range(2)]
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert [file.name for file in tmp_path.iterdir()] == ["texts.bin"]
    assert (tmp_path / "texts.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_ended_on_the_way(server: Server, tmp_path: Path, kind: signal.Signals) -> None:
    process = fetch_elsewhere(server, "falls_silent", tmp_path)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(kind)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "texts.bin").exists()
    assert fetch(remote(server.address("good")), tmp_path).read_bytes() == CONTENT


def test_a_line_says_what_comes(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = server.address("good")
    fetch(remote(address), tmp_path)
    shown = capsys.readouterr()
    assert shown.err == f"Downloading texts.bin (1.0 MB) from {address}\n"
    assert shown.out == ""


def test_a_bar_on_a_terminal(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch(remote(server.address("slow")), tmp_path)
    assert "texts.bin" in terminal.getvalue()
    assert "/1.0 MB" in terminal.getvalue()
