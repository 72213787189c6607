"""torch.nn and nabi.nn: drop-ins for each other, so the same code makes the work of both."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from benchmarks.layers.arrays import WEIGHTS, Arrays, layer_arrays
from benchmarks.layers.peers.torch_run import runner
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work

__all__ = ["make"]

CLASSES = {"simple-rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def make(name: str, task: Task, threads: int) -> Work:
    torch.set_num_threads(threads)
    if task["subject"] == "song":
        from benchmarks.layers.peers import song

        return song.nabi_song() if name == "nabi" else song.torch_song(task.get("keeps_state", True))
    if task["subject"] == "imdb":
        from benchmarks.layers.peers import imdb

        return imdb.nabi_imdb(task) if name == "nabi" else imdb.torch_imdb(task)
    if task["subject"] == "variant":
        from benchmarks.layers.peers import variants

        return variants.make(task, loop=name != "nabi")
    return layer(name, task)


def build(name: str, cell: str, inputs: int, units: int) -> torch.nn.Module:
    """Make the layer through the public module, as a user does."""
    import nabi.nn

    module: torch.nn.Module = getattr(nabi.nn if name == "nabi" else torch.nn, CLASSES[cell])(inputs, units)
    return module


def layer(name: str, task: Task) -> Work:
    arrays = {key: torch.from_numpy(value) for key, value in layer_arrays(task).items()}
    module = build(name, task["cell"], task["shape"][2], task["shape"][3])
    with torch.no_grad():
        for own, key in zip(parameters(module), WEIGHTS, strict=True):
            own.copy_(arrays[key])
    steps = task.get("steps", "padded")
    x, cotangent = arrays["x"], arrays["cotangent"]
    back: Callable[[Tensor], Tensor] = lambda values: values  # noqa: E731
    timed_layer: Callable[[Tensor], Tensor] | None = None
    if steps == "padded":
        run_layer = lambda x: module(x)[0]  # noqa: E731
    elif steps == "lengths":
        lengths = torch.tensor(task["lengths"])
        run_layer = lambda x: module(x, lengths=lengths)[0]  # noqa: E731
        # Training never has the same lengths twice in a row: each call permutes them.
        orders = itertools.cycle([lengths.roll(shift) for shift in range(len(lengths))])
        timed_layer = lambda x: module(x, lengths=next(orders))[0]  # noqa: E731
    else:
        lengths = torch.tensor(task["lengths"])
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        x, cotangent = packed.data, pack_padded_sequence(cotangent, lengths, enforce_sorted=False).data
        run_layer = lambda x: module(PackedSequence(x, *packed[1:]))[0].data  # noqa: E731
        back = lambda values: pad_packed_sequence(PackedSequence(values, *packed[1:]))[0]  # noqa: E731
    results = ["output", "x", *WEIGHTS]
    run = runner(run_layer, x, parameters(module), cotangent, task["kind"])
    timed = runner(timed_layer or run_layer, x, parameters(module), cotangent, task["kind"])
    module.train(task["kind"] == "training")

    def arrays_of_run() -> Arrays:
        found = dict(zip(results, run(), strict=False))
        return {
            key: (back(value) if key in ("output", "x") else value).numpy() for key, value in found.items()
        }

    return Work(timed, arrays_of_run)


def parameters(module: torch.nn.Module) -> list[Tensor]:
    return [getattr(module, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
