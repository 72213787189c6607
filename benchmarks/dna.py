"""Train the network of the splice junctions here and in plain PyTorch, for docs/dna.md:
`NABI_DATA=... python benchmarks/dna.py`.

One network of the recipe's settings, without the linear model, learns from the last seven of the recipe's ten
folds and is measured on the second and third, here and with `torch.nn.GRU` over packed sequences behind the
same front and convolution. They alternate, on one thread; the times are CPU times, so that other programs on
the machine do not count.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nabi.callbacks import Callback
from nabi.data import encode_dna, read_table
from nabi.files import write_atomically
from nabi.models import DNAClassifier
from nabi.models._dna._front import PLACE_WIDTH, DNAFront
from nabi.models._dna._settings import WORDS, DNASettings
from nabi.models._networks._dropout import drop_features
from nabi.models._sequences._network import TimeConvolution, pool
from nabi.models._sequences._samples import SequenceSamples
from nabi.recipes._results._dna_folds import grouped_folds
from nabi.recipes.splice import FILE, FOLDS, make

PAGE = Path(__file__).resolve().parents[1] / "docs" / "dna.md"
BEGIN, END = "<!-- splice beside torch: written by benchmarks/dna.py -->", "<!-- splice beside torch: end -->"
OWN, PLAIN = "nabi", "`nn.GRU`, packed"
CLASSES = ("EI", "IE", "N")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of each kind (default 3)")
    parser.add_argument("--epochs", type=int, default=10, help="of each training (default 10)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = read_table(Path(os.environ["NABI_DATA"]) / "dna" / FILE, ["class", "sequence"])
    sequences, labels = table["sequence"], table["class"]
    folds = grouped_folds(sequences, FOLDS, 0)
    parts = []
    for chosen in (folds[3:], folds[1:3]):
        rows = [row for fold in chosen for row in fold]
        parts.append(([sequences[row] for row in rows], [labels[row] for row in rows]))
    found: dict[str, list[tuple[float, float]]] = {OWN: [], PLAIN: []}
    for seed in range(given.seeds):
        recipe = make(given.epochs, seed).asked.to_dict()
        settings = DNASettings.from_dict({**recipe, "networks": 1, "with_linear": "no"})
        for name in list(found) if seed % 2 else reversed(list(found)):
            found[name].append((own if name == OWN else plain)(*parts, settings))
            print(f"seed {seed}, {name}: {found[name][-1][0]:.1f} s, {found[name][-1][1]:.2%}", flush=True)
    text = "\n".join(lines(found))
    print(text)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


Part = tuple[list[str], list[str]]


def own(train: Part, test: Part, settings: DNASettings) -> tuple[float, float]:
    """Train the classifier; the simple models beside it are not part of the time."""
    classifier = DNAClassifier(**settings.to_dict())
    begun = [0.0, 0.0]

    class Clock(Callback):
        def on_train_begin(self, logs: object = None) -> None:
            begun[0] = time.process_time()

        def on_train_end(self, logs: object = None) -> None:
            begun[1] = time.process_time()

    classifier.fit(*train, validation_share=0, verbose=0, callbacks=Clock())
    return begun[1] - begun[0], float(classifier.evaluate(*test).accuracy or 0)


class Plain(torch.nn.Module):
    """The same network with torch's recurrent layer."""

    def __init__(self, length: int, settings: DNASettings) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.front = DNAFront(
            size=WORDS[settings.words],
            centred=False,
            places=length,
            hidden=settings.hidden_bases,
            either_strand=False,
        )
        (channels,) = settings.convolutions or ()
        self.convolution = TimeConvolution(self.front.width, channels, settings.kernel, 1, causal=False)
        self.recurrent = torch.nn.GRU(
            channels + PLACE_WIDTH, settings.units, batch_first=True, bidirectional=True
        )
        self.head = torch.nn.Linear(6 * settings.units, len(CLASSES))

    def forward(self, x: Tensor, lengths: Tensor, generator: torch.Generator | None) -> Tensor:
        x, lengths = self.convolution(*self.front(x, lengths, generator))
        x = self.front.place(drop_features(x, self.dropout, generator))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, final = self.recurrent(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        summary = pool(torch.cat([final[0], final[1]], 1), output, lengths)[:, None]
        told: Tensor = self.head(drop_features(summary, self.dropout, generator))[:, 0]
        return told


def plain(train: Part, test: Part, settings: DNASettings) -> tuple[float, float]:
    """Train it as the classifier is trained."""
    assert settings.epochs is not None
    samples, asked = (
        SequenceSamples([encode_dna(one) for one in texts], [CLASSES.index(label) for label in labels])
        for texts, labels in (train, test)
    )
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    network = Plain(len(samples.inputs[0]), settings)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    begun = time.process_time()
    step, of_all = 0, settings.epochs * -(-len(samples) // settings.batch_size)
    for epoch in range(settings.epochs):
        for rows in samples.shuffled(settings.batch_size, [settings.seed, epoch]):
            batch = samples.batch(rows)
            optimizer.param_groups[0]["lr"] = settings.rate(step, of_all)
            logits = network(batch.inputs, batch.lengths, generator)
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(logits, batch.targets).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clipnorm)
            optimizer.step()
            step += 1
    seconds = time.process_time() - begun
    batch = asked.batch(np.arange(len(asked)))
    with torch.no_grad():
        said = network(batch.inputs, batch.lengths, None).argmax(1)
    return seconds, float((said == batch.targets).double().mean())


def lines(found: dict[str, list[tuple[float, float]]]) -> list[str]:
    """Return a table of the trainings."""
    count = len(found[OWN])
    table = [f"| one network, {count} seeds | CPU time of a training, median | accuracy, mean (range) |"]
    table.append("|---|---:|---:|")
    for name, trained in found.items():
        seconds, accuracies = zip(*trained, strict=True)
        spread = f"{min(accuracies):.2%} to {max(accuracies):.2%}"
        table.append(
            f"| {name} | {statistics.median(seconds):.1f} s | {statistics.mean(accuracies):.2%} ({spread}) |"
        )
    return table


if __name__ == "__main__":
    main()
