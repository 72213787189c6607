"""Read altered files of PyTorch, safetensors and torch.export, with limits of time and memory.

`python -m tests.interchange.try_torch_files FOLDER COUNT [KIND ...]` tries so many alterations of each kind.
Prints a line of JSON for each kind, with counts and all faults: an exception that is not a `FileFormatError`,
more than a second, or more than 200 MB.
"""

import io
import json
import random
import signal
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from nabi.interchange import load_torch_weights, read_torch_export, read_torch_stack

from ..altered_files.try_files import too_long
from .damage import tried


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
        return _alter_member(content, chance)
    return _alter_bytes(content, chance)


def _alter_bytes(content: bytes, chance: random.Random) -> bytes:
    altered, kind = bytearray(content), chance.randrange(6)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    place = chance.randrange(len(altered))
    if kind == 1:
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 2:
        altered[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    elif kind == 3:
        altered[:8] = chance.choice((0, 1, len(content), 2**31, 2**63, 2**64 - 1)).to_bytes(8, "little")
    else:
        # What says something lies at the beginning, or at the end.
        first = chance.choice((0, max(len(altered) - 2000, 0)))
        for _ in range(chance.choice((1, 1, 2, 6))):
            altered[chance.randrange(first, min(first + 4000, len(altered)))] ^= 1 << chance.randrange(8)
    return bytes(altered)


_JUNK = (
    "0",
    "-1",
    "1e400",
    "null",
    "true",
    '""',
    '"abc"',
    "[]",
    "{}",
    "9" * 4000,
    "[" * 3000 + "]" * 3000,
    "1.5",
)


def _alter_member(content: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    telling = [i for i, (name, _) in enumerate(members) if name.endswith((".json", ".pkl"))]
    chosen = chance.choice(telling) if chance.random() < 0.8 else chance.randrange(len(members))
    name, old = members[chosen]
    kind = chance.randrange(5)
    if kind == 0:
        del members[chosen]
    elif name.endswith(".json") and kind < 4:
        members[chosen] = name, _alter_json(old, chance)
    elif kind == 1:
        members[chosen] = name + "x", old
    elif old:
        members[chosen] = name, _alter_bytes(old, chance)
    stored = io.BytesIO()
    with zipfile.ZipFile(
        stored, "w", chance.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,))
    ) as archive:
        for one, data in members:
            archive.writestr(one, data)
    return stored.getvalue()


def _alter_json(content: bytes, chance: random.Random) -> bytes:
    """Replace one value by another of the file, or by junk, or leave it out."""
    data = json.loads(content)
    places: list[tuple[Any, Any]] = []
    level: list[Any] = [data]
    while level:
        value = level.pop()
        keys = (
            list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
        )
        for key in keys:
            places.append((value, key))
            level.append(value[key])
    places = [place for place in places if "metadata" not in str(place[1])] or places
    for _ in range(chance.choice((1, 1, 3))):
        if not places:
            break
        holder, key = chance.choice(places)
        if isinstance(holder, list) and key >= len(holder):
            continue
        kind = chance.randrange(3)
        if kind == 0 and (key in holder if isinstance(holder, dict) else True):
            del holder[key]
        elif kind == 1:
            other, place = chance.choice(places)
            known = place in other if isinstance(other, dict) else place < len(other)
            holder[key] = json.loads(json.dumps(other[place])) if known else None
        else:
            holder[key] = "@junk@"
    return json.dumps(data).replace('"@junk@"', chance.choice(_JUNK)).encode()


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
