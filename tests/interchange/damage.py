"""Damaged files, and what becomes of them: refused in one way, soon, and without much memory."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi.errors import FileFormatError

from ..altered_files import limits
from ..altered_files.alterations import JUNK, places
from ..altered_files.limits import forget_peak, peak

__all__ = ["damaged", "damaged_archive", "damaged_json", "forget_peak", "peak", "tried"]

# Members of archives that say more than numbers.
_TELLING = (".json", ".pkl", ".h5")


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
    """What became of a file of another program: a refusal is a `FileFormatError` that names the file."""
    return limits.tried(read, path, refusal=FileFormatError, names_file=True)
