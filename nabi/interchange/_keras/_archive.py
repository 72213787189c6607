"""`.keras` archives: three members of a zip file, read and written in memory."""

import io
import zipfile
from typing import IO, Any

__all__ = ["CONFIG", "METADATA", "SIGNATURE", "WEIGHTS", "members_of", "write_members"]

SIGNATURE = b"PK\x03\x04"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Keras stores its members as they are. Other programs that rewrite an archive may pack them.
_MOST_COMPRESSED = 100
_LONGEST_TEXT = 1 << 26
# What Keras puts into every archive has this date, so that equal models give equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


def members_of(content: bytes) -> dict[str, bytes]:
    """Return the members of an archive that a model is read from; nothing is written to disk.

    Raises:
        ValueError: for a member that is larger than it may be; zipfile has further errors for damaged files.
    """
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in (METADATA, CONFIG, WEIGHTS):
            held = [one for one in archive.infolist() if one.filename == name]
            if len(held) > 1:
                raise ValueError(f"{name}: expected it once, got it {len(held)} times")
            if held:
                found[name] = _member(archive, held[0], len(content))
    return found


def _member(archive: zipfile.ZipFile, held: zipfile.ZipInfo, size: int) -> bytes:
    if held.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{held.filename}: expected a stored or deflated member")
    if held.compress_size > size or held.file_size > _MOST_COMPRESSED * max(held.compress_size, 1):
        raise ValueError(
            f"{held.filename}: expected at most {_MOST_COMPRESSED} times its {held.compress_size} bytes, "
            f"got {held.file_size}"
        )
    if held.filename != WEIGHTS and held.file_size > _LONGEST_TEXT:
        raise ValueError(f"{held.filename}: expected at most {_LONGEST_TEXT} bytes, got {held.file_size}")
    with archive.open(held) as member:
        return member.read(held.file_size)


def write_members(file: IO[Any], members: dict[str, bytes]) -> None:
    """Write an archive with these members, stored as Keras stores them."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
