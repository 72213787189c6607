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
from functools import partial
from pathlib import Path

import h5py

from nabi.interchange import read_keras, read_keras_weights

from ...altered_files.limits import too_long, used
from ..damage import damaged, damaged_archive, damaged_json, tried

# More than this many bytes of address space cannot be taken at all.
_ADDRESSES = 800 << 20


def altered(content: bytes, seed: int) -> bytes:
    """The file with one damage, always the same for a seed: of its bytes, or of what it says."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return damaged(content, chance)
    if content.startswith(b"PK"):
        return damaged_archive(content, chance, _member)
    return _said_in_hdf5(content, chance)


def _member(name: str, content: bytes, chance: random.Random) -> bytes:
    return (damaged if name.endswith(".h5") else damaged_json)(content, chance)


def _said_in_hdf5(content: bytes, chance: random.Random) -> bytes:
    stored = io.BytesIO(content)
    with h5py.File(stored, "r+") as file:
        names = [name for name in ("model_config", "training_config") if name in file.attrs]
        if not names:
            return damaged(content, chance)
        name = chance.choice(names)
        text = file.attrs[name]
        said = damaged_json(text.encode() if isinstance(text, str) else text, chance)
        try:
            file.attrs[name] = said.decode()
        except (ValueError, RuntimeError):
            file.attrs[name] = b"?"
    return stored.getvalue()


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
            path.write_bytes(altered(good.read_bytes(), seed))
            outcome, why = tried(read, path)
            counts[outcome] += 1
            if outcome == "fault":
                print(json.dumps({"file": name, "seed": seed, "why": why}), flush=True)
        print(json.dumps({"file": name, "counts": counts}), flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(*sys.argv[1:])
