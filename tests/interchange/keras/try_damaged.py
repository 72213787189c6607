"""Read damaged Keras files in a process of its own, which has limits of time and memory.

`python -m tests.interchange.keras.try_damaged FOLDER FIRST LAST FILE ...` tries the damages of these numbers
on each of the files. Prints a line of JSON for each file, and one for each fault: an exception that is not
`FileFormatError`, more than a second, more than 200 MiB.
"""

import io
import json
import random
import resource
import signal
import sys
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from nabi.interchange import read_keras, read_keras_weights

from ...altered_files.alterations import _JUNK, _places
from ...altered_files.try_files import too_long, used
from ..damage import tried

# More than this many bytes of address space cannot be taken at all.
_ADDRESSES = 800 << 20


def damaged(content: bytes, seed: int) -> bytes:
    """The file with one damage, always the same for a seed: of its bytes, or of what it says."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return _bytes(content, chance)
    if not content.startswith(b"PK"):
        return _said_in_hdf5(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    members[name] = _bytes(members[name], chance) if name.endswith(".h5") else _said(members[name], chance)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for one, inside in members.items():
            archive.writestr(one, inside)
    return packed.getvalue()


def _bytes(content: bytes, chance: random.Random) -> bytes:
    altered = bytearray(content)
    kind = chance.randrange(6)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        place = chance.randrange(len(altered))
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 2:
        place = chance.randrange(len(altered) - 8)
        altered[place : place + 8] = chance.choice((b"\xff" * 8, b"\0" * 8, b"\0\0\0\0\xff\0\0\0"))
    else:
        for _ in range(chance.choice((1, 1, 4, 16))):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def _said(text: bytes, chance: random.Random) -> bytes:
    """JSON with one value replaced by another, from the same text or from elsewhere."""
    value, same = json.loads(text), json.loads(text)
    path = chance.choice(_places(value))
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    kind = chance.randrange(4)
    if kind == 0:
        del holder[path[-1]]
    elif kind == 1:
        for step in chance.choice(_places(same)):
            same = same[step]
        holder[path[-1]] = same
    elif kind == 2 and isinstance(holder[path[-1]], int | float):
        holder[path[-1]] = holder[path[-1]] * chance.choice((-1, 2, 1000, 10**9)) + 1
    else:
        holder[path[-1]] = "\u0001here"
        return json.dumps(value).replace('"\\u0001here"', chance.choice(_JUNK), 1).encode()
    return json.dumps(value).encode()


def _said_in_hdf5(content: bytes, chance: random.Random) -> bytes:
    altered = io.BytesIO(content)
    with h5py.File(altered, "r+") as file:
        names = [name for name in ("model_config", "training_config") if name in file.attrs]
        if not names:
            return _bytes(content, chance)
        name = chance.choice(names)
        text = file.attrs[name]
        said = _said(text.encode() if isinstance(text, str) else text, chance)
        try:
            file.attrs[name] = said.decode()
        except (ValueError, RuntimeError):
            file.attrs[name] = b"?"
    return altered.getvalue()


def main(folder: str, first: str, last: str, *files: str) -> None:
    """Try damages of several files."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    for name in files:
        good, path = Path(__file__).parent / "files" / name, Path(folder) / ("damaged" + Path(name).suffix)
        model = read_keras(good.parent / (name.partition(".")[0] + ".keras")) if "weights" in name else None
        path.write_bytes(good.read_bytes())
        read = read_keras if model is None else partial(read_keras_weights, model)
        assert [tried(read, path)[0] for _ in range(2)][1] == "works"
        resource.setrlimit(resource.RLIMIT_AS, (used()[0] + _ADDRESSES, resource.RLIM_INFINITY))
        counts = {"works": 0, "refused": 0, "fault": 0}
        for seed in range(int(first), int(last)):
            (Path(folder) / "in work").write_text(f"{name}, {seed}")
            path.write_bytes(damaged(good.read_bytes(), seed))
            outcome, why = tried(read, path)
            counts[outcome] += 1
            if outcome == "fault":
                print(json.dumps({"file": name, "seed": seed, "why": why}), flush=True)
        print(json.dumps({"file": name, "counts": counts}), flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(*sys.argv[1:])
