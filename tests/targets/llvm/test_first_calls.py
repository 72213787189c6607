"""Threads that call layers at the same time, with nothing compiled or laid out yet.

Each test sleeps where one thread could come between the looking and the writing of another: without what
protects that place it fails always, not once in a thousand runs.
"""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nabi
from nabi import cells
from nabi.kernels import AdamOptions, Rows, _rows, adam_steps
from nabi.kernels._code._adam import ADAM
from nabi.native import threads as _threads
from nabi.scan import PreparedStep
from nabi.targets.llvm._binder import _bound
from nabi.targets.llvm._plan import _saved_values as _values
from nabi.training._step._step import Step

from ...native.machines import needs_native

pytestmark = needs_native

THREADS = 4


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What functions return that threads begin at the same time."""
    found: list[Any] = [None] * len(calls)
    begin = threading.Barrier(len(calls))

    def run(number: int) -> None:
        begin.wait()
        try:
            found[number] = calls[number]()
        except BaseException as problem:
            found[number] = problem

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for value in found:
        if isinstance(value, BaseException):
            raise value
    return found


def slowly(patch: pytest.MonkeyPatch, owner: Any, name: str, seconds: float = 0.05) -> None:
    """Let a function sleep before it does what it does."""
    function = getattr(owner, name)

    def sleep_first(*arguments: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return function(*arguments, **options)

    patch.setattr(owner, name, sleep_first)


@pytest.mark.parametrize(
    "ask", [lambda rows: rows.chunks(4), lambda rows: rows.offset, lambda rows: rows.table(12)]
)
def test_a_layout_makes_each_index_tensor_once(
    ask: Callable[[Rows], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows([3, 3, 3, 2], 3, place=torch.arange(11))
    slowly(monkeypatch, _rows.torch, "tensor")
    slowly(monkeypatch, _rows, "_inverse")
    found = at_once(*[lambda: ask(rows)] * THREADS)
    # Kernels have the address of the first one.
    assert all(tensor is found[0] for tensor in found)


def test_the_values_of_a_program_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    program = cells.GRU(5).program(3)
    slowly(monkeypatch, _values, "Values")
    found = at_once(*[lambda: _values.values_of(program)] * THREADS)
    assert all(values is found[0] for values in found)


@pytest.mark.parametrize("batch", [2, 7], ids=["few rows", "many rows"])
def test_a_prepared_step_serves_several_threads(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    program = cells.LSTM(9).program(4)
    weights = [torch.randn(family.shape) for family in program.families]
    data = [(torch.randn(batch, 4), torch.randn(batch, 9), torch.randn(batch, 9)) for _ in range(THREADS)]
    expected = [PreparedStep(program, weights)(x, states) for x, *states in data]
    shared = PreparedStep(program, weights)
    # Between the writing of addresses and the kernel, and between the kernel that packs and the next.
    slowly(monkeypatch, _bound._threads, "run")
    for _ in range(2):
        found = at_once(*[lambda x=x, states=states: shared(x, states) for x, *states in data])
        for one, other in zip(found, expected, strict=True):
            assert all(map(torch.equal, one, other))


def test_steps_of_adam_at_the_same_time_keep_to_their_own_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, mean, square = (torch.zeros(5) for _ in range(3))
    adam = adam_steps([weight], [mean], [square], [torch.zeros(())])
    assert adam is not None
    gradients = [torch.full((5,), float(number)) for number in range(THREADS)]
    read = []
    run = _threads.run

    def spy(address: int, arguments: Any, threads: int) -> None:
        time.sleep(0.05)
        # After the length of the list and the numbers comes a line: the weight, then its gradient.
        read.append(arguments[ADAM.head + 1])
        run(address, arguments, threads)

    monkeypatch.setattr(_threads, "run", spy)
    options = AdamOptions(0.1, (0.9, 0.999), 1e-8)
    at_once(*[lambda one=one: adam.step([weight], [one], options) for one in gradients])
    assert sorted(read) == sorted(one.data_ptr() for one in gradients)


def test_two_trainings_of_one_model_share_no_memory() -> None:
    model = nabi.Sequential([nabi.Input((5, 2)), nabi.layers.LSTM(3), nabi.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(torch.randn(4, 5, 2), torch.randn(4, 1), epochs=2, verbose=0)
    assert model._compiled.spare
    both = [Step(model, model._compiled, alone=True) for _ in range(2)]
    assert both[0]._chain is not None
    assert both[1]._chain is not None
    assert both[0]._chain is not both[1]._chain


LAYERS = """
    import sys, threading, time
    import torch
    import nabi
    from nabi import nn
    from nabi.kernels import _rows
    from nabi.native import store as _store
    from nabi.native._code import _cache, _compiler
    from nabi.targets.llvm import _compiled
    from nabi.targets.llvm._binder import _bound, _records

    torch.set_num_threads(1)

    def slowly(owner, name, seconds=0.002):
        function = getattr(owner, name)
        def sleep_first(*arguments, **options):
            time.sleep(seconds)
            return function(*arguments, **options)
        setattr(owner, name, sleep_first)

    for owner, name in (
        (_rows.torch, "tensor"), (_rows, "_inverse"), (_store, "read"), (_store, "write"),
        (_compiled.Compiled, "lay_out"), (_bound._threads, "threads_for"), (_records, "take"),
        (_cache, "load"), (_bound.Bound, "new_block"),
    ):
        slowly(owner, name)

    THREADS = 8
    torch.manual_seed(0)
    stack = nn.GRU(6, 9, num_layers=2, bidirectional=True)
    shared = [nn.LSTM(6, 9), stack, nabi.nn.RNN(nabi.cells.GRU2014(7), 6)]

    def run(layer, x, lengths):
        x = x.clone().requires_grad_()
        if lengths is None:
            output = layer(x)[0]
        elif isinstance(layer, nabi.nn.RNN):
            output = layer(x.transpose(0, 1), lengths=lengths)[0]
        else:
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            output = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0]
        weights = list(layer.parameters())
        return [output.detach(), *torch.autograd.grad(output.square().sum(), [x, *weights])]

    work = []
    for number in range(THREADS):
        steps, batch = (7, 3) if number % 2 else (5 + number, 2 + number)
        x = torch.randn(steps, batch, 6)
        lengths = torch.randint(1, steps + 1, (batch,))
        lengths[0] = steps
        work.append((x, lengths))

    found = [None] * THREADS
    begin = threading.Barrier(THREADS)

    def every(number):
        x, lengths = work[number]
        return [run(layer, x, given) for layer in shared for given in (None, lengths)]

    def start(number):
        begin.wait()
        found[number] = every(number)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(THREADS):
        assert found[number] is not None, f"thread {number} failed"
        for one, other in zip(found[number], every(number), strict=True):
            for value, expected in zip(one, other, strict=True):
                assert torch.equal(value, expected), number
    print("the same")
"""


def test_many_threads_and_layers_with_nothing_compiled(tmp_path: Path) -> None:
    environment = {**os.environ, "NABI_CACHE_DIR": str(tmp_path), "NABI_LLVM_EFFORT": "0"}
    environment.pop("NABI_NATIVE", None)
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(LAYERS)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, "the same\n"), run.stderr
