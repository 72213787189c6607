"""What do weights in fewer bits cost in accuracy? Film reviews and spoken digits.

    NABI_DATA=... python benchmarks/small_weights_accuracy.py reviews
    NABI_DATA=... python benchmarks/small_weights_accuracy.py digits

`reviews` trains Embedding(64), GRU(64) and Dense(1) for two epochs on 12,000 film reviews of up to 150 of the
10,000 most frequent words, and reads the 25,000 test reviews. `digits` trains a `nabi.SoundClassifier` with
its own settings twice: on recordings of known speakers, and without the speaker george, who is then read.
Each model is quantized to every kind and measured on the same test data; the change of the outputs is that of
the probabilities. No setting is chosen by the results.
"""

import argparse
import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nabi import layers, models
from nabi.datasets import imdb
from nabi.models import SoundClassifier
from nabi.recipes._run._spoken_digits import read_parts
from nabi.small_weights import KINDS
from nabi.utils import pad_sequences, set_random_seed

WORDS, LENGTH, REVIEWS = 10_000, 150, 12_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["reviews", "digits"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="of digits (default: those of a classifier)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| test | weights | size of the weights | change of the outputs (rms) | accuracy | change |")
    print("|---|---|---:|---:|---:|---:|")
    if given.what == "reviews":
        reviews(given.seed)
    else:
        digits(given.seed, given.epochs)


def reviews(seed: int) -> None:
    """Train on film reviews and print what each kind gives."""
    set_random_seed(seed)
    (x, y), (test_x, test_y) = imdb.load_data(num_words=WORDS)
    x, test_x = (pad_sequences(one, maxlen=LENGTH) for one in (x[:REVIEWS], test_x))
    stack = [
        layers.Embedding(WORDS, 64, mask_zero=True),
        layers.GRU(64),
        layers.Dense(1, activation="sigmoid"),
    ]
    model = models.Sequential(stack)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, np.asarray(y[:REVIEWS]), epochs=2, batch_size=64, verbose=0)
    wanted = np.asarray(test_y) > 0.5

    def accuracy(model: Any) -> float:
        return float(((model.predict(test_x, batch_size=256, verbose=0)[:, 0] > 0.5) == wanted).mean())

    def outputs(model: Any) -> Any:
        return model.predict(test_x[:2000], verbose=0)

    compare("25,000 film reviews", model, accuracy, outputs)


def digits(seed: int, epochs: int | None) -> None:
    """Train on spoken digits, with and without the speakers of the test, and print what each kind gives."""
    for speakers in ("known", "unknown"):
        part = read_parts("digits", None, speakers)[0]
        model = SoundClassifier(seed=seed, **({} if epochs is None else {"epochs": epochs}))
        model.fit(part.train, validation_share=0, verbose=0)
        accuracy = functools.partial(_of_digits, part=part)
        outputs = functools.partial(_heard, part=part)
        compare(f"{len(part.test)} digits of {speakers} speakers", model, accuracy, outputs)


def _of_digits(model: Any, part: Any) -> float:
    return float(model.evaluate(part.test).accuracy)


def _heard(model: Any, part: Any) -> Any:
    return np.stack(model.probabilities(part.test.samples, rate=part.test.rate))


def compare(name: str, model: Any, accuracy: Callable[[Any], float], outputs: Callable[[Any], Any]) -> None:
    """Print the accuracy of a model and of its quantized copies."""
    before, wanted = accuracy(model), outputs(model)
    print(f"| {name} | float32 | 100 % | | {before:.2%} | |", flush=True)
    for kind in KINDS:
        small = copy.deepcopy(model)
        report = small.quantize(kind)
        found = accuracy(small)
        error = np.sqrt(np.mean(np.square(outputs(small) - wanted)) / np.mean(np.square(wanted)))
        print(
            f"| {name} | {kind} | {report.share:.1%} | {error:.2%} | {found:.2%} | "
            f"{100 * (found - before):+.3f} points |",
            flush=True,
        )


if __name__ == "__main__":
    main()
