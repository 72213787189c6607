"""Models with bidirectional layers: exported, they run whole sequences."""

import ctypes
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nabi
from nabi import layers, models, shipping
from nabi.errors import ArgumentError
from nabi.shipping import TARGETS

from .built import CODES, FEATURES, agrees, inputs, sequential, shake
from .linked import STRICT, compiler


def _graph() -> Any:
    """Values of both directions that are read again later, beside the input."""
    entry = layers.Input((None, FEATURES))
    both = layers.Bidirectional(layers.GRU(6, return_sequences=True), merge_mode="ave")(entry)
    joined = layers.Concatenate()([entry, layers.Add()([both, layers.Dense(6)(entry)])])
    again = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum")(joined)
    model = models.Model(entry, layers.Dense(2)(layers.Concatenate()([again, joined])))
    shake(model)
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "stacked": lambda: sequential(
        layers.Conv1D(7, 3, padding="causal"),
        layers.Bidirectional(layers.LSTM(9, return_sequences=True)),
        layers.LayerNormalization(),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True), merge_mode="mul"),
        layers.Dense(3, activation="softmax"),
    ),
    "one output": lambda: sequential(layers.Bidirectional(layers.GRU(5)), layers.Dense(2)),
    "codes": lambda: sequential(
        layers.Embedding(CODES, 6),
        layers.Bidirectional(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)),
        layers.GlobalAveragePooling1D(),
        codes=True,
    ),
    "then forwards": lambda: sequential(
        layers.Bidirectional(layers.SimpleRNN(6, return_sequences=True)), layers.LSTM(4)
    ),
    "graph": _graph,
}


class Linked:
    """The functions of an exported model, linked into a shared library."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        command = [compiler(), *STRICT, "-O1", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,defs", "-o", "m.so"]
        subprocess.run([*command, *files], cwd=folder, check=True, timeout=60)
        self._library = ctypes.CDLL(str(folder / "m.so"))

    def __call__(self, name: str, *arguments: Any) -> int:
        given = [ctypes.c_void_p(one.ctypes.data) if isinstance(one, np.ndarray) else ctypes.c_size_t(one)
                 for one in arguments]  # fmt: skip
        return int(getattr(self._library, f"m_{name}")(*given))

    def memory(self, steps: int) -> tuple[NDArray[np.float32], int]:
        """Memory for a run and its bytes; behind it are numbers that nobody may touch."""
        size = self("fixed_bytes") + steps * self("step_bytes")
        return np.full(size // 4 + 16, np.nan, np.float32), size

    def run(self, x: Any, width: int) -> Any:
        scratch, size = self.memory(len(x))
        assert self("init", scratch, size, len(x)) == 0
        assert self("init", scratch, size - 1, len(x)) == 1
        rows = len(x) if self("output_per_step") else 1
        y = np.full((rows, width), np.nan, np.float32)
        self("run", scratch, np.ascontiguousarray(x, np.float32), y, len(x))
        assert np.isnan(scratch[-16:]).all()
        return y

    def self_test(self) -> int:
        return self("self_test", self.memory(self("test_steps"))[0])


def outputs(model: Any, x: Any) -> Any:
    found = model.predict(x[None], verbose=0)[0]
    return found.reshape(-1, found.shape[-1])


@pytest.mark.rotates(days=5)
@pytest.mark.parametrize("name", MODELS)
def test_objects_and_c_give_what_the_model_gives(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    shipping.write_object(model, tmp_path / "object", name="m")
    shipping.write_c(model, tmp_path / "c", name="m")
    for linked in (Linked(tmp_path / "object", ["m.o"]), Linked(tmp_path / "c", ["m.c"])):
        for steps in (1, 6, 23):
            x = inputs(model, steps)
            wanted = outputs(model, x)
            assert agrees(linked.run(x, wanted.shape[1]), wanted)
        assert linked.self_test() == 0


def test_the_self_test_has_no_code_that_a_mask_hides(tmp_path: Path) -> None:
    model = sequential(
        layers.Embedding(2, 3, mask_zero=True),
        layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True)),
        codes=True,
    )
    shipping.write_c(model, tmp_path, name="m")
    assert Linked(tmp_path, ["m.c"]).self_test() == 0


@pytest.mark.rotates(days=2)
def test_the_example_runs_and_weights_may_lie_apart(tmp_path: Path) -> None:
    shipping.write_object(MODELS["stacked"](), tmp_path, name="m", separate_weights=True, weights="bfloat16")
    files = ["m_example.c", "m.o", "m_weights.o"]
    subprocess.run([compiler(), *STRICT, *files, "-o", "m"], cwd=tmp_path, check=True, timeout=60)
    said = subprocess.run([str(tmp_path / "m")], capture_output=True, check=True, text=True, timeout=60)
    assert [line.partition(":")[0] for line in said.stdout.splitlines()] == [f"step {n}" for n in range(4)]


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("target", ["cortex-m4", "riscv32", "armv7"])
def test_other_processors_need_no_library(tmp_path: Path, target: str) -> None:
    assert target in TARGETS
    written = shipping.write_object(MODELS["one output"](), tmp_path, name="m", target=target)
    assert "M_SCRATCH_BYTES(steps)" in written[1].read_text()


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", ["stacked", "one output", "codes"])
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_web_assembly_gives_what_the_model_gives(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    files = shipping.write_web_assembly(model, tmp_path, name="m")
    assert [path.name for path in files] == ["m.mjs", "m.wasm", "m.d.ts"]
    sequences = [inputs(model, steps) for steps in (2, 400, 5)]
    given = json.dumps([x.reshape(-1).tolist() for x in sequences])
    (tmp_path / "program.mjs").write_text(
        'import { load } from "./m.mjs";\n'
        "const model = await load();\n"
        f"const found = {given}.map((xs) => [...model.run(xs)]);\n"
        "let refused = false;\n"
        "try { model.run([]); } catch { refused = true; }\n"
        "console.log(JSON.stringify({ right: model.selfTest(), refused, found }));\n"
    )
    done = subprocess.run(["node", "program.mjs"], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    said = json.loads(done.stdout)
    assert said["right"]
    assert said["refused"]
    for x, found in zip(sequences, said["found"], strict=True):
        wanted = outputs(model, x)
        assert agrees(np.reshape(found, wanted.shape), wanted)


def test_a_step_is_refused_with_the_reason() -> None:
    for read in (nabi.Stream, shipping.step_program):
        with pytest.raises(
            ArgumentError, match=r"from both ends, and a stream has no last step; an object file"
        ):
            read(MODELS["one output"]())


def test_a_forward_layer_that_goes_backwards_is_refused(tmp_path: Path) -> None:
    model = models.Sequential([layers.Bidirectional(layers.GRU(3, go_backwards=True))])
    model.build((None, None, FEATURES))
    with pytest.raises(ArgumentError, match="go_backwards=True"):
        shipping.write_c(model, tmp_path / "c")
    assert not (tmp_path / "c").exists()
