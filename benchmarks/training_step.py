"""Measure a step of the song's training, for docs/results.md: `python benchmarks/training_step.py`.

The song's LSTM (128 units, batches of one, four notes each, softmax, Adam) is trained inside `fit`, as in the
recipe, and by a loop over torch's layers that does the same work. They alternate, epoch by epoch, on one
thread; the figures are CPU times, so that other programs on the machine do not count.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nabi.data import NABIYA, NOTES, encode_notes, windows
from nabi.files import write_atomically
from nabi.layers import LSTM, Dense
from nabi.models import Sequential
from nabi.native.kernel_list import StepLoop
from nabi.training import ArrayBatches, Step
from nabi.utils import set_random_seed, to_categorical

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results.md"
BEGIN = "<!-- training step: written by benchmarks/training_step.py -->"
END = "<!-- training step: end -->"
UNITS, WINDOW = 128, 4
OWN, PLAIN, FUSED = "nabi, inside `fit`", "torch's layers in a loop, Adam", "the same, fused Adam"
SECTIONS = (
    "LSTM, Dense, loss, backward, Adam: many steps by one call", "around the call", "slicing batches",
    "rest of `fit`",
)  # fmt: skip
Times = dict[str, list[float]]  # microseconds per step, of each epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=60, help="number of epochs of each kind (default 60)")
    parser.add_argument(
        "--write", action=argparse.BooleanOptionalAction, default=True, help="write the documentation page"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    x, y = song()
    model = network(y.shape[1])
    work = {OWN: lambda: train(model, x, y)}
    work |= {name: torch_epoch(model, x, y, fused=name == FUSED) for name in (PLAIN, FUSED)}
    times = measure(work, given.epochs, len(x))
    sections = measure_sections(model, lambda: train(model, x, y), given.epochs, len(x))
    table = "\n".join(lines(times, sections))
    print(table)
    if given.write:
        write(table)


# The work -------------------------------------------------------------------------------------------------


def song() -> tuple[np.ndarray, np.ndarray]:
    """Return four notes `[50, 4, 1]` and the note after them, one-hot."""
    heard, following = windows(encode_notes(NABIYA), WINDOW)
    return (heard / (len(NOTES) - 1))[:, :, None], to_categorical(following)


def network(classes: int) -> Sequential:
    set_random_seed(0)
    model = Sequential(
        [LSTM(UNITS, batch_input_shape=(1, WINDOW, 1), stateful=True), Dense(classes, activation="softmax")]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    return model


def train(model: Sequential, x: np.ndarray, y: np.ndarray) -> float:
    """Return one epoch as in the recipe."""
    history = model.fit(x, y, epochs=1, batch_size=1, shuffle=False, verbose=0)
    model.reset_states()
    return float(history.history["loss"][0])


def torch_epoch(model: Sequential, x: np.ndarray, y: np.ndarray, fused: bool) -> Callable[[], float]:
    """Return the same epoch with torch's layers, from the same weights."""
    lstm, dense = torch.nn.LSTM(1, UNITS, batch_first=True), torch.nn.Linear(UNITS, y.shape[1])
    kernel, recurrent, bias, readout, offset = (torch.tensor(weight) for weight in model.get_weights())
    with torch.no_grad():  # the gates have the same order
        for weight, value in (
            (lstm.weight_ih_l0, kernel.T), (lstm.weight_hh_l0, recurrent.T), (lstm.bias_ih_l0, bias),
            (lstm.bias_hh_l0, 0 * bias), (dense.weight, readout.T), (dense.bias, offset),
        ):  # fmt: skip
            weight.copy_(value)
    lstm.bias_hh_l0.requires_grad_(False)  # nabi's LSTM has one bias
    weights = [weight for weight in (*lstm.parameters(), *dense.parameters()) if weight.requires_grad]
    adam = torch.optim.Adam(weights, lr=0.001, eps=1e-7, fused=fused or None)
    inputs, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

    def epoch() -> float:
        state: tuple[Tensor, Tensor] | None = None
        total = 0.0
        for number in range(len(inputs)):
            adam.zero_grad()
            output, (h, c) = lstm(inputs[number : number + 1], state)
            state = h.detach(), c.detach()
            loss = functional.cross_entropy(dense(output[:, -1]), targets[number : number + 1])
            loss.backward()
            adam.step()
            total += loss.item()
        return total / len(inputs)

    return epoch


