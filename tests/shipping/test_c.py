"""Models as C99 source."""

import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi import layers, shipping
from nabi.ir import Cell
from nabi.ir.functions import tanh
from nabi.shipping._c._mathematics import functions_for

from ..cells.sampling import make
from .built import MODELS, agrees, cells_alone, inputs, outputs, sequential
from .linked import STRICT, Linked, compiler

pytestmark = pytest.mark.rotates(days=2)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer(tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    shipping.write_c(model, tmp_path, name="m")
    linked, x = Linked(tmp_path, "m", ["m.c"]), inputs(model)
    assert agrees(linked.run(x), outputs(model, x))
    assert linked.self_test() == 0


def test_every_cell(tmp_path: Path) -> None:
    """All in one library: a C compiler takes longer to start than to compile one."""
    models = {}
    for number, name in enumerate(cells_alone()):
        label = f"m{number}"
        models[label] = sequential(layers.RNN(make(name, 6), return_sequences=True), name=name)
        shipping.write_c(models[label], tmp_path, name=label)
    library = Linked(tmp_path, "m0", [f"{label}.c" for label in models])
    for label, model in models.items():
        linked, x = library.of(label), inputs(model)
        assert agrees(linked.run(x), outputs(model, x)), model.name
        assert linked.self_test() == 0, model.name


def test_weights_apart_and_the_same_bytes(tmp_path: Path) -> None:
    model = MODELS["codes"]()
    for folder in ("one", "two"):
        shipping.write_c(model, tmp_path / folder, name="m", separate_weights=True)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    linked = Linked(tmp_path / "one", "m", ["m.c", "m_weights.c"])
    assert linked.self_test() == 0


def test_a_layer_is_a_function_with_its_equations(tmp_path: Path) -> None:
    shipping.write_c(
        sequential(layers.LSTM(3, name="lstm"), layers.Dense(1, name="head")), tmp_path, name="m"
    )
    text = (tmp_path / "m.c").read_text(encoding="ascii")
    assert " *   c_t = f_t * c_{t-1} + i_t * g_t\n" in text
    assert "static void m_lstm(const float *input, float *state, float *scratch)" in text
    assert "const float c_t = " in text
    assert "static void m_head(" in text


class 게이트(Cell):
    """Gates with names that mean something else in C, or have none of its letters."""

    states = ("h", "상태")

    def step(self, x: Any, h: Any, 상태: Any) -> Any:
        parts = [self.affine(name, x, h) for name in ("int", "m_lstm", "가", "나", "linux", "nabi_tanh")]
        more = [self.parameter(name, init="ones") for name in ("struct", "INT8_MAX", "total")]
        for part in (*parts, *more):
            상태 = 0.5 * 상태 + tanh(part)
        return 상태, tanh(상태)


_NAMES = (
    "*/ int x; /*", "step", "reset", "int", "가", "나", "a b", "a*b", "H", "ALIGN", "input_size", "initial",
    "lstm", "lstm_b", "lstm_W_x", "??/", "two\nlines", "\\", "nabi_tanh",
)  # fmt: skip


@pytest.mark.parametrize("model_name", ["m", "M", "nabi", "int"])
def test_names_that_anybody_may_have_typed(tmp_path: Path, model_name: str) -> None:
    stack = [layers.Dense(3, activation="tanh", name=name) for name in _NAMES]
    cells = [layers.RNN(게이트(3), return_sequences=True, name=name) for name in ("m_lstm", "한글 */ ??/")]
    model = sequential(layers.LSTM(3, return_sequences=True, name="LSTM"), *stack, *cells)
    shipping.write_c(model, tmp_path, name=model_name)
    for ending in ("c", "h"):
        assert (tmp_path / f"{model_name}.{ending}").read_bytes().isascii()
    linked, x = Linked(tmp_path, model_name, [f"{model_name}.c"]), inputs(model)
    assert agrees(linked.run(x), outputs(model, x))
    assert linked.self_test() == 0
    gnu = [compiler(), "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-c", f"{model_name}.c"]
    subprocess.run(gnu, cwd=tmp_path, check=True, timeout=60)


# What a function computes, from the mathematics of Python.
_FUNCTIONS = {
    "exp": math.exp,
    "expm1": math.expm1,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "log": lambda x: math.log(abs(x)) if x else -math.inf,
    "softplus": lambda x: math.log1p(math.exp(x)) if x < 20 else x,
    "erf": math.erf,
    "sqrt": lambda x: math.sqrt(abs(x)),
    "sin": math.sin,
    "cos": math.cos,
    "floor": math.floor,
    "round": round,
}


def test_its_mathematics(tmp_path: Path) -> None:
    """Within a few units in the last place, over numbers of all sizes; NaN stays NaN."""
    draw = np.random.default_rng(3)
    x = np.concatenate([
        draw.standard_normal(500) * scale for scale in (1e-20, 1e-6, 1e-2, 0.3, 1.0, 5.0, 20.0)
    ]).astype(np.float32)  # fmt: skip
    x = np.concatenate([x, np.array([0.0, 0.5, 1.5, 2.5, -0.5, 60.0, -60.0, np.nan], np.float32)])
    of_sizes = {"log", "sqrt"}
    given = {name: np.abs(x) if name in of_sizes else x for name in _FUNCTIONS}
    calls = "\n".join(
        f"void call_{name}(const float *x, float *y, int n) {{ int i; for (i = 0; i < n; i++) y[i] = "
        f"nabi_{name}(x[i]); }}" for name in _FUNCTIONS
    )  # fmt: skip
    (tmp_path / "m.c").write_text("\n".join(["#include <stdint.h>", *functions_for(_FUNCTIONS), calls]))
    command = [compiler(), "-std=c99", "-O1", "-shared", "-fPIC", "-o", "m.so", "m.c"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    import ctypes

    library = ctypes.CDLL(str(tmp_path / "m.so"))
    for name, function in _FUNCTIONS.items():
        found = np.zeros_like(x)
        getattr(library, f"call_{name}")(
            given[name].ctypes.data_as(ctypes.c_void_p), found.ctypes.data_as(ctypes.c_void_p), len(x)
        )
        assert np.isnan(found[-1]), name
        wanted = np.array([function(float(one)) for one in given[name][:-1]])
        spacing = np.maximum(np.spacing(np.abs(wanted).astype(np.float32)), 1e-44)
        with np.errstate(invalid="ignore"):  # the logarithm of 0
            is_near = np.abs(found[:-1] - wanted) <= 6 * spacing + 1e-44
        assert (is_near | (found[:-1] == wanted)).all(), name


def test_strict_compilers_accept_it(tmp_path: Path) -> None:
    shipping.write_c(MODELS["graph"](), tmp_path, name="m")
    command = [
        compiler(),
        *STRICT,
        "-Wconversion",
        "-Wno-sign-conversion",
        "-Wno-float-conversion",
        "-c",
        "m.c",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
