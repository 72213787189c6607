"""Damaged checkpoints end in an error of the file, soon and in little memory.

`NABI_ALTERED_FILES=1000` tries so many instead of a few. Half of them are damaged by bits and bytes, which
the checksums notice; in the others the index is changed and its checksums are made to fit.
"""

import os
import random
import shutil
import time
from pathlib import Path

from nabi.errors import FileFormatError, MissingFileError
from nabi.interchange import read_tensorflow_checkpoint
from nabi.interchange._tensorflow._table import read_table

from ..damage import damaged, forget_peak, peak
from .writing import HEADER, MAGIC, block, crc32c, entry, masked, table, varint

FILES = Path(__file__).parent / "files"
NAMES = ("basic-lstm", "sharded", "pieces", "types", "stack", "objects")
COUNT = int(os.environ.get("NABI_ALTERED_FILES", "60"))
SECONDS, MEMORY = 1.0, 200 << 20


def contradicting(content: bytes, chance: random.Random) -> bytes:
    """An index with other entries, and with the checksums of these."""
    entries = [(key, bytes(value)) for key, value in read_table(content)]
    for _ in range(chance.choice((1, 1, 2))):
        place = chance.randrange(len(entries))
        key, value = entries[place]
        kind = chance.randrange(6)
        if kind < 3:
            entries[place] = key, damaged(value, chance) if value else b"\x08"
        elif kind == 3:
            entries[place] = key, chance.choice(entries)[1]
        elif kind == 4:
            entries[place] = damaged(key, chance) if key else b"x", value
        else:
            del entries[place]
            entries = entries or [(b"", b"")]
    if chance.randrange(4):
        entries.sort()
    return table(entries)


def read_all(index: Path) -> tuple[str, str]:
    """What becomes of a checkpoint; another number of data files is another set of names."""
    try:
        for tensor in read_tensorflow_checkpoint(index).values():
            tensor.sum()
    except (FileFormatError, MissingFileError) as problem:
        return "refused", str(problem)
    return "read", ""


def test_damaged_files_end_in_an_error_of_the_file(tmp_path: Path) -> None:
    outcomes = {"read": 0, "refused": 0}
    for seed in range(COUNT):
        chance = random.Random(seed)
        name = NAMES[seed % len(NAMES)]
        for path in tmp_path.iterdir():
            path.unlink()
        for path in FILES.glob(f"{name}.*"):
            shutil.copy(path, tmp_path)
        index = tmp_path / f"{name}.index"
        if seed // len(NAMES) % 2:
            index.write_bytes(contradicting(index.read_bytes(), chance))
        else:
            path = chance.choice(sorted(tmp_path.iterdir()))
            path.write_bytes(damaged(path.read_bytes(), chance))
        forget_peak()
        before, begun = peak(), time.process_time()
        outcome, said = read_all(index)
        outcomes[outcome] += 1
        assert outcome == "read" or str(tmp_path) in said
        assert time.process_time() - begun < SECONDS, seed
        assert peak() - before < MEMORY, seed
    # What nothing notices, or nothing survives, tries nothing.
    assert outcomes["refused"] > COUNT // 2, outcomes
    assert outcomes["read"] > 0, outcomes


def long_names(entries: int, shared: int) -> bytes:
    """A table whose entries cost few bytes each and take up most of the name before."""
    value = entry(1, (), 0, 0, bytes(4))
    body = varint(0) + varint(0) + varint(len(HEADER)) + HEADER
    body += varint(0) + varint(shared) + varint(len(value)) + b"x" * shared + value
    for number in range(entries):
        name = number.to_bytes(4, "big")
        body += varint(shared) + varint(len(name)) + varint(0) + name
    body += (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    data = body + b"\0" + masked(crc32c(body + b"\0"))
    index = block([(b"\xff", varint(0) + varint(len(body)))])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + footer.ljust(40, b"\0") + MAGIC


def test_a_small_index_cannot_take_much_memory(tmp_path: Path) -> None:
    """100 kB of entries would have 80 MB of names."""
    (tmp_path / "model.index").write_bytes(long_names(10_000, 8000))
    forget_peak()
    before = peak()
    outcome, said = read_all(tmp_path / "model.index")
    assert outcome == "refused"
    assert "names of at most 32 MiB together" in said
    assert peak() - before < MEMORY
