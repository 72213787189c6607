"""Values that no argument is for, and what happens when one is given."""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nabi.errors import NabiError

TRIES = 8
"""How many of the values each argument is tried with, always the same ones."""


def junk(folder: Path) -> dict[str, Callable[[], Any]]:
    """The values by name, each made anew, since one of them can be read only once."""
    binary, empty, model = folder / "binary.csv", folder / "empty.csv", folder / "model.nabi"
    binary.write_bytes(bytes(range(256)) * 4)
    empty.write_bytes(b"")
    model.write_bytes(b"\x02\0\0\0\0\0\0\0{}and more")
    values: dict[str, Any] = {
        "None": None, "empty text": "", "text": "x", "text with NUL": "a\0b", "long text": "long " * 3000,
        "two lines": "one\ntwo\n", "-1": -1, "0": 0, "1.5": 1.5, "NaN": math.nan, "infinite": math.inf,
        "empty list": [], "empty dict": {}, "object": object(), "empty array": np.array([]),
        "folder": str(folder), "bytes": b"bytes", "2**70": 2**70, "-2**70": -(2**70), "10**400": 10**400,
        "True": True, "ragged list": [[1, 2], [3]], "texts": ["a", "b"], "list of None": [None, None],
        "nested list": [[["x"]]], "complex": 1j, "function": lambda *given, **named: None, "class": int,
        "array": np.ones((2, 3)), "array without axes": np.array(3), "negative array": -np.ones(3),
        "objects": np.array([object(), object()]), "tensor": torch.ones(2, 2), "set": {1, 2},
        "binary file": str(binary), "empty file": str(empty), "damaged model": str(model),
        "missing file": str(folder / "missing.csv"), "NumPy's NaN": np.float32("nan"),
    }  # fmt: skip
    made: dict[str, Callable[[], Any]] = {name: (lambda value=value: value) for name, value in values.items()}
    return {**made, "generator": lambda: iter(())}


def answers(
    function: Callable[..., Any], valid: Callable[[], dict[str, Any]], values: dict[str, Callable[[], Any]]
) -> Iterator[str]:
    """Call a function with junk for one argument after the other; say what ends in another error than nabi's.

    Args:
        function: what is called.
        valid: gives arguments that are right, made anew.
        values: the junk.
    """
    function(**valid())
    chosen = random.Random(1)
    for argument in valid():
        for name in chosen.sample(sorted(values), TRIES):
            arguments = {**valid(), argument: values[name]()}
            try:
                function(**arguments)
            except NabiError as error:
                if not str(error) or len(str(error)) > 2000:
                    yield f"{argument}={name}: a message of {len(str(error))} characters"
            except Exception as error:
                yield f"{argument}={name}: {type(error).__name__}: {str(error)[:200]}"
    try:
        function(**valid(), unknown_argument=1)
    except NabiError:
        pass
    except Exception as error:
        yield f"an unknown argument: {type(error).__name__}: {error}"
