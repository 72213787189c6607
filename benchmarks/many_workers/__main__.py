"""How much faster several workers train and predict, and how fast gradients travel, beside others.

Run on an idle machine; each worker has one thread:

    NABI_DATA=... OMP_NUM_THREADS=1 python -m benchmarks.many_workers reviews
    OMP_NUM_THREADS=1 python -m benchmarks.many_workers exchange
    NABI_DATA=... OMP_NUM_THREADS=1 python -m benchmarks.many_workers predict --engine ray
    NABI_DATA=... OMP_NUM_THREADS=1 python -m benchmarks.many_workers systems
    OMP_NUM_THREADS=1 python -m benchmarks.many_workers kills --count 50 --out kills.jsonl

`reviews` trains the network of the recipe for film reviews (20,000 words, 128 numbers each; convolution,
LSTM) on the same batches with one worker and with several, in turns, and compares the losses, also with
those of one worker whose weights are a little different at the start: so far rounding grows. `exchange`
sends the gradients of 20 million weights, found by one backward pass of autograd, through nabi's exchange
and through DistributedDataParallel. Times are those of the slowest worker; the best of several turns counts.
`predict` labels short texts from many files, in one process and in several, one of
which is killed in the middle, and counts the rows. `systems` trains a language model on Shakespeare and a
forecaster on real series, and compares the losses of one worker with those of several. `kills` kills workers
under torchrun, again and again; what is in the file is not done again.
"""

import argparse
import contextlib
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.many_workers import kills, systems
from benchmarks.many_workers.processes import on_workers
from nabi.training._workers._exchange import GradientExchange
from nabi.training._workers._group import find_workers

LENGTH = 400
DISTURBED = 1e-7


# Film reviews -----------------------------------------------------------------------------------------------


def reviews(rows: int) -> tuple[Any, Any, int]:
    """Return codes `[N, 400]` and labels of film reviews, so many rows, and the size of the vocabulary."""
    from nabi.data import Vocabulary, pad_sequences
    from nabi.datasets import imdb

    (texts, labels), _ = imdb.load_texts(Path(os.environ["NABI_DATA"]))
    vocabulary = Vocabulary.learn(texts, "words", size=20_000)
    codes = pad_sequences(vocabulary.encode(texts[:rows]), LENGTH, truncating="pre", padding="post")
    names = sorted(set(labels))
    return np.asarray(codes), np.array([[float(names.index(one))] for one in labels[:rows]]), len(vocabulary)


