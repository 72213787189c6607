"""How often a computation changes the file it is in: Python calls, modules passed, moves between them.

Every flow runs in a process of its own, on one thread, under `sys.setprofile`. Only calls of the package's
own functions count, none of torch's or Python's. Comprehensions and the steps of generators are calls too, as
Python sees them. A flow runs a few times before it is counted, so that nothing is loaded or compiled then.
`nabi train` is counted from its first import on: once with nothing compiled yet, once with the machine code
that the first run has left.

A move is a pair of consecutive calls of functions in different modules; returns are not counted. A move
between rooms is the same for rooms, where a public package inside a room (`targets/llvm`) counts as a room of
its own and everything beside the rooms as one. Counting returns as well, or only caller and callee, gives
other figures: compare only what was counted this way.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

from import_graph import PACKAGE

Flow = Callable[[], "Trace"]
_WARM_UP = 6


class Trace:
    """The calls of the package's functions, in their order."""

    def __init__(self, calls: Sequence[CodeType] = (), *, used_autograd: bool = False) -> None:
        self.calls = list(calls)
        self.used_autograd = used_autograd
        self._own = str(PACKAGE) + os.sep

    def of(self, function: Callable[[], Any]) -> "Trace":
        """Call the function and keep what it calls."""
        sys.setprofile(self._see)
        try:
            function()
        finally:
            sys.setprofile(None)
        return self

    def _see(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            if frame.f_code.co_filename.startswith(self._own):
                self.calls.append(frame.f_code)
            elif frame.f_code.co_name == "_engine_run_backward":  # where all ways into torch's engine meet
                self.used_autograd = True

    def figures(self) -> dict[str, int]:
        """The figures of a table's row."""
        modules = [code.co_filename.removeprefix(self._own) for code in self.calls]
        return {
            "calls": len(modules),
            "modules": len(set(modules)),
            "moves": _changes(modules),
            "moves_between_rooms": _changes([_room(module) for module in modules]),
        }


def _changes(places: Sequence[Any]) -> int:
    return sum(place != following for place, following in pairwise(places))


def _room(module: str) -> tuple[str, ...]:
    folders = module.split(os.sep)[:-1][:2]
    return tuple(folder for folder in folders if not folder.startswith("_"))


# The flows ------------------------------------------------------------------------------------------------


def rnn(*, lengths: bool, backward: bool = False) -> Trace:
    """Run `nn.RNN` over a batch, and back to its parameters."""
    import torch

    import nabi

    module = nabi.nn.RNN(nabi.cells.GRU(8), input_size=4)
    x = torch.randn(8, 6, 4)
    counts = torch.tensor([6, 5, 4, 3, 6, 2, 1, 6]) if lengths else None

    def run() -> None:
        with torch.set_grad_enabled(backward):
            output, _ = module(x, lengths=counts)
            if backward:
                output.sum().backward()

    return _when_warm(run)


def training_batch() -> Trace:
    """Train on one batch more: what `fit` of four batches does beyond `fit` of three."""
    # How many steps a native call makes follows from the time of a step, which a busy machine stretches: the
    # two may then differ in more than a batch, and are run again.
    for _ in range(5):
        shorter, longer = (_fit_of(batches) for batches in (3, 4))
        if longer.used_autograd:
            raise RuntimeError("training: expected no autograd, got torch's backward pass")
        same = next(
            (
                n
                for n, (one, other) in enumerate(zip(shorter.calls, longer.calls, strict=False))
                if one != other
            ),
            len(shorter.calls),
        )
        added = len(longer.calls) - len(shorter.calls)
        if added > 0 and longer.calls[same + added :] == shorter.calls[same:]:
            return Trace(longer.calls[same : same + added])
    raise RuntimeError("batches: expected each to do the same, got different calls")


def _fit_of(batches: int) -> Trace:
    """Train for an epoch: words with padding before or behind, an LSTM, and a label to be told from them."""
    import numpy as np

    import nabi

    nabi.utils.set_random_seed(0)
    model = nabi.Sequential(
        [
            nabi.layers.Embedding(20, 6, mask_zero=True),
            nabi.layers.LSTM(8),
            nabi.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    x = np.tile([[0, 0, 3, 4, 5, 6]] * 4 + [[2, 3, 3, 0, 0, 0]] * 4, (batches, 1))
    y = np.tile([0, 1] * 4, batches)
    return _when_warm(lambda: model.fit(x, y, batch_size=8, verbose=0))


def _when_warm(function: Callable[[], Any]) -> Trace:
    for _ in range(_WARM_UP):
        function()
    return Trace().of(function)


def train_command() -> Trace:
    """Train a classifier on 40 reviews from the command line, from the import of the command on."""

    def run() -> None:
        from nabi.cli import main

        try:
            main(["train", "reviews.csv", "--text", "review", "--label", "verdict"])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"nabi train: expected to end well, got {end.code}") from None

    with tempfile.TemporaryDirectory(prefix="nabi-house-") as folder, chdir(folder):
        with open("reviews.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("review", "verdict"), *_reviews()])
        return Trace().of(run)


def _reviews() -> Iterator[tuple[str, str]]:
    for number in range(40):
        word, verdict = (("dull", "bad"), ("fine", "good"))[number % 2]
        yield f"film {number % 7} was {word} and its story {number % 5} hours long", verdict


# The second `nabi train` finds what the first has compiled.
FLOWS: dict[str, Flow] = {
    "nn.RNN, inference": lambda: rnn(lengths=False),
    "nn.RNN with lengths, inference": lambda: rnn(lengths=True),
    "nn.RNN with lengths, forward and backward": lambda: rnn(lengths=True, backward=True),
    "one training batch, without autograd": training_batch,
    "fit, 2 batches": lambda: _fit_of(2),
    "nabi train, 40 rows, nothing compiled yet": train_command,
    "nabi train, 40 rows": train_command,
}


def measure() -> Iterator[tuple[str, dict[str, int]]]:
    """Run every flow in a process of its own; yields its name and its figures."""
    with tempfile.TemporaryDirectory(prefix="nabi-house-") as cache:
        # The environment's own settings may choose another way to compute.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NABI_")}
        environment |= {
            "NABI_CACHE_DIR": cache,
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(PACKAGE.parent),
        }
        train = [name for name, flow in FLOWS.items() if flow is train_command]
        for name in [*train, *(name for name in FLOWS if name not in train)]:
            run = subprocess.run(
                [sys.executable, __file__, name], env=environment, capture_output=True, text=True
            )
            if run.returncode:
                raise RuntimeError(f"{name}: expected to be measured, got\n{run.stderr}")
            yield name, json.loads(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(FLOWS[sys.argv[1]]().figures()))
