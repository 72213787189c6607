"""Load altered files in a process of its own, which has limits of time and memory.

`python -m tests.altered_files.try_files FOLDER FIRST LAST [KIND ...]` tries the alterations of these numbers,
of all kinds of files unless some are named; the file in work lies in the folder, with its kind and number.
Prints a line of JSON for each fault: an exception that is not nabi's, more time or memory than is allowed.
"""

import json
import resource
import signal
import sys
import warnings
from pathlib import Path

from . import altered_samples
from .alterations import alter
from .limits import MEMORY, too_long, tried, used


def try_kind(kind: str, folder: Path, first: int, last: int) -> None:
    """Try the files of one kind."""
    sample, path, good = altered_samples.SAMPLES[kind], folder / "altered.nabi", folder / f"{kind}.nabi"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if not good.exists():
        altered_samples.write(kind, good)
    content = good.read_bytes()
    for _ in range(2):  # the first time compiles what is needed
        path.write_bytes(content)
        outcome, why = tried(sample.load, path, sample.use)
    if outcome != "works":
        print(json.dumps({"kind": kind, "why": f"the good file: {outcome} {why}"}), flush=True)
        return
    resource.setrlimit(resource.RLIMIT_AS, (used()[0] + 4 * MEMORY, resource.RLIM_INFINITY))
    counts = {"works": 0, "refused": 0, "fault": 0}
    for seed in range(first, last):
        (folder / "in work").write_text(f"{kind}, {seed}")
        path.write_bytes(alter(content, seed))
        outcome, why = tried(sample.load, path, sample.use)
        counts[outcome] += 1
        if outcome == "fault":
            print(json.dumps({"kind": kind, "seed": seed, "why": why}), flush=True)
    print(json.dumps({"kind": kind, "counts": counts}), flush=True)


def main(folder: str, first: str, last: str, *kinds: str) -> None:
    """Try files of several kinds."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    for kind in kinds or altered_samples.SAMPLES:
        try_kind(kind, Path(folder), int(first), int(last))


if __name__ == "__main__":
    main(*sys.argv[1:])
