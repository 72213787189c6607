"""Functional models beside Keras: the same code gives the same layers, shapes, figures and outputs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi.backend import clear_session

from .functional_models import MODELS, data, described, figures


@pytest.fixture(scope="module")
def by_keras(tmp_path_factory: pytest.TempPathFactory, in_keras: Callable[..., bytes]) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    program = str(Path(__file__).parent / "functional_models.py")
    arguments = [program, str(folder)]
    run = f"runpy.run_path({program!r}, run_name='__main__')"
    in_keras(f"import runpy, sys\nsys.argv[:] = {arguments!r}\n{run}")
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_layers_shapes_and_outputs(by_keras: Path, name: str) -> None:
    expected = json.loads((by_keras / "found.json").read_text())["models"][name]
    arrays = np.load(by_keras / f"{name}.npz")
    clear_session()
    model = MODELS[name](nabi)
    assert described(model) == expected
    model.set_weights([arrays[key] for key in arrays.files if key[0] == "w"])
    outputs: Any = model.predict(data(model), batch_size=4) if name != "by_name" else None
    if outputs is None:
        outputs = list(model.predict(dict(zip("ab", data(model), strict=True))).values())
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for number, one in enumerate(outputs):
        np.testing.assert_allclose(one, arrays[f"y{number}"], rtol=2e-5, atol=2e-6)


def test_names_of_figures(by_keras: Path) -> None:
    assert figures(nabi) == json.loads((by_keras / "found.json").read_text())["figures"]
