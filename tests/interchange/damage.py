"""Damaged files, and what becomes of them: refused in one way, soon, and without much memory."""

import random
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi.errors import FileFormatError

from ..altered_files.try_files import forget_peak, peak, used

__all__ = ["damaged", "forget_peak", "peak", "tried"]

_SECONDS, _MEMORY, _HANGS = 1.0, 200 << 20, 20


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with a few changed, cut off, inserted or taken out."""
    altered = bytearray(content)
    kind = chance.randrange(5)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    place = chance.randrange(len(altered))
    if kind == 1:
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 2:
        altered[place:place] = chance.randbytes(chance.randrange(1, 9))
    elif kind == 3:
        altered[place : place + 8] = chance.choice((bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f"))
    else:
        for _ in range(chance.choice((1, 1, 4))):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def tried(read: Callable[[Path], Any], path: Path) -> tuple[str, str]:
    """What became of a file: "refused", "works", or "fault" and why.

    A fault is an exception that is no `FileFormatError` or does not name the file, more than a second, and
    more than 200 MiB. The process needs a handler for SIGALRM.
    """
    forget_peak()
    before, begun = used()[1], time.process_time()
    outcome = "works"
    signal.alarm(_HANGS)
    try:
        read(path)
    except FileFormatError as problem:
        outcome = "refused"
        if not 10 < len(str(problem)) < 5000 or str(path) not in str(problem):
            return "fault", f"a message that does not help: {str(problem)[:200]}"
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return "fault", f"{type(problem).__name__} at {where}: {str(problem)[:300]}"
    finally:
        signal.alarm(0)
    if time.process_time() - begun > _SECONDS:
        return "fault", f"{time.process_time() - begun:.1f} seconds"
    if peak() - before > _MEMORY:
        return "fault", f"{(peak() - before) >> 20} MiB"
    return outcome, ""
