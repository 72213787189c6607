"""Where files are looked for, in which order, and what is said when they are nowhere."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nabi.data._data_sets import DataSet, Part, data_folder, read_parts
from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sources import Layout
from nabi.datasets import fake_news, imdb, nsmc, reuters
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

from .conftest import CONTENT, Server, write_reviews

EVERY = {"reuters": reuters, "imdb": imdb, "fake_news": fake_news, "nsmc": nsmc}


def read(files: Sequence[Path]) -> tuple[Part, ...]:
    return (([str(file) for file in files], ["found"] * len(files)),)


def remote(name: str, address: str) -> RemoteFile:
    return RemoteFile(name, (address,), len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def pairs(server: Server) -> DataSet:
    """A data set of one file, or of two that can be downloaded."""
    home = tuple(remote(name, server.address("good")) for name in ("one.txt", "two.txt"))
    return DataSet("pairs", (Layout(("pairs.csv.xz",), read), Layout(("one.txt", "two.txt"), read)), home)


def found(data_set: DataSet, path: str | os.PathLike[str] | None = None) -> list[Path]:
    return [Path(name) for name in read_parts(data_set, path)[0][0]]


def put(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"here")
    return [folder / name for name in names]


def test_first_the_path_then_the_variable_then_the_cache_then_the_web(
    pairs: DataSet, server: Server, nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, variable = tmp_path / "said", tmp_path / "variable"
    assert data_folder() == nowhere
    downloaded = found(pairs)
    assert downloaded == [nowhere / "one.txt", nowhere / "two.txt"]
    assert [path.read_bytes() for path in downloaded] == [CONTENT, CONTENT]
    assert found(pairs) == downloaded
    assert len(server.asked) == 2, "downloaded again"

    monkeypatch.setenv("NABI_DATA", str(variable))
    variable.mkdir()
    assert found(pairs) == downloaded, "a folder that has other data sets is no obstacle"
    inside = put(variable / "text", "pairs.csv.xz")
    assert found(pairs) == inside
    assert found(pairs, "pairs.npz") == inside, "the spelling of Keras' default"

    wanted = put(said, "one.txt", "two.txt")
    assert found(pairs, said) == found(pairs, str(said)) == wanted
    first = put(said, "pairs.csv.xz")
    assert found(pairs, said) == found(pairs, said / "pairs.csv.xz") == first
    other_name = put(said, "mine.csv")
    assert found(pairs, other_name[0]) == other_name
    assert len(server.asked) == 2


def test_only_what_is_missing_is_downloaded(pairs: DataSet, server: Server, nowhere: Path) -> None:
    put(nowhere, "two.txt")
    assert [path.read_bytes() for path in found(pairs)] == [CONTENT, b"here"]
    assert server.asked == ["/good"]


def test_a_broken_download_is_finished_by_the_next_call(
    pairs: DataSet, server: Server, nowhere: Path
) -> None:
    broken = (pairs.home[0], remote("two.txt", server.address("breaks_off_once")))
    pairs = replace(pairs, home=broken)
    with pytest.raises(MissingFileError, match="it ended after"):
        found(pairs)
    assert [path.name for path in nowhere.iterdir()] == ["one.txt"]
    assert len(found(pairs)) == 2
    assert server.asked == ["/good", "/breaks_off_once", "/breaks_off_once"]


@pytest.mark.parametrize("name", EVERY)
def test_offline(
    name: str, server: Server, nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which file, from where, and both places where it may be put."""
    module = EVERY[name]
    constant = name.upper()
    data_set = getattr(module, constant)
    dead = server.address("missing")
    home = tuple(replace(file, addresses=(dead,)) for file in data_set.home)
    monkeypatch.setattr(module, constant, replace(data_set, home=home))
    for call in (module.load_data, module.load_texts, module.get_word_index):
        with pytest.raises(MissingFileError) as problem:
            call()
        said = str(problem.value)
        assert data_set.home[0].name in said
        assert f"{dead}: the server returned 404" in said
        assert f"download {dead} into {nowhere}" in said
        assert "NABI_DATA or path=" in said
        for layout in data_set.layouts:
            assert " + ".join(layout.names) in said
    assert isinstance(problem.value, FileNotFoundError)


@pytest.mark.parametrize("name", EVERY)
def test_each_home_is_a_layout_that_can_be_read(name: str) -> None:
    data_set = getattr(EVERY[name], name.upper())
    assert tuple(file.name for file in data_set.home) in [layout.names for layout in data_set.layouts]
    for file in data_set.home:
        assert all(address.startswith("https://") for address in file.addresses)
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0


def test_places_that_are_wrong(
    pairs: DataSet, nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingFileError, match="path: there is no file or folder"):
        found(pairs, tmp_path / "no" / "folder")
    with pytest.raises(MissingFileError, match=r"has no pairs\.csv\.xz or one\.txt \+ two\.txt"):
        found(pairs, tmp_path)
    put(tmp_path, "one.txt")
    with pytest.raises(MissingFileError, match="has no"):
        found(pairs, tmp_path)
    with pytest.raises(FileFormatError, match=r"expected a file like pairs\.csv\.xz or"):
        found(pairs, tmp_path / "one.txt")
    for wrong in (5, ["one.txt"], b"one.txt"):
        with pytest.raises(ArgumentError, match=r"path: expected a path of a file or folder, or None, got"):
            found(pairs, wrong)  # type: ignore[arg-type]
    monkeypatch.setenv("NABI_DATA", str(tmp_path / "no"))
    with pytest.raises(MissingFileError, match="NABI_DATA: there is no folder"):
        found(pairs)


def test_keras_own_arrays_are_not_opened(nowhere: Path, tmp_path: Path) -> None:
    """They are pickles, and what is in a pickle is run."""
    (tmp_path / "mine.npz").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"expected a file like imdb\.csv\.xz or aclImdb_v1\.tar\.gz"):
        imdb.load_data(tmp_path / "mine.npz")


def test_arguments_are_refused_before_anything_is_read(nowhere: Path) -> None:
    for module in EVERY.values():
        with pytest.raises(ArgumentError, match="num_words"):
            module.load_data(num_words="1000")
        with pytest.raises(ArgumentError, match="seed"):
            module.load_data(seed=-1)
        with pytest.raises(ArgumentError, match="seed"):
            module.load_texts(seed="113")
    for load in (reuters.load_data, reuters.load_texts):
        with pytest.raises(ArgumentError, match=r"test_split: expected a share from 0 to 1, got 1\.5"):
            load(test_split=1.5)


def test_nothing_heavy_is_loaded_without_a_download(tmp_path: Path) -> None:
    path = write_reviews(tmp_path / "imdb.csv", [("train", 1, "Good"), ("test", 0, "Bad")])
    script = (
        "import sys, torch, numpy, safetensors\n"
        "before = set(sys.modules)\n"
        "from nabi.datasets import imdb\n"
        f"imdb.load_data({str(path)!r})\n"
        "heavy = {'urllib.request', 'http.client', 'rich', 'duckdb', 'tokenizers'}\n"
        "print(heavy & (set(sys.modules) - before))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
