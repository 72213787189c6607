"""Read altered files of PyTorch, safetensors and torch.export, with limits of time and memory.

`python -m tests.interchange.pytorch.try_files FOLDER COUNT [KIND ...]` tries so many of each kind. Prints a
line of JSON for each kind, with counts and all faults: an exception that is not a `FileFormatError`, more
than a second, or more than 200 MB.
"""

import io
import json
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from nabi.interchange import load_torch_weights, read_torch_export, read_torch_stack

from ...altered_files.limits import too_long
from ..damage import damaged, damaged_archive, damaged_json, tried


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 3), nn.GRU(3, 4, bidirectional=True, batch_first=True))


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.gru, self.out = nn.Embedding(5, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.softmax(self.out(self.gru(self.words(words))[0][:, -1]), -1)
        return found


def _bytes(write: Callable[[Any], Any]) -> bytes:
    stored = io.BytesIO()
    write(stored)
    return stored.getvalue()


def _checkpoint(**options: Any) -> bytes:
    model = _model()
    content = {"epoch": 3, "state_dict": model.state_dict(), "rates": [0.1, 0.2]}
    return _bytes(lambda file: torch.save(content, file, **options))


def _program() -> bytes:
    torch.manual_seed(0)
    program = torch.export.export(_Net().eval(), (torch.zeros(2, 4, dtype=torch.int64),))
    return _bytes(lambda file: torch.export.save(program, file))


def _read_weights(path: Path) -> None:
    load_torch_weights(_model(), path, strict=False)
    read_torch_stack(path, "1")


# Bytes at either end of a file where it says something.
_TELLING = 2000

KINDS: dict[str, tuple[Callable[[], bytes], Callable[[Path], Any]]] = {
    "pt": (_checkpoint, _read_weights),
    "pt before 1.6": (lambda: _checkpoint(_use_new_zipfile_serialization=False), _read_weights),
    "safetensors": (lambda: save(_model().state_dict()), _read_weights),
    "pt2": (_program, read_torch_export),
}


def alter(content: bytes, seed: int) -> bytes:
    """Return a file with an alteration or a few, always the same for a seed.

    Some fall on members of an archive, which is then put together again, so that they get past its table.
    """
    chance = random.Random(seed)
    if content.startswith(b"PK") and chance.random() < 0.6:
        return damaged_archive(content, chance, _alter_member)
    return damaged(content, chance, _TELLING)


def _alter_member(name: str, content: bytes, chance: random.Random) -> bytes:
    if name.endswith(".json") and chance.random() < 0.75:
        return damaged_json(content, chance)
    return damaged(content, chance, _TELLING)


def main(folder: str, count: str, *kinds: str) -> None:
    """Try files of several kinds."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    for kind in kinds or KINDS:
        write, read = KINDS[kind]
        content, path = write(), Path(folder) / f"altered.{kind.partition(' ')[0]}"
        for _ in range(2):  # the first time loads what is needed
            path.write_bytes(content)
            good = tried(read, path)
        counts, faults, slowest = {"works": 0, "refused": 0, "fault": 0}, [], 0.0
        for seed in range(int(count)):
            path.write_bytes(alter(content, seed))
            begun = time.process_time()
            outcome, why = tried(read, path)
            slowest = max(slowest, time.process_time() - begun)
            counts[outcome] += 1
            if outcome == "fault":
                faults.append(f"{seed}: {why}")
        told = {"kind": kind, "good": good, "counts": counts, "faults": faults, "slowest": round(slowest, 3)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
