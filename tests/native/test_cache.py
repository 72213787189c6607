"""Compiled objects on the disk: found again, never trusted blindly, never too many."""

import contextlib
import ctypes
import errno
import gc
import json
import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from nabi.native import OTHER_MACHINES, compiled, host, store as _store
from nabi.native._code import _cache
from nabi.native._code._compiler import emit_object
from nabi.native._code._machine import NativeError

KEY = bytes(range(32))
POSIX = pytest.mark.skipif(os.name != "posix", reason="owners and permissions are those of POSIX")
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Maker:
    """Writes the module and counts how often."""

    def __init__(self, text):
        self.text, self.count = text, 0

    def __call__(self):
        self.count += 1
        return self.text


@pytest.fixture
def make(kernels):
    return Maker(kernels)


@pytest.fixture
def forget(monkeypatch):
    """Empties the memory, as a new process has it."""
    return lambda: monkeypatch.setattr(_cache, "_loaded", {})


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir())


def works(library) -> bool:
    number = ctypes.c_int64(0)
    KERNEL(library.address("tell"))(ctypes.addressof(number), 0, 7)
    return number.value == 7


def test_made_once_then_from_memory_then_from_disk(cache_folder, make, names, forget):
    first = compiled(("a",), names, make, host())
    assert compiled(("a",), names, make, host()) is first
    forget()
    again = compiled(("a",), names, make, host())
    assert again is not first
    assert works(again)
    assert make.count == 1
    assert len(files(cache_folder)) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_cycles_are_not_searched_for_while_a_module_is_written(cache_folder, make, names, forget, wanted):
    """And are afterwards as before, also where the module is wrong."""
    seen = []

    def written():
        seen.append(gc.isenabled())
        return make.text if len(seen) == 1 else "no module"

    before = gc.isenabled()
    try:
        (gc.enable if wanted else gc.disable)()
        compiled(("a",), names, written, host())
        assert gc.isenabled() is wanted
        with pytest.raises(NativeError):
            compiled(("b",), names, written, host())
        assert gc.isenabled() is wanted
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False, False]


def test_whatever_the_code_depends_on_is_in_the_key(cache_folder, make, names, forget, monkeypatch):
    keys = {_cache._key(("a", "b"), names, host())}
    keys.add(_cache._key(("a", "c"), names, host()))
    keys.add(_cache._key(("ab",), names, host()))
    keys.add(_cache._key(("a", "b"), names[:1], host()))
    keys.add(_cache._key(("a", "b"), names, OTHER_MACHINES["aarch64-linux"]))
    monkeypatch.setattr(_cache, "_versions", lambda: ("0.99.0", (99, 0, 0)))
    keys.add(_cache._key(("a", "b"), names, host()))
    monkeypatch.setattr(_cache, "_digest_of_sources", lambda: "another generator")
    keys.add(_cache._key(("a", "b"), names, host()))
    assert len(keys) == 7


PACKAGE = Path(_cache.__file__).parents[2]
# Runs while code is written and decides nothing about it: values made once, locks.
ON_THE_GROUND = {"_once.py", "_lazy.py", "_record.py", "errors.py"}

WRITE_EVERYTHING = """
import json, sys
import torch
import nabi
from nabi import nn
from nabi.native._code import _cache

# The code objects that run between the question for a library and its machine code.
seen, inside = set(), 0
def watch(frame, event, argument):
    if event == "call":
        seen.add(frame.f_code.co_filename)
def watching(make):
    def made(*arguments, **options):
        global inside
        inside += 1
        sys.setprofile(watch)
        try:
            return make(*arguments, **options)
        finally:
            inside -= 1
            if not inside:
                sys.setprofile(None)
    return made
_cache.emit_object = watching(_cache.emit_object)
real = _cache._from_disk_or_new
_cache._from_disk_or_new = lambda parts, names, make, *rest: real(parts, names, watching(make), *rest)
for cell in (nabi.cells.LSTM(3, dropout=0.5), nabi.cells.GRU(3), nabi.cells.LayerNormLSTM(3)):
    module = nn.RNN(cell, 2, batch_first=True)
    module(torch.ones(2, 4, 2), lengths=torch.tensor([4, 2]))[0].sum().backward()
model = nabi.Sequential([
    nabi.layers.Embedding(9, 4), nabi.layers.Conv1D(3, 2, activation="relu"), nabi.layers.MaxPooling1D(2),
    nabi.layers.Dropout(0.5), nabi.layers.LSTM(3), nabi.layers.Dense(2, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(torch.ones(8, 9, dtype=torch.int64), torch.zeros(8), epochs=1, verbose=0)
print(json.dumps(sorted(seen)))
"""