def train(codes: Any, labels: Any, words: int, batch: int, disturbed: float = 0.0) -> tuple[float, float]:
    """Train for an epoch after a first batch; return the seconds and the loss.

    `disturbed` is by which share all weights are larger before the epoch.
    """
    from nabi.optimizers import Adam
    from nabi.recipes.imdb import cnn_lstm
    from nabi.utils import set_random_seed

    set_random_seed(1)
    model = cnn_lstm(words, 2)
    model.compile(Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(codes[:batch], labels[:batch], batch_size=batch, shuffle=False, verbose=0)
    if disturbed:
        model.set_weights([weight * np.float32(1 + disturbed) for weight in model.get_weights()])
    begin = time.perf_counter()
    history = model.fit(codes, labels, batch_size=batch, verbose=0)
    return time.perf_counter() - begin, history.history["loss"][-1]


def compare_reviews(batch: int, batches: int, turns: int, counts: list[int]) -> None:
    codes, labels, words = reviews(batch * batches)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    losses: dict[int, float] = {}
    for _ in range(turns):
        for count in counts:
            found = on_workers(count, train, codes, labels, words, batch)
            seconds[count].append(max(one for one, _ in found))
            losses[count] = found[0][1]
    for count in counts:
        best = min(seconds[count])
        print(
            f"{count} workers: {1e3 * best / batches:6.1f} ms a step, {min(seconds[counts[0]]) / best:.2f} "
            f"times as fast, loss {losses[count]:.7f} ({abs(losses[count] - losses[counts[0]]):.1e} off)",
            flush=True,
        )
    _, other = on_workers(counts[0], train, codes, labels, words, batch, DISTURBED)[0]
    off = abs(other - losses[counts[0]])
    print(f"{counts[0]} workers, weights {DISTURBED:g} larger at the start: loss {other:.7f} ({off:.1e} off)")


# Exchange ---------------------------------------------------------------------------------------------------


def network() -> nn.Sequential:
    """20 million weights in layers of about a million."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(1000, 1000) for _ in range(20)))


def step_times(way: str, steps: int) -> list[float]:
    """Return the seconds of forward and backward passes on one row, with the gradients exchanged or not."""
    model: Any = network()
    x = torch.ones(1, 1000)
    workers = find_workers()
    assert workers is not None
    exchange = GradientExchange(workers, list(model.parameters()))
    called = nn.parallel.DistributedDataParallel(model) if way == "ddp" else model
    found = []
    for _ in range(steps):
        model.zero_grad(set_to_none=True)
        torch.distributed.barrier()
        begin = time.perf_counter()
        loss = called(x).square().mean()
        if way == "nabi":
            exchange.begin(1)
            with exchange.listening():
                loss.backward()
            exchange.finish(float(loss.detach()), 1)
        else:
            loss.backward()
        found.append(time.perf_counter() - begin)
    return found[1:]


def compare_exchange(steps: int) -> None:
    times: dict[str, list[float]] = {"alone": [], "ddp": [], "nabi": []}
    for way in ("alone", "ddp", "nabi", "nabi", "ddp"):
        times[way] += on_workers(2, step_times, way, steps)[0]
    alone = statistics.median(times["alone"])
    rates = {}
    size = sum(weight.numel() for weight in network().parameters()) * 4 / 1e6
    for way in ("ddp", "nabi"):
        spent = statistics.median(times[way])
        rates[way] = size / (spent - alone)
        print(f"{way}: {1e3 * spent:.0f} ms a step, {1e3 * alone:.0f} ms of it alone: {rates[way]:.0f} MB/s")
    print(f"nabi exchanges {rates['nabi'] / rates['ddp']:.0%} of what DistributedDataParallel does")


# Predicting -------------------------------------------------------------------------------------------------


def compare_predictions(engine: str, files: int, rows: int, workers: int) -> None:
    import nabi
    from nabi.cli._many_files._processes import on_processes
    from nabi.cli._many_files._ray import on_ray
    from nabi.cli._predict import predict_file
    from nabi.datasets import imdb

    (texts, labels), _ = imdb.load_texts(Path(os.environ["NABI_DATA"]))
    short = [" ".join(text.split()[:12]) for text in texts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = nabi.TextClassifier(units=64, epochs=1)
        model.fit(short[:4000], labels[:4000], verbose=0)
        model.save(folder / "m.nabi")
        tasks = []
        for number in range(files):
            lines = (f"{short[(number * rows + row) % len(short)]} {number} {row}" for row in range(rows))
            (folder / f"{number}.txt").write_text("\n".join(lines) + "\n")
            own = {"model": folder / "m.nabi", "file": folder / f"{number}.txt", "threads": 1}
            tasks.append({**_usual_arguments("predict"), **own})
        begin = time.perf_counter()
        few = max(1, files // 4)
        for task in tasks[:few]:
            predict_file({**task, "out": task["file"].with_suffix(".alone.csv")})
        speed = few * rows / (time.perf_counter() - begin)
        print(f"plain loop: {speed:,.0f} rows a second", flush=True)
        for kill in (False, True):
            out = folder / f"out{kill}"
            given = [{**task, "out": out / f"{task['file'].stem}.csv"} for task in tasks]
            run = on_ray if engine == "ray" else on_processes
            begin = first = time.perf_counter()
            for done, _ in enumerate(run(predict_file, given, workers)):
                if done == 0:
                    first = time.perf_counter()
                if done == files // 2 and kill:
                    os.kill(_a_worker(engine), signal.SIGKILL)
            end = time.perf_counter()
            said = [row.split(",")[0] for task in given for row in task["out"].read_text().split("\n")[1:-1]]
            asked = [row for task in given for row in task["file"].read_text().split("\n")[:-1]]
            whole = files * rows / (end - begin)
            later = (files - 1) * rows / (end - first)
            print(
                f"{engine}, {workers} workers{', one killed' if kill else ''}: {whole:,.0f} rows a second, "
                f"{whole / workers / speed:.0%} of the loop per worker ({later / workers / speed:.0%} after "
                f"the first file); {len(said):,} rows for {len(asked):,}",
                flush=True,
            )
            for task in given:
                rows_there = task["out"].read_text().count("\n") - 1
                assert rows_there == task["file"].read_text().count("\n"), task["out"]
                # With the same probabilities, whoever has found them.
                alone = task["file"].with_suffix(".alone.csv")
                before = alone if alone.exists() else folder / "outFalse" / task["out"].name
                assert task["out"].read_bytes() == before.read_bytes(), task["out"]


def _usual_arguments(command: str) -> dict[str, Any]:
    """Return what a command is told by nobody."""
    import typer

    from nabi.cli import _main

    found = typer.main.get_command(_main.app()).commands[command]  # type: ignore[attr-defined]
    return {one.name: one.default for one in found.params}


def _a_worker(engine: str) -> int:
    if engine == "processes":
        return int(multiprocessing.active_children()[0].pid or 0)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                return int(folder.name)
    raise RuntimeError("there is no actor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("reviews", "exchange", "predict", "systems", "kills"))
    parser.add_argument("--batches", type=int, default=40, help="of an epoch of film reviews")
    parser.add_argument("--batch", type=int, default=32, help="reviews in a batch of all workers")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=10, help="of the exchange")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes")
    parser.add_argument("--files", type=int, default=20, help="to predict for")
    parser.add_argument("--rows", type=int, default=50_000, help="of a file to predict for")
    parser.add_argument("--count", type=int, default=50, help="of kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills")
    parser.add_argument("--out", type=Path, default=Path("kills.jsonl"), help="what kills led to")
    said = parser.parse_args()
    if said.what == "kills":
        kills.run(said.count, said.seed, said.out)
    elif said.what == "systems":
        systems.compare([count for count in said.workers if count > 1])
    elif said.what == "predict":
        compare_predictions(said.engine, said.files, said.rows, max(said.workers))
    elif said.what == "reviews":
        compare_reviews(said.batch, said.batches, said.turns, said.workers)
    else:
        compare_exchange(said.steps)


if __name__ == "__main__":
    main()
