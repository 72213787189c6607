"""Files that want to hang, crash or fill memory are refused; a write that fails leaves the old file."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nabi import layers, models
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, OutputError, unknown_name
from nabi.files import check_counter, check_figures, read_model_file, reading, write_model_file


def with_text(path: Path, text: str) -> Path:
    save_file({"weight": torch.ones(2)}, path, metadata={"nabi": text})
    return path


def header(**more: str) -> str:
    parts = ['"format": "nabi"', '"layout": 1', '"kind": "model"']
    return "{" + ", ".join([*parts, *(f'"{name}": {value}' for name, value in more.items())]) + "}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": "9" * 100_000}, "its header is not JSON"),
        ({"model": str(2**64)}, "more than 64 bits"),
        ({"model": str(-(2**63) - 1)}, "more than 64 bits"),
        ({"model": '"\\ud800"'}, "its header is not JSON"),
        ({"model": '{"\\udfff": 1}'}, "its header is not JSON"),
        ({"model": "[" * 150 + "]" * 150}, "nested more than 100 deep"),
        ({"model": '{"a": ' * 150 + "1" + "}" * 150}, "nested more than 100 deep"),
        ({"model": "[" * 100_000 + "]" * 100_000}, "its header is not JSON"),
        ({"model": '{"units": 3, "units": 4}'}, "duplicate name"),
        ({"kind2": '1, "kind": "weights"'}, "duplicate name"),
    ],
)
def test_headers_that_json_allows_and_nothing_can_use(
    tmp_path: Path, more: dict[str, str], message: str
) -> None:
    begun = time.process_time()
    with pytest.raises(FileFormatError, match=message):
        read_model_file(with_text(tmp_path / "file", header(**more)))
    assert time.process_time() - begun < 1


def test_numbers_that_a_header_may_hold(tmp_path: Path) -> None:
    told = header(numbers=f"[{2**64 - 1}, {-(2**63)}, NaN, Infinity, 1e400]")
    read = read_model_file(with_text(tmp_path / "file", told)).header["numbers"]
    assert read[:2] == [2**64 - 1, -(2**63)]


def test_pipes_devices_and_circles_of_links(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "to the pipe").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "to the pipe"):
        with pytest.raises(FileFormatError, match="expected a model file, got the pipe or device"):
            read_model_file(tmp_path / name)
    with pytest.raises(FileFormatError, match="cannot be opened"):
        read_model_file(tmp_path / "circle")
    with pytest.raises(FileFormatError, match="got the pipe or device"):
        read_model_file("/dev/zero")
    with pytest.raises(FileFormatError, match="not a nabi model file"):
        read_model_file("/dev/null" if not os.path.exists("/proc/version") else "/proc/version")
    for name in ("no\0name", "file/inside"):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(MissingFileError):
            read_model_file(tmp_path / name)


def test_what_happens_to_a_file_after_it_was_read_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    write_model_file(path, "weights", {}, {"a": torch.arange(100_000.0)})
    file = read_model_file(path)
    path.write_bytes(b"")  # a file that is mapped into memory would end the program here
    assert torch.equal(file.tensors["a"], torch.arange(100_000.0))


@pytest.mark.parametrize("kind", [["x"] * 10, "k" * 1000])
def test_messages_stay_short(tmp_path: Path, kind: Any) -> None:
    path = with_text(tmp_path / "file", json.dumps({"format": "nabi", "layout": kind, "kind": "model"}))
    with pytest.raises(FileFormatError) as refused:
        read_model_file(path)
    assert len(str(refused.value)) < 1000
    begun = time.process_time()
    assert len(str(unknown_name("class_name", "x" * 10**6, ["Dense", "LSTM"]))) < 1000
    with (
        pytest.raises(FileFormatError) as wrapped,
        reading(path, "it cannot be read"),
    ):
        raise ArgumentError("long " * 10**5)
    assert len(str(wrapped.value)) < 1000
    assert time.process_time() - begun < 1


class PanicException(BaseException):
    """What libraries written in Rust raise is called so, and is no Exception."""


@pytest.mark.parametrize(
    "problem",
    [RecursionError("deep"), MemoryError(), AssertionError(), ZeroDivisionError(), PanicException("at")],
)
def test_whatever_fails_while_a_file_is_read_is_told_of_it(problem: BaseException) -> None:
    refused = pytest.raises(FileFormatError, match=r"path: a\.nabi is damaged: it cannot be made again")
    with refused, reading(Path("a.nabi"), "it cannot be made again"):
        raise problem
    for ending in (KeyboardInterrupt, SystemExit):
        with pytest.raises(ending), reading(Path("a.nabi"), "it cannot be made again"):
            raise ending


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", None, [], float("nan"), 2**70, torch.zeros(1)])
def test_counters(value: Any) -> None:
    with pytest.raises(FileFormatError, match="step: expected a whole number from 0, got "):
        check_counter("step", value)
    assert [check_counter("step", one) for one in (0, 3, 3.0, torch.tensor(3.0))] == [0, 3, 3, 3]


@pytest.mark.parametrize("value", [None, [], {"loss": 1}, {"loss": ["a"]}, {"loss": [True]}, {"loss": [[1]]}])
def test_figures(value: Any) -> None:
    with pytest.raises(FileFormatError, match="history: expected lists of numbers by name, got "):
        check_figures("history", value)
    assert check_figures("history", {"loss": [1, 0.5]}) == {"loss": [1.0, 0.5]}


def small() -> models.Sequential:
    return models.Sequential([layers.Dense(2000, input_shape=(100,))])


def test_a_full_disk_is_an_output_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    models.Sequential([layers.Dense(1, input_shape=(1,))]).save(path)
    old, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"path: cannot write .*model\.nabi: File too large"):
            small().save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, sys
from nabi.files import _atomic
from nabi import layers, models
for name in ("_finish", "_replace"):
    whole = getattr(_atomic, name)
    def killed(*given, name=name, whole=whole):
        if sys.argv[2] == name:
            os._exit(9)
        return whole(*given)
    setattr(_atomic, name, killed)
models.Sequential([layers.Dense(2000, input_shape=(100,))]).save(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["_finish", "_replace", "never"])
def test_a_save_that_is_killed_leaves_the_old_file(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "model.nabi"
    models.Sequential([layers.Dense(1, input_shape=(1,))]).save(path)
    old = path.read_bytes()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], check=False)
    assert ended.returncode == (0 if moment == "never" else 9)
    assert (path.read_bytes() == old) == (moment != "never")
    assert models.load_model(path).count_params() == (202_000 if moment == "never" else 2)


def test_text_that_no_file_can_hold(tmp_path: Path) -> None:
    model = models.Sequential([layers.Dense(1, input_shape=(1,), name="a\ud800")])
    with pytest.raises(ArgumentError, match="header: expected text that UTF-8 encodes, got "):
        model.save(tmp_path / "model.nabi")
    assert not list(tmp_path.iterdir())
