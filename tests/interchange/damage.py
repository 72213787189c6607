"""Damaged files, and what becomes of them: refused in one way, soon, and without much memory."""

import io
import json
import random
import signal
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi.errors import FileFormatError

from ..altered_files.alterations import JUNK, places
from ..altered_files.try_files import forget_peak, peak, used

__all__ = ["damaged", "damaged_archive", "damaged_json", "forget_peak", "peak", "tried"]

# Members of archives that say more than numbers.
_TELLING = (".json", ".pkl", ".h5")
_SECONDS, _MEMORY, _HANGS = 1.0, 200 << 20, 20


def damaged(content: bytes, chance: random.Random, ends: int | None = None) -> bytes:
    """The bytes with a few changed, cut off, inserted or taken out.

    `ends` is how many bytes at the beginning and at the end say something: bits there are changed then.
    """
    altered = bytearray(content)
    kind = chance.randrange(6)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    place = chance.randrange(len(altered))
    if kind == 1:
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 2:
        altered[place:place] = chance.randbytes(chance.randrange(1, 9))
    elif kind == 3:
        place = 0 if ends and chance.random() < 0.5 else place  # many formats begin with a length
        altered[place : place + 8] = chance.choice((bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f"))
    else:
        first, last = 0, len(altered)
        if ends:
            first = chance.choice((0, max(last - ends, 0)))
            last = min(first + ends, last)
        for _ in range(chance.choice((1, 1, 1, 4))):
            altered[chance.randrange(first, last)] ^= 1 << chance.randrange(8)
    return bytes(altered)


def damaged_json(text: bytes, chance: random.Random) -> bytes:
    """JSON with one value taken out, or replaced by another, from the same text or from elsewhere."""
    value, same = json.loads(text), json.loads(text)
    path = chance.choice(places(value))
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    kind = chance.randrange(4)
    if kind == 0:
        del holder[path[-1]]
    elif kind == 1:
        for step in chance.choice(places(same)):
            same = same[step]
        holder[path[-1]] = same
    elif kind == 2 and isinstance(holder[path[-1]], int | float):
        holder[path[-1]] = holder[path[-1]] * chance.choice((-1, 2, 1000, 10**9)) + 1
    else:
        holder[path[-1]] = "@here@"
        return json.dumps(value).replace('"@here@"', chance.choice(JUNK), 1).encode()
    return json.dumps(value).encode()


def damaged_archive(
    content: bytes, chance: random.Random, damage: Callable[[str, bytes, random.Random], bytes]
) -> bytes:
    """A zip archive with one member damaged, left out or renamed, put together again: its table is right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    held = [number for number, (_, inside) in enumerate(members) if inside]
    telling = [number for number in held if members[number][0].endswith(_TELLING)]
    chosen = chance.choice(telling if telling and chance.random() < 0.8 else held)
    name, inside = members[chosen]
    kind = chance.randrange(12)
    if kind == 0:
        del members[chosen]
    elif kind == 1:
        members[chosen] = name + "x", inside
    else:
        members[chosen] = name, damage(name, inside, chance)
    packed = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if chance.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(packed, "w", how) as archive:
        for one, data in members:
            archive.writestr(one, data)
    return packed.getvalue()


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
