import subprocess
import sys

import pytest

from nabi.native import store as _store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NABI_CACHE_SIZE", raising=False)
    return tmp_path / "cache"


def test_an_empty_cache(nabi, folder):
    outcome = nabi("cache")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        f"folder  {folder}",
        "holds   0 compiled objects, 0.0 KiB of at most 256.0 MiB",
    ]
    assert not folder.exists()


def test_what_is_kept_is_shown_and_deleted(nabi, folder, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_SIZE", "5")
    _store.write(bytes(32), "LSTM [forward], float32", bytes(2048))
    _store.write(bytes([1]) * 32, "GRU backward, float32", bytes(3 * 2**20))
    outcome = nabi("cache")
    assert outcome.status == 0
    assert "2 compiled objects, 3.0 MiB of at most 5.0 MiB" in outcome.out
    assert "LSTM [forward], float32" in outcome.out
    assert "2.1 KiB" in outcome.out
    outcome = nabi("cache", "--clear")
    assert outcome.out == f"2 compiled objects deleted from {folder}\n"
    assert list(folder.iterdir()) == []
    assert nabi("cache", "--clear").out.startswith("0 compiled objects deleted")


def test_what_cannot_be_deleted_is_said(nabi, folder, monkeypatch):
    _store.write(bytes(32), "LSTM", b"1")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_store.os, "unlink", refuse)
    outcome = nabi("cache", "--clear")
    assert outcome.status == 2
    assert "cannot be cleared: Permission denied" in outcome.err


def test_the_command_needs_no_llvmlite(folder):
    script = "import sys; sys.modules['llvmlite'] = None\nfrom nabi.cli import main\nmain(['cache'])\n"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
