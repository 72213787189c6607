"""What an old file is, and how two answers are compared."""

import contextlib
import io
import math
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nabi.callbacks import Callback
from nabi.cli import main

# What two processors may differ by: they add up in another order.
_RELATIVE, _ABSOLUTE = 2e-3, 2e-5
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+")

OLD_CELLS = (
    "simple-rnn", "lstm", "peephole-lstm", "coupled-lstm", "gru-lecture", "gru-2014", "gru",
    "layer-norm-lstm", "projected-lstm", "zoneout-lstm", "ind-rnn",
)  # fmt: skip
"""The cells of the files; later ones were in no older version."""


@dataclass(frozen=True)
class OldFile:
    """A file, or several beside each other, and the questions that were asked of what it holds.

    `write` writes it at a path and returns the answers of what was written, or of the training that was never
    stopped; `read` loads it and asks the same.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]


class CountBatches(Callback):
    """Counts the batches of a training: one that did not go on from its file would have all of them."""

    def __init__(self) -> None:
        self.batches = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1


class StopAfter(Callback):
    """Asks for the end of a training after so many batches, as Ctrl-C does."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def run_nabi(*arguments: object) -> str:
    """Run the command `nabi` in this process and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            main([str(one) for one in arguments])
        except SystemExit as end:
            if end.code:
                raise AssertionError(f"nabi ended with {end.code}: {printed.getvalue()}") from end
    return printed.getvalue()


def plain(answer: Any) -> Any:
    """Return an answer as JSON can hold it."""
    if isinstance(answer, torch.Tensor):
        return plain(answer.detach().numpy())
    if isinstance(answer, np.ndarray | np.generic):
        return plain(answer.tolist())
    if isinstance(answer, dict):
        return {str(name): plain(value) for name, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [plain(one) for one in answer]
    if isinstance(answer, float):
        return float(f"{answer:.7g}")
    assert answer is None or isinstance(answer, str | int), answer
    return answer


def differences(got: Any, expected: Any, at: str = "") -> list[str]:
    """Return where an answer differs from the one that was stored, by more than rounding."""
    if isinstance(expected, dict) and isinstance(got, dict):
        # What a later version has beside it, such as one more setting, is no difference.
        return [f"{at}/{name}: is missing" for name in expected.keys() - got.keys()] + [
            one
            for name in expected.keys() & got.keys()
            for one in differences(got[name], expected[name], f"{at}/{name}")
        ]
    if isinstance(expected, list) and isinstance(got, list):
        if len(got) != len(expected):
            return [f"{at}: has {len(got)} entries, expected {len(expected)}"]
        return [
            one
            for place, pair in enumerate(zip(got, expected, strict=True))
            for one in differences(*pair, f"{at}/{place}")
        ]
    if isinstance(expected, float) and isinstance(got, float | int):
        same = math.isclose(got, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    elif isinstance(expected, str) and isinstance(got, str):
        numbers = [float(one) for one in _NUMBER.findall(expected)]
        others = [float(one) for one in _NUMBER.findall(got)]
        same = _NUMBER.sub("#", got) == _NUMBER.sub("#", expected) and all(
            math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=0.011)
            for one, other in zip(numbers, others, strict=True)
        )
    else:
        same = got == expected
    return [] if same else [f"{at}: {got!r}, expected {expected!r}"]
