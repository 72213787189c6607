"""Tasks whose sequences are drawn: each asks for one ability of a memory."""

import numpy as np

from nabi import _checks
from nabi.comparison._task import Batch, Measure, Task, accuracy, answers_only

__all__ = ["adding", "copy_memory", "parity", "recall"]

_DRAWN = "drawn from the seed"


def adding(length: int = 100) -> Task:
    """Return the adding problem (Hochreiter and Schmidhuber 1997): keep two numbers for a long time.

    A step has a number from 0 to 1 and a mark. Two numbers are marked, one in each half; the answer is their
    sum. The sum of two such numbers has a variance of 1/6, which is the error of always answering 1.

    Raises:
        ArgumentError: `length` is below 2.
    """
    length = _checks.whole("length", length, least=2)

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        x = np.zeros((count, length, 2), np.float32)
        x[..., 0] = generator.random((count, length), dtype=np.float32)
        rows, half = np.arange(count), length // 2
        for low, high in ((0, half), (half, length)):
            x[rows, generator.integers(low, high, count), 1] = 1
        return x, (x[..., 0] * x[..., 1]).sum(1, keepdims=True)

    error = Measure(
        "mean squared error", True, lambda outputs, answers: float(np.square(outputs - answers).mean())
    )
    return Task(
        "adding", _DRAWN, length, length, draw, features=2, outputs=1, classes=False, measure=error,
        baseline=1 / 6, baseline_of="always answering 1",
    )  # fmt: skip


def copy_memory(length: int = 10, symbols: int = 8, remembered: int = 5) -> Task:
    """Return the copy task (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016): store and repeat.

    `remembered` symbols, then `length` blanks, the last of which is a sign to begin, then blanks while the
    network repeats the symbols in their order. The accuracy is that of the repeated symbols.
    """
    length = _checks.whole("length", length)
    blank, sign = 0, symbols + 1
    steps = length + 2 * remembered

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        stored = generator.integers(1, symbols + 1, (count, remembered))
        x = np.full((count, steps), blank)
        x[:, :remembered] = stored
        x[:, remembered + length - 1] = sign
        y = np.full((count, steps), blank)
        y[:, -remembered:] = stored
        return x, y

    return Task(
        "copy", _DRAWN, length, steps, draw, features=symbols + 2, symbols=True, outputs=symbols + 1,
        every_step=True, measure=answers_only(steps - remembered), baseline=1 / symbols,
        baseline_of=f"guessing among {symbols} symbols",
    )  # fmt: skip


def parity(length: int = 40) -> Task:
    """Return the parity task: say at every step whether the number of ones so far is odd.

    It needs a state that every one turns over, which a cell that is linear in its state with positive decay
    does not have (Sarrof et al. 2024). The accuracy is that of the second half.

    Raises:
        ArgumentError: `length` is below 2.
    """
    length = _checks.whole("length", length, least=2)

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        bits = generator.integers(0, 2, (count, length))
        return bits[..., None].astype(np.float32), bits.cumsum(1) % 2

    return Task(
        "parity", _DRAWN, length, length, draw, features=1, outputs=2, every_step=True,
        measure=answers_only(length // 2), baseline=0.5, baseline_of="guessing",
    )  # fmt: skip


def recall(length: int = 8) -> Task:
    """Return associative recall (Graves et al. 2014; Ba et al. 2016): pairs, and then one key again.

    A step has a key and a value, each one of `2 * length` kinds; the last step has one of the keys alone, and
    the answer is its value. The keys of a sequence are different, and so are its values.

    Raises:
        ArgumentError: `length`, the number of pairs, is below 2.
    """
    length = _checks.whole("length", length, least=2)
    kinds = 2 * length

    def draw(part: str, count: int, generator: np.random.Generator) -> Batch:
        rows, asked = np.arange(count), generator.integers(0, length, count)
        keys, values = (generator.random((count, kinds)).argsort(1)[:, :length] for _ in range(2))
        x = np.zeros((count, length + 1, 2 * kinds), np.float32)
        for step in range(length):
            x[rows, step, keys[:, step]] = x[rows, step, kinds + values[:, step]] = 1
        x[rows, length, keys[rows, asked]] = 1
        return x, values[rows, asked]

    return Task(
        "recall", _DRAWN, length, length + 1, draw, features=2 * kinds, outputs=kinds,
        measure=accuracy, baseline=1 / length, baseline_of="naming any of the values",
    )  # fmt: skip
