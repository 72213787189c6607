"""The writing speed of a language model, compared with a PyTorch loop over `torch.nn.LSTM` of the same size.

Both sample each character with the same temperature, from untrained weights, which does not affect the cost.
They take turns, one piece of text each; the figures are medians over the pieces.
"""

import statistics
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from nabi import cells
from nabi.decoding import Sampling, stream
from nabi.explain import peak_memory
from nabi.models._language._network import LanguageNetwork, LanguageSteps
from nabi.models._language._settings import LanguageSettings

__all__ = ["measure"]

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


def measure(characters: int) -> dict[str, Any]:
    """Write characters with both, for each size; return the speeds and the growth of memory."""
    rows = []
    for sizes in SIZES:
        loops = {"nabi": nabi_loop(*sizes), "torch": torch_loop(*sizes)}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for loop in loops.values():
            next(loop)
        held = 0
        for piece in range(max(2, characters // PIECE)):
            for name, loop in loops.items():
                begun = time.perf_counter()
                for _ in islice(loop, PIECE):
                    pass
                seconds[name].append(time.perf_counter() - begun)
            if piece == 0:
                held = peak_memory()
        units, layers, embedding = sizes
        speed = {name: PIECE / statistics.median(times) for name, times in seconds.items()}
        rows.append(
            {
                "units": units,
                "layers": layers,
                "embedding": embedding,
                "nabi": speed["nabi"],
                "torch": speed["torch"],
                "ratio": speed["nabi"] / speed["torch"],
                "grown_kib": (peak_memory() - held) // 1024,
            }
        )
        print(
            f"LSTM({units}) × {layers}: nabi {speed['nabi']:,.0f}, torch {speed['torch']:,.0f} characters a "
            f"second, {rows[-1]['ratio']:.1f} times; memory grew by {rows[-1]['grown_kib']:,} KiB"
        )
    return {"threads": torch.get_num_threads(), "characters": characters, "rows": rows}