def test_every_source_that_writes_code_is_in_the_key(tmp_path):
    """A folder that is left out would leave stale code on the disk of everybody who updates."""
    # How hard LLVM tries does not matter to what is written for it.
    own = {"NABI_CACHE_DIR": str(tmp_path), "NABI_NATIVE": "1", "NABI_LLVM_EFFORT": "0"}
    environment = {**os.environ, **own}
    run = subprocess.run(
        [sys.executable, "-c", WRITE_EVERYTHING], env=environment, capture_output=True, text=True, check=True
    )
    own = {path for path in json.loads(run.stdout.splitlines()[-1]) if path.startswith(str(PACKAGE))}
    told = {str(Path(path).relative_to(PACKAGE)) for path in own}
    assert {"targets/llvm/_writer/_forward.py", "kernels/_code/_dropout.py", "native/vectors.py"} <= told
    key = {str(Path(path).relative_to(PACKAGE)) for path in _cache._sources()}
    assert told - key - ON_THE_GROUND == set()


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("path", _cache._sources(), ids=lambda path: str(Path(path).relative_to(PACKAGE)))
def test_any_change_of_a_source_changes_the_key(path, tmp_path, monkeypatch):
    before = _cache._digest_of_sources.__wrapped__()
    changed = tmp_path / "changed.py"
    changed.write_bytes(Path(path).read_bytes() + b"#")
    real = _cache._content
    monkeypatch.setattr(_cache, "_content", lambda name: real(str(changed) if name == path else name))
    assert _cache._digest_of_sources.__wrapped__() != before


def test_sources_that_were_edited_after_the_start_leave_nothing(
    cache_folder, make, names, forget, monkeypatch
):
    monkeypatch.setattr(_store, "STARTED", 0.0)
    for count in (1, 2):
        forget()
        assert works(compiled(("a",), names, make, host()))
        assert make.count == count
    assert not cache_folder.exists()