# Measuring ------------------------------------------------------------------------------------------------


def measure(work: dict[str, Callable[[], float]], epochs: int, steps: int) -> Times:
    """Return the microseconds per step in each epoch, after three warm-up epochs.

    Raises:
        RuntimeError: if the losses of the first epochs differ.
    """
    times: Times = {name: [] for name in work}
    for number in range(epochs + 3):
        losses = []
        for name, piece in work.items():
            start = time.process_time()
            losses.append(piece())
            if number >= 3:
                times[name].append((time.process_time() - start) * 1e6 / steps)
        if number < 3 and not np.allclose(losses, losses[0], rtol=1e-2):
            raise RuntimeError(f"the trainings differ: losses {losses} in epoch {number + 1}")
    return times


def measure_sections(
    model: Sequential, epoch: Callable[[], float], epochs: int, steps: int
) -> dict[str, float]:
    """Return the microseconds per step in the parts of `fit`: medians over epochs."""
    spent: dict[str, list[float]] = {name: [] for name in SECTIONS}
    of_epoch = dict.fromkeys(SECTIONS, 0.0)

    def note(name: str, seconds: float) -> None:
        of_epoch[name] += seconds * 1e6 / steps

    kernels, around, slicing, rest = SECTIONS
    with ExitStack() as stack:
        for owner, method, name in ((StepLoop, "run", kernels), (Step, "train_several", around)):
            stack.enter_context(
                mock.patch.object(owner, method, timed(getattr(owner, method), partial(note, name)))
            )
        stack.enter_context(timed_batches(partial(note, slicing)))
        for _ in range(epochs):
            of_epoch.update(dict.fromkeys(SECTIONS, 0.0))
            start = time.perf_counter()
            epoch()
            note(rest, time.perf_counter() - start)
            of_epoch[rest] -= of_epoch[around] + of_epoch[slicing]
            of_epoch[around] -= of_epoch[kernels]
            for name, value in of_epoch.items():
                spent[name].append(value)
    return {name: statistics.median(values) for name, values in spent.items()}


def timed(function: Callable[..., Any], note: Callable[[float], None]) -> Callable[..., Any]:
    """Return a wrapper that notes the seconds of each call."""
    clock = time.perf_counter

    def call(*arguments: Any) -> Any:
        start = clock()
        try:
            return function(*arguments)
        finally:
            note(clock() - start)

    return call


@contextmanager
def timed_batches(note: Callable[[float], None]) -> Iterator[None]:
    cut = ArrayBatches.several

    def several(self: ArrayBatches) -> Iterator[Any]:
        following = timed(cut(self).__next__, note)
        while True:
            try:
                yield following()
            except StopIteration:
                return

    with mock.patch.object(ArrayBatches, "several", several):
        yield


# The table ------------------------------------------------------------------------------------------------


def lines(times: Times, sections: dict[str, float]) -> Iterator[str]:
    yield (
        f"{UNITS} units, batches of one with {WINDOW} steps, softmax, Adam; float32, one thread, "
        f"torch {torch.__version__.split('+')[0]}."
    )
    yield ""
    yield "| training on the song | µs per step | relative to torch's layers |"
    yield "|---|---:|---:|"
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times[PLAIN], strict=True))
        yield f"| {name} | {statistics.median(values):.0f} | {ratio:.2f} |"
    yield ""
    yield "| part of a step inside `fit` | µs |"
    yield "|---|---:|"
    for name in SECTIONS:
        yield f"| {name} | {sections[name]:.1f} |"


def write(table: str) -> None:
    before, _, rest = RESULTS.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    with write_atomically(RESULTS, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()
