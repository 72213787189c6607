"""Load altered files in a process of its own, which has limits of time and memory.

`python -m tests.altered_files.try_files FOLDER FIRST LAST [KIND ...]` tries the alterations of these numbers,
of all kinds of files unless some are named; the file in work lies in the folder, with its kind and number.
Prints a line of JSON for each fault: an exception that is not nabi's, more time or memory than is allowed.
"""

import contextlib
import json
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from nabi.errors import NabiError

from . import altered_samples
from .alterations import alter

_SECONDS, _MEMORY = 1.0, 200 << 20
_HANGS = 20


def peak() -> int:
    """The most memory that was ever in use, in bytes, since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


def forget_peak() -> None:
    """Count the most memory from here on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def used() -> tuple[int, int]:
    """Address space and memory in use, in bytes."""
    pages = [int(one) for one in Path("/proc/self/statm").read_text().split()[:2]]
    return pages[0] * resource.getpagesize(), pages[1] * resource.getpagesize()


def too_long(*_: Any) -> None:
    """Break off what hangs."""
    raise TimeoutError("it hangs")


def tried(sample: altered_samples.Sample, path: Path) -> tuple[str, str]:
    """What became of a file: "refused", "works", or "fault" and why."""
    forget_peak()
    before, begun, stage = used()[1], time.process_time(), "load"
    outcome = "works"
    signal.alarm(_HANGS)
    try:
        loaded = sample.load(path)
        spent = time.process_time() - begun
        stage = "use"
        sample.use(loaded)
    except NabiError as problem:
        spent = time.process_time() - begun
        outcome = "refused"
        if not str(problem) or len(str(problem)) > 5000:
            return "fault", f"a message of {len(str(problem))} characters"
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return "fault", f"{stage}: {type(problem).__name__} at {where}: {str(problem)[:200]}"
    finally:
        signal.alarm(0)
    if stage == "load" and spent > _SECONDS:
        return "fault", f"{spent:.1f} seconds"
    if peak() - before > _MEMORY:
        return "fault", f"{(peak() - before) >> 20} MiB"
    return outcome, ""


def try_kind(kind: str, folder: Path, first: int, last: int) -> None:
    """Try the files of one kind."""
    sample, path, good = altered_samples.SAMPLES[kind], folder / "altered.nabi", folder / f"{kind}.nabi"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if not good.exists():
        altered_samples.write(kind, good)
    content = good.read_bytes()
    for _ in range(2):  # the first time compiles what is needed
        path.write_bytes(content)
        outcome, why = tried(sample, path)
    if outcome != "works":
        print(json.dumps({"kind": kind, "why": f"the good file: {outcome} {why}"}), flush=True)
        return
    resource.setrlimit(resource.RLIMIT_AS, (used()[0] + 4 * _MEMORY, resource.RLIM_INFINITY))
    counts = {"works": 0, "refused": 0, "fault": 0}
    for seed in range(first, last):
        (folder / "in work").write_text(f"{kind}, {seed}")
        path.write_bytes(alter(content, seed))
        outcome, why = tried(sample, path)
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
