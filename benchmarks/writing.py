"""How fast a language model writes, beside a plain loop in PyTorch over `torch.nn.LSTM` of the same sizes.

    python -m benchmarks.writing

Both draw each next character with the same temperature, from untrained weights: what is written costs the
same. The two take turns, a piece of the text each; the fastest piece of either counts, and the mean over all
pieces stands beside it in brackets.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice

import torch

from nabi import cells
from nabi.decoding import Sampling, stream
from nabi.models._language_network import LanguageNetwork
from nabi.models._language_settings import LanguageSettings
from nabi.models._language_steps import LanguageSteps

CODES, TEMPERATURE, PIECE = 69, 0.8, 500
SIZES = ((128, 1, 64), (256, 1, 128), (512, 1, 128), (512, 2, 128))


def nabi_loop(units: int, layers: int, embedding: int) -> Iterator[int]:
    settings = LanguageSettings(units=units, layers=layers, embedding_size=embedding)
    network = LanguageNetwork(CODES, settings, cells.LSTM(units))
    steps = LanguageSteps(network, [0, 1, 2, 3])
    for written in stream(steps, network.start(1), [1], Sampling(TEMPERATURE)):
        yield int(written.codes[0])


def torch_loop(units: int, layers: int, embedding: int) -> Iterator[int]:
    table = torch.nn.Embedding(CODES, embedding)
    lstm = torch.nn.LSTM(embedding, units, layers, batch_first=True)
    readout = torch.nn.Linear(units, CODES)
    code, state = torch.ones(1, 1, dtype=torch.long), None
    while True:
        with torch.inference_mode():
            output, state = lstm(table(code), state)
            probabilities = torch.softmax(readout(output[:, -1]) / TEMPERATURE, -1)
            code = torch.multinomial(probabilities, 1)
        yield int(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--characters", type=int, default=10_000, help="that each writes (10000)")
    parser.add_argument("--threads", type=int, default=None, help="of torch and nabi; as many as torch takes")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    print(f"{torch.get_num_threads()} threads; characters a second, the fastest {PIECE} and all")
    for sizes in SIZES:
        loops = {"nabi": nabi_loop(*sizes), "torch": torch_loop(*sizes)}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for loop in loops.values():
            next(loop)
        for _ in range(max(1, arguments.characters // PIECE)):
            for name, loop in loops.items():
                begun = time.perf_counter()
                for _ in islice(loop, PIECE):
                    pass
                seconds[name].append(time.perf_counter() - begun)
        best = {name: PIECE / min(times) for name, times in seconds.items()}
        mean = {name: PIECE * len(times) / sum(times) for name, times in seconds.items()}
        units, layers, embedding = sizes
        print(
            f"LSTM({units}) × {layers}, embedding {embedding}: "
            + ", ".join(f"{name} {best[name]:,.0f} ({mean[name]:,.0f})" for name in loops)
            + f"; {best['nabi'] / best['torch']:.1f} times ({mean['nabi'] / mean['torch']:.1f})"
        )


if __name__ == "__main__":
    main()
