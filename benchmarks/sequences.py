"""Train the network of the vowels here and in plain PyTorch, for docs/series-classification.md:
`NABI_DATA=... python benchmarks/sequences.py`.

One network of the recipe's settings, without the linear model, reads the 270 utterances in each of several
trainings, here and as `torch.nn.GRU` over packed sequences with the same front, summaries, loss, batches and
optimizer. They alternate, on one thread; the times are CPU times, so that other programs do not count. Then a
one-directional GRU of 128 units reads a long series frame by frame through `stream()`.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nabi.callbacks import Callback
from nabi.data import Labels, TsFile, read_ts
from nabi.files import write_atomically
from nabi.models import SeriesClassifier
from nabi.models._sequences._network import pool
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._series._settings import SeriesSettings
from nabi.recipes.vowels import TEST, TRAIN, make_classifier

PAGE = Path(__file__).resolve().parents[1] / "docs" / "series-classification.md"
BEGIN = "<!-- vowels beside torch: written by benchmarks/sequences.py -->"
END = "<!-- vowels beside torch: end -->"
OWN, PLAIN = "nabi", "`nn.GRU`, packed"
FRAMES, CHANNELS = 2_000, 40
Trained = tuple[float, float]  # seconds of CPU time, accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of trainings of each kind (default 5)")
    parser.add_argument("--epochs", type=int, default=60, help="of each training (default 60)")
    parser.add_argument(
        "--write", action=argparse.BooleanOptionalAction, default=True, help="write the documentation page"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ["NABI_DATA"]) / "series"
    train, test = read_ts(folder / TRAIN), read_ts(folder / TEST)
    kinds: dict[str, Callable[[TsFile, TsFile, SeriesSettings], Trained]] = {OWN: own, PLAIN: plain}
    found: dict[str, list[Trained]] = {name: [] for name in kinds}
    for seed in range(given.seeds):
        recipe = make_classifier(given.epochs, seed).asked
        settings = replace(recipe, networks=1, convolutions=(), with_linear="no")
        # Each is the first as often as the second.
        for name in list(kinds) if seed % 2 else reversed(list(kinds)):
            found[name].append(kinds[name](train, test, settings))
            print(f"seed {seed}, {name}: {found[name][-1][0]:.1f} s, {found[name][-1][1]:.2%}", flush=True)
    table = "\n".join([*lines(found), "", streaming()])
    print(table)
    if given.write:
        write(table)


def own(train: TsFile, test: TsFile, settings: SeriesSettings) -> Trained:
    """Train the classifier; the baselines beside it are not part of the time."""
    classifier = SeriesClassifier(**{**settings.to_dict(), "cell": settings.cell})
    begun = [0.0, 0.0]

    class Clock(Callback):
        def on_train_begin(self, logs: object = None) -> None:
            begun[0] = time.process_time()

        def on_train_end(self, logs: object = None) -> None:
            begun[1] = time.process_time()

    report = classifier.fit(train.path, test=test.path, validation_share=0, verbose=0, callbacks=Clock())
    return begun[1] - begun[0], float(report.accuracy or 0)


class Plain(torch.nn.Module):
    """The same network of torch's layers."""

    def __init__(self, channels: int, classes: int, settings: SeriesSettings) -> None:
        super().__init__()
        self.settings = settings
        self.recurrent = torch.nn.GRU(channels, settings.units, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(6 * settings.units, classes)
        self.dropout = torch.nn.Dropout(settings.dropout)
        self.of_steps = torch.nn.Dropout1d(settings.dropout)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = (x - self.mean) / self.deviation
        if self.training:
            x = x + self.settings.noise * torch.randn_like(x)
        # The same features are left out at all steps.
        x = self.of_steps(x.transpose(1, 2)).transpose(1, 2)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, final = self.recurrent(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        summary: Tensor = self.head(self.dropout(pool(torch.cat([final[0], final[1]], 1), output, lengths)))
        return summary


def plain(train: TsFile, test: TsFile, settings: SeriesSettings) -> Trained:
    """Train it as the classifier is trained."""
    assert settings.epochs is not None
    labels = Labels.learn(train.labels or ())
    samples, asked = (
        SequenceSamples(
            [one.astype(np.float32) for one in file.series], labels.encode(file.labels or ()).tolist()
        )
        for file in (train, test)
    )
    torch.manual_seed(settings.seed)
    network = Plain(samples.inputs[0].shape[1], len(labels), settings)
    steps = torch.from_numpy(np.concatenate(samples.inputs))
    network.mean, network.deviation = steps.mean(0), steps.std(0)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    begun = time.process_time()
    step, of_all = 0, settings.epochs * -(-len(samples) // settings.batch_size)
    for epoch in range(settings.epochs):
        for rows in samples.shuffled(settings.batch_size, [settings.seed, epoch]):
            batch = samples.batch(rows)
            optimizer.param_groups[0]["lr"] = settings.rate(step, of_all)
            loss = torch.nn.functional.cross_entropy(network(batch.inputs, batch.lengths), batch.targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clipnorm)
            optimizer.step()
            step += 1
    seconds = time.process_time() - begun
    network.eval()
    batch = asked.batch(range(len(asked)))
    with torch.no_grad():
        said = network(batch.inputs, batch.lengths).argmax(1)
    return seconds, float((said == batch.targets).double().mean())


def streaming() -> str:
    """Return what a frame costs in a stream of chunks of one frame and of ten."""
    random = np.random.default_rng(0)
    model = SeriesClassifier(units=128, bidirectional=False, label_per_step=True, epochs=1)
    series = [random.normal(size=(20, CHANNELS)).astype(np.float32) for _ in range(10)]
    model.fit(series, [["a", "b"] * 10 for _ in series], validation_share=0, verbose=0)
    long = random.normal(size=(FRAMES, CHANNELS)).astype(np.float32)
    told = []
    for size in (1, 10):
        times = []
        for _ in range(5):
            stream = model.stream()
            begun = time.process_time()
            for first in range(0, FRAMES, size):
                stream.push(long[first : first + size])
            times.append((time.process_time() - begun) / FRAMES)
        told.append(f"{min(times) * 1e6:.0f} µs a frame in chunks of {size}")
    return (
        f"Streaming, GRU of 128 units on {CHANNELS} channels with a label for every step, through Python on "
        f"one thread, the best of five runs: {', '.join(told)}."
    )


def lines(found: dict[str, list[Trained]]) -> list[str]:
    """Return a table of the trainings."""
    count = len(next(iter(found.values())))
    table = [
        f"| one network, {count} seeds | CPU time of a training, median | accuracy, mean (range) |",
        "|---|---:|---:|",
    ]
    for name, trained in found.items():
        seconds, accuracies = zip(*trained, strict=True)
        spread = f"{min(accuracies):.2%} to {max(accuracies):.2%}"
        table.append(
            f"| {name} | {statistics.median(seconds):.1f} s | {statistics.mean(accuracies):.2%} ({spread}) |"
        )
    return table


def write(table: str) -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()
