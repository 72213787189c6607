"""Load altered files in a process of its own, which has limits of time and memory: `python try_files.py ...`.

Prints a line of JSON for each fault: an exception that is not nabi's, more time or memory than is allowed.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import altered_samples
from alterations import alter

from nabi.errors import NabiError

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


def main(kind: str, good: str, folder: str, first: int, last: int) -> None:
    """Try the files of these seeds; the one in work is written to `folder`, with its seed."""
    warnings.simplefilter("ignore")
    sample, content = altered_samples.SAMPLES[kind], Path(good).read_bytes()
    path, current = Path(folder, "altered.nabi"), Path(folder, "seed")
    signal.signal(signal.SIGALRM, too_long)
    path.write_bytes(content)
    outcome, why = tried(sample, path)  # and compiles what is needed
    for _ in range(1):
        path.write_bytes(content)
        outcome, why = tried(sample, path)
    if outcome != "works":
        print(json.dumps({"seed": None, "why": f"the good file: {outcome} {why}"}), flush=True)
        return
    limit = used()[0] + 4 * _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    counts = {"works": 0, "refused": 0, "fault": 0}
    for seed in range(first, last):
        current.write_text(str(seed))
        path.write_bytes(alter(content, seed))
        outcome, why = tried(sample, path)
        counts[outcome] += 1
        if outcome == "fault":
            print(json.dumps({"seed": seed, "why": why}), flush=True)
        for left in Path(folder).glob(".nabi-*"):
            os.unlink(left)
    print(json.dumps({"counts": counts}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
