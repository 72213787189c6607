"""Exported models in this process: linked with a C compiler into a shared library, called by ctypes."""

import copy
import ctypes
import itertools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_numbers = itertools.count()
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")


def compiler() -> str:
    """The C compiler; skips the test where there is none."""
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler is installed")
    return found


class Linked:
    """The functions of an exported model.

    Args:
        folder: where its files are.
        name: of the model.
        files: what is linked.
    """

    def __init__(self, folder: Path, name: str, files: Sequence[str]) -> None:
        # The system loads a library of a name once.
        library = folder / f"model{next(_numbers)}.so"
        # Without the C library: what is missing makes the command fail.
        command = [
            compiler(),
            *STRICT,
            "-O1",
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-Wl,-z,defs",
            "-o",
            str(library),
        ]
        subprocess.run([*command, *files], cwd=folder, check=True, timeout=60)
        self._library = ctypes.CDLL(str(library))
        self._open(name)

    def of(self, name: str) -> "Linked":
        """Another model of the same library."""
        found = copy.copy(self)
        found._open(name)
        return found

    def _open(self, name: str) -> None:
        self._name = name
        self.state = np.zeros(self.number("state_bytes") // 4, np.float32)
        self.scratch = np.zeros(self.number("scratch_bytes") // 4, np.float32)
        self.began = self.begin()

    def number(self, name: str) -> int:
        """One of the constants."""
        return int(self._function(name)())

    def begin(self, size: int | None = None, shift: int = 0) -> int:
        """Call `init`."""
        self._function("init").argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        size = self.state.nbytes if size is None else size
        return int(self._function("init")(self.state.ctypes.data + shift, size))

    def run(self, x: Any) -> Any:
        """Call `run`."""
        given = np.ascontiguousarray(x, np.float32)
        found = np.zeros((len(x), self.number("output_size")), np.float32)
        self._call("run", self.state, self.scratch, given, found, len(x))
        return found

    def step(self, x: Any) -> Any:
        """Call `step`."""
        given = np.ascontiguousarray(x, np.float32)
        found = np.zeros(self.number("output_size"), np.float32)
        self._call("step", self.state, self.scratch, given, found)
        return found

    def reset(self) -> None:
        """Call `reset`."""
        self._call("reset", self.state)

    def get_state(self) -> Any:
        """Call `get_state`."""
        found = np.zeros(self.number("state_size"), np.float32)
        self._call("get_state", self.state, found)
        return found

    def set_state(self, values: Any) -> None:
        """Call `set_state`."""
        self._call("set_state", self.state, values)

    def self_test(self) -> int:
        """Call `self_test`."""
        function = self._function("self_test")
        function.argtypes = [ctypes.c_void_p] * 2
        return int(function(self.state.ctypes.data, self.scratch.ctypes.data))

    def _function(self, name: str) -> Any:
        return getattr(self._library, f"{self._name}_{name}")

    def _call(self, name: str, *arguments: Any) -> None:
        function = self._function(name)
        function.argtypes = [
            ctypes.c_void_p if isinstance(one, np.ndarray) else ctypes.c_size_t for one in arguments
        ]
        function.restype = None
        function(*[one.ctypes.data if isinstance(one, np.ndarray) else one for one in arguments])
