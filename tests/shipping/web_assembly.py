"""Exported modules in wasmtime."""

from typing import Any

import numpy as np
import wasmtime

from nabi.shipping import StepProgram
from nabi.shipping._web._module import WebModule

__all__ = ["RunningModel"]


class RunningModel:
    """A module of a model, called as its loader calls it."""

    def __init__(self, module: WebModule) -> None:
        self.sizes = module.sizes
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        compiled = wasmtime.Module(engine, module.content)
        assert list(compiled.imports) == []
        self._exports = wasmtime.Instance(self._store, compiled, []).exports(self._store)
        self._end = int(self._exports["heap_base"].value(self._store))
        self.scratch = self.take(self.sizes["scratchBytes"])
        self.x = self.take(4 * self.sizes["input"] * self.sizes["block"])
        self.y = self.take(4 * self.sizes["output"] * self.sizes["block"])
        self.values = self.take(4 * self.sizes["state"])

    def take(self, count: int) -> int:
        place = -(-self._end // 64) * 64
        self._end = place + count
        assert self._end <= self._exports["memory"].data_len(self._store)
        return place

    def __call__(self, name: str, *arguments: int) -> Any:
        return self._exports[name](self._store, *arguments)

    def stream(self) -> int:
        state = self.take(self.sizes["stateBytes"])
        assert self("init", state, self.sizes["stateBytes"]) == 0
        return state

    def write(self, at: int, numbers: np.ndarray) -> None:
        self._exports["memory"].write(self._store, np.ascontiguousarray(numbers, "<f4").tobytes(), at)

    def read(self, at: int, count: int) -> np.ndarray:
        return np.frombuffer(self._exports["memory"].read(self._store, at, at + 4 * count), "<f4").copy()

    def step(self, state: int, x: np.ndarray) -> np.ndarray:
        self.write(self.x, x)
        self("step", state, self.scratch, self.x, self.y)
        return self.read(self.y, self.sizes["output"])

    def run(self, state: int, x: np.ndarray) -> np.ndarray:
        self.write(self.x, x)
        self("run", state, self.scratch, self.x, self.y, len(x))
        return self.read(self.y, len(x) * self.sizes["output"]).reshape(len(x), -1)


def numbers_for(program: StepProgram, steps: int, seed: int = 0) -> np.ndarray:
    """Inputs of a program, `[steps, numbers]`."""
    generator = np.random.default_rng(seed)
    if program.codes:
        return generator.integers(0, program.codes, (steps, 1)).astype(np.float32)
    return generator.normal(size=(steps, program.input.width)).astype(np.float32)
