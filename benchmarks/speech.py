"""Spoken digits: training beside plain PyTorch, the time of a frame in a stream, and false alarms an hour.

    NABI_DATA=... python benchmarks/speech.py torch --epochs 5
    NABI_DATA=... python benchmarks/speech.py stream MODEL.nabi --minutes 10
    NABI_DATA=... python benchmarks/speech.py voices --speakers lucas,nicolas --epochs 30 --set masks=1

`torch` trains the network of `nabi.SoundClassifier` on the official split, and the same network with
`torch.nn.GRU` on packed sequences; features, changes in training, batches and the learning rate are the same.
`stream` joins recordings of the test set with pauses and noise, and listens to them in chunks of 10 ms with a
model of `nabi run digits` or `nabi run digit-strings`; then to noise alone. Processor time is measured, on
one thread. `voices` leaves some speakers out and measures words or strings of theirs: for choosing settings,
so that a speaker who is left out here was seen.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nabi.files import read_kind
from nabi.models import SoundClassifier, SpeechRecognizer
from nabi.models._sequences._network import SequenceNetwork, pool
from nabi.recipes._run._spoken_digits import read_parts

CHUNK = 80  # samples: 10 ms
NOISES = (0.001, 0.01, 0.1)  # standard deviations, where 1 is as loud as samples can be
LATE = 0.6  # seconds after the end of a word in which its label still counts


class PlainNetwork(SequenceNetwork):
    """The same network, with torch's own recurrent layer on packed sequences."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        settings = arguments[2]
        self.gru = nn.GRU(settings.convolutions[-1], settings.units, batch_first=True)
        self.recurrent = nn.ModuleList()

    def forward(self, x, lengths, generator=None):
        """Return logits of a class."""
        x, lengths = self.front(x, lengths, generator)
        for convolution in self.convolutions:
            x, lengths = convolution(x, lengths, generator is not None)
        training = generator is not None
        x = nn.functional.dropout(x, self.dropout, training)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = self.gru(packed)
        x, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
        return self.head(nn.functional.dropout(pool(last[0], x, lengths), self.dropout, training)), lengths


class PlainClassifier(SoundClassifier):
    """A classifier with the plain network.

    Raises:
        ArgumentError: for a wrong setting.
    """

    def _make_network(self):
        networks = super()._make_network()
        member = networks.members[0]
        networks.members[0] = PlainNetwork(
            member.front, self.cell, self.settings, len(self.labels), self._answer
        )
        return networks


def compare(epochs: int, seed: int) -> None:
    """Print training time and accuracy of both."""
    part = read_parts("digits", None, "known")[0]
    for name, kind in (("nabi", SoundClassifier), ("torch.nn.GRU, packed", PlainClassifier)):
        model = kind(epochs=epochs, seed=seed)
        began = time.process_time()
        model.fit(part.train, validation_share=0, verbose=0)
        spent = time.process_time() - began
        accuracy = model.evaluate(part.test).accuracy
        print(
            f"{name:22} {spent / epochs:6.2f} s an epoch, accuracy after {epochs}: {accuracy:.1%}", flush=True
        )


def choose(speakers: list[str], epochs: int, seed: int, said: list[str], words: bool) -> None:
    """Print the error of single words or strings of speakers who are left out of training together."""
    part = read_parts("digits", None, "unknown")[0]
    samples = [*part.train.samples, *part.test.samples]
    labels, groups = (
        [*getattr(part.train, what), *getattr(part.test, what)] for what in ("labels", "groups")
    )

    def those(rows: list[int]) -> dict:
        found = {"recordings": [samples[row] for row in rows], "rate": part.train.rate}
        return found | {"labels" if words else "texts": [labels[row] for row in rows]}

    settings = {name: float(value) if "." in value else int(value) for name, value in map(_pair, said)}
    kind, settings = (SoundClassifier, settings) if words else (SpeechRecognizer, {"joined": 7, **settings})
    model = kind(epochs=epochs, seed=seed, **settings)
    rows = [row for row, group in enumerate(groups) if group not in speakers]
    belongs = [groups[row] for row in rows]
    model.fit(**those(rows), groups=belongs, validation_share=0, verbose=0)
    errors = []
    for speaker in speakers:
        rows = [row for row, group in enumerate(groups) if group == speaker]
        if words:
            errors.append(1 - model.evaluate(**those(rows)).accuracy)
        else:
            errors.append(model.evaluate_joined(**those(rows)).error_rate)
        print(f"{speaker:10} {errors[-1]:.1%}", flush=True)
    print(f"{'mean':10} {np.mean(errors):.1%}")


def _pair(text: str) -> list[str]:
    return text.split("=", 1)


def listen(path: Path, minutes: float, seed: int, threshold: float) -> None:
    """Print the time of a frame, detections, and false alarms an hour."""
    kind = read_kind(path, ("sound classifier", "speech recognizer")).kind
    model = (SoundClassifier if kind == "sound classifier" else SpeechRecognizer).load(path)
    part = read_parts("digits", None, "known")[0].test
    random = np.random.default_rng(seed)
    parts, spoken, length = [], [], 0
    while length < minutes * 60 * part.rate:
        row = int(random.integers(len(part)))
        pause = np.zeros(int(part.rate * random.uniform(0.4, 1.5)), np.float32)
        parts += [part.samples[row], pause]
        spoken.append((length / part.rate, (length + len(part.samples[row])) / part.rate, part.labels[row]))
        length += len(part.samples[row]) + len(pause)
    sound = np.concatenate(parts)
    sound += 0.001 * random.standard_normal(len(sound), dtype=np.float32)
    said = {"threshold": threshold} if kind == "sound classifier" else {}
    heard, spent = _heard(model, sound, said)
    hits, alarms, used = 0, 0, set()
    for one in heard:
        near = [
            number
            for number, (begin, end, label) in enumerate(spoken)
            if number not in used and label == one.label and begin <= one.seconds <= end + LATE
        ]
        if near:
            used.add(near[0])
            hits += 1
        else:
            alarms += 1
    hours = len(sound) / part.rate / 3600
    print(f"{hours * 60:.1f} minutes with {len(spoken)} digits: {hits / len(spoken):.1%} detected")
    print(f"false labels: {alarms / hours:.0f} an hour of speech")
    print(f"{spent:.3f} ms of processor time per 10 ms, in chunks of 10 ms")
    noise = random.standard_normal(len(sound), dtype=np.float32)
    for level in NOISES:
        alarms = len(_heard(model, np.float32(level) * noise, said)[0])
        print(f"false labels: {alarms / hours:.0f} an hour of noise of {level} without speech")


def _heard(model, sound, said):
    listener = model.stream(**said)
    listener.push(sound[:4000])
    listener = model.stream(**said)
    heard, began = [], time.process_time()
    for first in range(0, len(sound), CHUNK):
        heard += listener.push(sound[first : first + CHUNK])
    spent = (time.process_time() - began) / (len(sound) / CHUNK) * 1000
    return heard + listener.finish(), spent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["torch", "stream", "voices"])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threshold", type=float, default=0.5, help="of a classifier's stream")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speakers", default="lucas,nicolas", help="those that `voices` leaves out")
    parser.add_argument("--words", action="store_true", help="single words in `voices` in place of strings")
    parser.add_argument("--set", nargs="*", default=[], help="settings of `voices`, as masks=1")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "torch":
        compare(asked.epochs, asked.seed)
    elif asked.what == "voices":
        choose(asked.speakers.split(","), asked.epochs, asked.seed, asked.set, asked.words)
    else:
        listen(asked.model, asked.minutes, asked.seed, asked.threshold)
