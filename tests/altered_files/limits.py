"""One file tried within limits of time and memory: refused in one way, soon and in little memory, or fine."""

import contextlib
import resource
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi.errors import NabiError

__all__ = ["MEMORY", "forget_peak", "peak", "too_long", "tried", "used"]

_SECONDS, MEMORY = 1.0, 200 << 20
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


def tried(
    load: Callable[[Path], Any],
    path: Path,
    use: Callable[[Any], Any] = lambda loaded: None,
    *,
    refusal: type[NabiError] = NabiError,
    names_file: bool = False,
) -> tuple[str, str]:
    """What became of a file: "refused", "works", or "fault" and why.

    A fault is an exception that is no refusal, or whose message is empty, endless or (`names_file`) does not
    name the file; more than a second to load it; and more memory than is allowed. The process needs a handler
    for SIGALRM, such as `too_long`.
    """
    forget_peak()
    before, begun, stage = used()[1], time.process_time(), "load"
    outcome, spent = "works", 0.0
    signal.alarm(_HANGS)
    try:
        loaded = load(path)
        spent = time.process_time() - begun
        stage = "use"
        use(loaded)
    except refusal as problem:
        spent = time.process_time() - begun if stage == "load" else spent
        outcome, said = "refused", str(problem)
        if not 0 < len(said) <= 5000 or (names_file and str(path) not in said):
            return "fault", f"a message of {len(said)} characters that does not help: {said[:200]}"
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return "fault", f"{stage}: {type(problem).__name__} at {where}: {str(problem)[:300]}"
    finally:
        signal.alarm(0)
    if spent > _SECONDS:
        return "fault", f"{spent:.1f} seconds"
    if peak() - before > MEMORY:
        return "fault", f"{(peak() - before) >> 20} MiB"
    return outcome, ""