def damaged(content: bytes):
    """A file with damage of every kind: cut at every sort of place, a bit turned, grown, foreign."""
    header = _store._HEADER.size
    for length in (0, 1, 13, 14, header - 1, header, header + 1, header + 21, len(content) - 1):
        yield f"cut to {length}", content[:length]
    for place in (0, 14, 46, 78, 80, 85, header, header + 5, len(content) // 2, len(content) - 1):
        turned = bytearray(content)
        turned[place] ^= 1
        yield f"bit turned at {place}", bytes(turned)
    yield "grown", content + b"\0"
    yield "zeros", bytes(len(content))
    yield "foreign", b"#!/bin/sh\n" * 100


def test_a_damaged_file_is_compiled_anew_and_replaced(cache_folder, make, names, forget):
    compiled(("a",), names, make, host())
    (path,) = files(cache_folder)
    content = path.read_bytes()
    for count, (damage, wrong) in enumerate(damaged(content), start=2):
        path.write_bytes(wrong)
        forget()
        assert works(compiled(("a",), names, make, host())), damage
        assert make.count == count, damage
        assert path.read_bytes() == content, damage
    assert len(files(cache_folder)) == 1


def test_a_file_of_another_key_is_not_believed(cache_folder, make, names, forget):
    compiled(("a",), names, make, host())
    (first,) = files(cache_folder)
    compiled(("b",), names, make, host())
    (second,) = set(files(cache_folder)) - {first}
    second.write_bytes(first.read_bytes())
    forget()
    assert works(compiled(("b",), names, make, host()))
    assert make.count == 3


def test_a_whole_file_with_a_useless_object_is_replaced(cache_folder, make, names, forget):
    key = _cache._key(("a",), names, host())
    lacking = emit_object("define void @tell() { ret void }", host())
    for useless in (b"no object file", b"\x7fELF" + bytes(100), lacking):
        _store.write(key, "a", useless)
        forget()
        before = make.count
        assert works(compiled(("a",), names, make, host()))
        assert make.count == before + 1
        assert _store.read(key) != useless


def test_other_processes_find_it(cache_folder, make, names, forget):
    """Two fresh processes: the second compiles nothing and takes less than 20 ms of processor time."""
    script = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
import llvmlite.binding
from conftest import KERNELS, NAMES
from nabi.native._code._cache import compiled
from nabi.native._code._machine import host
begin, made = time.process_time(), []
compiled(("a",), NAMES, lambda: made.append(1) or KERNELS, host())
print(len(made), time.process_time() - begin)
"""
    runs = []
    for _ in range(4):
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        runs.append(run.stdout.split())
    assert [made for made, _ in runs] == ["1", "0", "0", "0"]
    assert min(float(seconds) for _, seconds in runs[1:]) < 0.020


def test_a_folder_that_cannot_be_made_is_said_once(cache_folder, make, names, forget):
    cache_folder.write_text("a file is in its place")
    with pytest.warns(UserWarning, match="can't be cached in .*set NABI_CACHE_DIR"):
        assert works(compiled(("a",), names, make, host()))
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert works(compiled(("a",), names, make, host()))
    assert make.count == 2


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(cache_folder, make, names):
    cache_folder.mkdir(mode=0o500)
    with pytest.warns(UserWarning, match="can't be cached in"):
        assert works(compiled(("a",), names, make, host()))


def test_a_full_disk_leaves_no_pieces(cache_folder, make, names, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert works(compiled(("a",), names, make, host()))
    assert files(cache_folder) == []


def test_what_was_not_used_for_longest_goes_first(cache_folder, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_SIZE", "0.01")  # 10485 bytes: three of 3000 and their headers
    for age, name in ((30, b"1"), (20, b"2"), (10, b"3")):
        key = name * 32
        _store.write(key, name.decode(), bytes(3000))
        os.utime(_store._path(cache_folder, key), (time.time() - age,) * 2)
    assert _store.read(b"1" * 32) is not None  # the oldest is used now
    _store.write(b"4" * 32, "4", bytes(3000))
    assert sorted(entry.label for entry in _store.entries()) == ["1", "3", "4"]
    assert sum(entry.size for entry in _store.entries()) <= _store.bound()


def test_what_is_larger_than_the_bound_is_not_kept(cache_folder, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_SIZE", "0.01")
    _store.write(KEY, "small", b"1")
    _store.write(bytes(32), "large", bytes(20_000))
    assert [entry.label for entry in _store.entries()] == ["small"]


def test_a_bound_of_zero_turns_it_off(cache_folder, monkeypatch, make, names, forget):
    compiled(("a",), names, make, host())
    monkeypatch.setenv("NABI_CACHE_SIZE", "0")
    forget()
    compiled(("a",), names, make, host())
    compiled(("b",), names, make, host())
    assert make.count == 3
    assert len(files(cache_folder)) == 1


@pytest.mark.parametrize("value", ["much", "nan", "inf"])
def test_a_bound_that_is_no_number(cache_folder, monkeypatch, value):
    monkeypatch.setenv("NABI_CACHE_SIZE", value)
    with pytest.warns(UserWarning, match="NABI_CACHE_SIZE: expected a number of MiB"):
        assert _store.bound() == 256 * 2**20
    assert _store.bound() == 256 * 2**20


@POSIX
def test_nobody_else_can_read_or_write(cache_folder):
    before = os.umask(0)
    try:
        _store.write(KEY, "a", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(files(cache_folder)[0].stat().st_mode) == 0o600


@POSIX
def test_a_folder_that_all_can_write_is_not_used(cache_folder, make, names, forget):
    _store.write(KEY, "a", b"1")
    cache_folder.chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by, another user"):
        assert _store.read(KEY) is None
    _store.write(bytes(32), "b", b"2")
    assert len(files(cache_folder)) == 1


@POSIX
def test_files_that_others_may_have_written_are_not_read(cache_folder, tmp_path):
    _store.write(KEY, "a", b"1")
    (path,) = files(cache_folder)
    path.chmod(0o666)
    assert _store.read(KEY) is None
    path.chmod(0o600)
    assert _store.read(KEY) == b"1"
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)
    assert _store.read(KEY) is None
    path.unlink()
    os.mkfifo(path)
    assert _store.read(KEY) is None


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_is_not_used(cache_folder):
    _store.write(KEY, "a", b"1")
    (path,) = files(cache_folder)
    os.chown(path, 12345, -1)
    assert _store.read(KEY) is None
    os.chown(path, 0, -1)
    assert _store.read(KEY) == b"1"
    os.chown(cache_folder, 12345, -1)
    with pytest.warns(UserWarning, match="belongs to"):
        assert _store.read(KEY) is None


def test_entries_and_clear(cache_folder):
    assert _store.entries() == []
    assert _store.clear() == 0
    for number in range(3):
        _store.write(bytes([number]) * 32, f"LSTM {number}", bytes(10 * number))
        os.utime(_store._path(cache_folder, bytes([number]) * 32), (number, number))
    (cache_folder / "notes.txt").write_text("the user's own")
    files(cache_folder)[0].write_bytes(b"damaged")
    found = _store.entries()
    assert [entry.label for entry in found] == ["(damaged)", "LSTM 2", "LSTM 1"]
    assert found[1].size == _store._HEADER.size + len("LSTM 2") + 20
    assert (found[1].time, found[2].time) == (2, 1)
    assert _store.clear() == 3
    assert [path.name for path in files(cache_folder)] == ["notes.txt"]


def test_pieces_of_processes_that_ended_are_swept(cache_folder):
    cache_folder.mkdir(mode=0o700)
    for name, age in (("old.part", 7200), ("new.part", 10)):
        (cache_folder / name).write_bytes(b"half")
        os.utime(cache_folder / name, (time.time() - age,) * 2)
    _store.write(KEY, "a", b"1")
    assert sorted(path.name for path in files(cache_folder)) == [f"{KEY.hex()}.kernel", "new.part"]


@pytest.mark.skipif(sys.platform != "linux", reason="each system has another folder for caches")
def test_where_the_folder_is(monkeypatch):
    monkeypatch.delenv("NABI_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    for given, expected in (("/caches", "/caches/nabi"), ("not/absolute", "/home/somebody/.cache/nabi")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert str(_store.folder()) == expected
    monkeypatch.setenv("NABI_CACHE_DIR", "~/own")
    assert str(_store.folder()) == "/home/somebody/own"


WRITER = """
import os, random, sys, warnings
warnings.simplefilter("error")
from nabi.native import store as _store
seed = int(sys.argv[1])
chance = random.Random(seed)
read = 0
for turn in range(300):
    number = chance.randrange(6)
    content = bytes([number]) * (1000 + 3000 * number)
    _store.write(bytes([number]) * 32, str(number), content)
    found = _store.read(bytes([number]) * 32)
    assert found in (None, content), number
    read += found is not None
    if chance.random() < 0.05:
        _store.clear()
    _store.entries()
print(read)
"""


def test_several_processes_write_read_and_clear_at_once(cache_folder, monkeypatch):
    monkeypatch.setenv("NABI_CACHE_SIZE", "0.03")  # so small that each deletes what others read
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(seed)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for seed in range(4)
        ]
        for process in running:
            out, problems = process.communicate(timeout=120)
            assert process.returncode == 0, problems
            assert int(out) > 50
    assert [path for path in files(cache_folder) if path.suffix != ".kernel"] == []
    assert "(damaged)" not in [entry.label for entry in _store.entries()]
