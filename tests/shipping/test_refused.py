"""Bad models, folders and disks are errors of every way to write a model, and leave nothing half-written."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi import layers, models, shipping
from nabi.errors import ArgumentError, NabiError, NotFiniteError, OutputError, UnknownNameError

WRITERS: dict[str, Callable[..., Any]] = {
    "object": shipping.write_object,
    "c": shipping.write_c,
    "wasm": shipping.write_web_assembly,
    "page": shipping.write_web,
}


def waves(name: str = "waves") -> models.Sequential:
    """A model of one number, which every writer takes."""
    stack = [layers.LSTM(3, input_shape=(None, 1), return_sequences=True), layers.Dense(1)]
    return models.Sequential(stack, name=name)


def unfinished() -> models.Sequential:
    return models.Sequential([layers.LSTM(3, return_sequences=True), layers.Dense(1)], name="waves")


def backwards() -> models.Sequential:
    first = layers.GRU(3, input_shape=(None, 1), return_sequences=True, go_backwards=True, name="ends_first")
    last = layers.LSTM(2, return_sequences=True, go_backwards=True, name="again")
    return models.Sequential([first, last, layers.Dense(1)], name="waves")


def broken() -> models.Sequential:
    model = waves()
    kernel = model.layers[0].get_weights()
    kernel[0][0, 0] = np.nan
    model.layers[0].set_weights(kernel)
    return model


@pytest.fixture(scope="module", params=WRITERS)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A way to write a model, and a folder with what it wrote."""
    folder = tmp_path_factory.mktemp(request.param) / "before"
    WRITERS[request.param](waves(), folder)
    return WRITERS[request.param], folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (backwards, ArgumentError, "(?s)ends_first.*again"),
        (unfinished, ArgumentError, "waves has no input shape yet; build or fit it first"),
        (broken, NotFiniteError, "the weights of lstm.* contain NaN"),
    ],
)
def test_a_model_that_cannot_be_exported(
    way: tuple[Any, Path], make: Callable[[], Any], error: type[NabiError], said: str
) -> None:
    """Nothing appears, and what was exported before stays."""
    write, folder = way
    before = contents(folder.parent)
    assert before
    for place in (folder, folder.parent / "new"):
        with pytest.raises(error, match=said):
            write(make(), place)
    assert contents(folder.parent) == before
    assert [one.name for one in folder.parent.iterdir()] == ["before"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_cannot_be_written(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file/inside"):
        with pytest.raises(OutputError, match="out: cannot write"):
            WRITERS[kind](waves(), place)
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to the size of files")
def test_a_disk_that_takes_no_more(way: tuple[Any, Path]) -> None:
    """A limit to the size of files does what a full disk does: a write in the middle fails."""
    import resource

    write, folder = way
    before = contents(folder.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for place in (folder, folder.parent / "new"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
        try:
            with pytest.raises(OutputError, match="out: cannot write"):
                write(waves(), place)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(folder.parent) == before
    assert [one.name for one in folder.parent.iterdir()] == ["before"]


def test_names_and_numbers(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="target: 'cortex-m1' is not known"):
        shipping.write_object(waves(), tmp_path / "out", target="cortex-m1")
    with pytest.raises(ArgumentError, match=r"cpu: expected one of cortex-m4 for cortex-m4, got 'z80'"):
        shipping.write_object(waves(), tmp_path / "out", target="cortex-m4", cpu="z80")
    for bad in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError, match="streams: expected a whole number"):
            shipping.Stream(waves(), streams=bad)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
