"""Object files: what they compute, what is in them, and what is refused."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers, shipping
from nabi.errors import ArgumentError, OutputError
from nabi.native import section_sizes, undefined_symbols

from ..cells.sampling import make
from .built import MODELS, agrees, inputs, outputs, sequential
from .linked import STRICT, Linked, compiler


def gate(units: int = 32, features: int = 8) -> Any:
    """The LSTM that figures are for."""
    return sequential(
        layers.LSTM(units, name="lstm"),
        layers.Dense(1, activation="sigmoid", name="head"),
        name="gate",
        features=features,
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_from_c(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    shipping.write_object(model, tmp_path, name="m")
    linked = Linked(tmp_path, "m", ["m.o"])
    x = inputs(model)
    assert agrees(linked.run(x), outputs(model, x))
    assert linked.self_test() == 0


@pytest.mark.parametrize("cell", ["gru", "layer-norm-lstm", "deltanet", "rwkv-4"])
def test_states_are_the_callers(tmp_path: Path, cell: str) -> None:
    model = sequential(layers.RNN(make(cell, 6)), layers.Dense(2))
    shipping.write_object(model, tmp_path, name="m")
    linked, x = Linked(tmp_path, "m", ["m.o"]), inputs(model)
    found = linked.run(x)
    assert agrees(found, outputs(model, x))
    linked.reset()
    first = linked.get_state()
    assert np.array_equal(np.stack([linked.step(row) for row in x]), found)
    kept = linked.get_state()
    linked.set_state(first)
    assert np.array_equal(linked.run(x[:2]), found[:2])
    linked.set_state(kept)
    assert np.array_equal(linked.get_state(), kept)
    stream = nabi.Stream(model)
    stream.run(x)
    assert agrees(np.concatenate(list(stream.state.values())), kept)


def test_init_checks_its_memory(tmp_path: Path) -> None:
    shipping.write_object(gate(), tmp_path)
    linked = Linked(tmp_path, "gate", ["gate.o"])
    assert linked.begin(linked.state.nbytes - 1) == 1
    assert linked.begin(shift=2) == 2


def test_the_header_and_the_example_compile(tmp_path: Path) -> None:
    """As C99 with all warnings, and the header as C++."""
    files = shipping.write_object(gate(), tmp_path)
    assert [one.name for one in files] == ["gate.o", "gate.h", "gate_example.c"]
    program = str(tmp_path / "example")
    subprocess.run(
        [compiler(), *STRICT, "-o", program, "gate_example.c", "gate.o"], cwd=tmp_path, check=True, timeout=60
    )
    done = subprocess.run([program], check=True, timeout=60, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 4
    if shutil.which("g++"):
        command = ["g++", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-x", "c++", "gate.h"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


def test_the_self_test_finds_other_weights(tmp_path: Path) -> None:
    """Weights apart can be replaced: by those of a model of the same form, and by no others."""
    model, other = gate(), gate()
    other.layers[0].weights[0].data.mul_(2.0)
    for folder, one in (("model", model), ("other", other), ("wide", gate(33))):
        shipping.write_object(one, tmp_path / folder, name="gate", separate_weights=True)
    own = Linked(tmp_path / "model", "gate", ["gate.o", "gate_weights.o"])
    assert own.self_test() == 0
    mixed = Linked(tmp_path / "model", "gate", ["gate.o", "../other/gate_weights.o"])
    x = inputs(other)
    assert agrees(mixed.run(x), outputs(other, x))
    assert mixed.self_test() > 0
    assert (own.began, mixed.began) == (0, 0)
    assert Linked(tmp_path / "model", "gate", ["gate.o", "../wide/gate_weights.o"]).began == 3
    content = (tmp_path / "model/gate_weights.bin").read_bytes()
    assert content[:4] == b"nabi"
    assert content in (tmp_path / "model/gate_weights.o").read_bytes()


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("target", shipping.TARGETS)
def test_every_target(tmp_path: Path, target: str) -> None:
    """Nothing is undefined, nothing changes but the caller's memory, the same model gives the same bytes."""
    model = gate()
    for folder in ("one", "two"):
        shipping.write_object(model, tmp_path / folder, target=target)
    names = shipping.object_files("gate", target)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    image = (tmp_path / "one" / names[0]).read_bytes()
    assert undefined_symbols(image) <= {"_fltused"}
    sizes = section_sizes(image)
    assert sum(size for name, size in sizes.items() if name.strip("_.").startswith(("data", "bss"))) == 0
    if target.startswith("cortex-m"):
        assert sum(size for name, size in sizes.items() if name.startswith(".text")) < 2048
    header = (tmp_path / "one" / names[1]).read_text()
    assert f"Target: {target}" in header
    assert "gate_step" in header


def test_what_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model, place = gate(), tmp_path / "out"
    with pytest.raises(ArgumentError, match="name: expected letters, digits and _"):
        shipping.write_object(model, place, name="2-fast")
    with pytest.raises(ArgumentError, match="expected a Sequential or functional model, got int"):
        shipping.write_object(3, place)
    assert not place.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/gate.h").write_text("mine")
    with pytest.raises(OutputError, match=r"has a file gate\.h that nabi did not write"):
        shipping.write_object(model, tmp_path / "mine")
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["gate.h"]


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("mine")
    for _ in range(2):  # a file of nabi is replaced
        gate().export(tmp_path, "object", target="cortex-m4")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["gate.h", "gate.o", "gate_example.c", "main.c"]
    assert (tmp_path / "main.c").read_text() == "mine"


# How the linker of each format is called, and its names.
_LINKERS = {
    "elf": (("ld.lld",), "-e gate_step -o linked"),
    "coff": (
        ("lld-link",),
        "/dll /noentry /out:linked /export:gate_step /alternatename:_fltused=gate_align",
    ),
    "mach-o": (
        ("ld64.lld", "ld64.lld-19", "ld64.lld-14"),
        "-dylib -platform_version macos 11 11 -undefined dynamic_lookup -o linked",
    ),
}
_NOT_RUN = [name for name, one in shipping.TARGETS.items() if one.format != "elf" or "riscv" in name]


@pytest.mark.parametrize("target", _NOT_RUN)
def test_linkers_accept_what_is_not_run(tmp_path: Path, target: str) -> None:
    """Formats and processors for which there is no emulator: a linker reads them and resolves everything."""
    names, words = _LINKERS[shipping.TARGETS[target].format]
    options = words.split()
    linker = next((found for name in names if (found := shutil.which(name))), None)
    if linker is None:
        pytest.skip(f"{names[0]} is not installed")
    image, _, _ = shipping.write_object(gate(3, 2), tmp_path, target=target)
    if shipping.TARGETS[target].format == "mach-o":
        options = ["-arch", "arm64" if "arm64" in target else "x86_64", *options]
    subprocess.run([linker, *options, image.name], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "linked").stat().st_size > 0


@pytest.mark.parametrize("cell", ["retnet", "slstm", "lstm"])
def test_without_fused_multiply_add(tmp_path: Path, cell: str) -> None:
    """Mathematics for processors without it, with sines and powers, too."""
    model = sequential(layers.RNN(make(cell, 8), return_sequences=True))
    shipping.write_object(model, tmp_path, name="m", cpu="x86-64-v2")
    linked, x = Linked(tmp_path, "m", ["m.o"]), inputs(model)
    assert agrees(linked.run(x), outputs(model, x))
    shipping.write_object(model, tmp_path, name="m", target="cortex-m4")  # which does not compute in float64
