"""How much stack the functions of an exported model take, read from their assembly."""

import re
from collections.abc import Sequence

__all__ = ["frame_bytes", "stack_bytes"]


def stack_bytes(assembly: str, chains: Sequence[Sequence[str]]) -> int:
    """Return the most bytes of stack that any chain of calls takes.

    Args:
        assembly: of the module, as LLVM writes it.
        chains: functions of which each calls the next.
    """
    return max(sum(frame_bytes(assembly, name) for name in chain) for chain in chains)


# What makes a frame larger, by the assembly of each architecture: how many registers are pushed, or bytes.
_PUSHED = (
    (re.compile(r"^\s*push(?:q|\.w)?\s+%\w+"), 8),  # x86-64
    (re.compile(r"^\s*(?:sub|subq|subl)\s+\$(\d+), %[re]sp"), 1),
    (re.compile(r"^\s*sub(?:\.w)?\s+sp, (?:sp, )?#(\d+)"), 1),  # ARM, AArch64
    (re.compile(r"^\s*(?:str|stp)\s.*\[sp, #-(\d+)\]!"), 1),
    (re.compile(r"^\s*(?:c\.)?addi(?:16sp)?\s+sp, (?:sp, )?-(\d+)"), 1),  # RISC-V
)
_LIST = re.compile(r"^\s*(v?)(?:push(?:\.w)?|stmdb\s+sp!,)\s+\{(.*)\}")
_RANGE = re.compile(r"[a-z]+(\d+)-[a-z]+(\d+)")
_BEGINS = re.compile(r"^_?(\w+):")
_ALIGNS = re.compile(r"^\s*(?:and(?:q)?\s+\$-(\d+), %rsp|bfc\s+\w+, #0, #(\d+))")


def frame_bytes(assembly: str, name: str) -> int:
    """Return the bytes of stack that a function takes, without those of functions that it calls.

    Args:
        assembly: of its module, as LLVM writes it.
        name: of the function.
    """
    total, inside, architecture_64 = 0, False, "%rsp" in assembly
    for line in assembly.splitlines():
        begins = _BEGINS.match(line)
        if begins:
            inside = begins[1] == name
        if not inside:
            continue
        listed = _LIST.match(line)
        if listed:
            total += _registers(listed[2]) * (8 if listed[1] else 4)
            continue
        aligned = _ALIGNS.match(line)
        if aligned:
            total += int(aligned[1]) if aligned[1] else 1 << int(aligned[2])
            continue
        for pattern, size in _PUSHED:
            found = pattern.match(line)
            if found:
                total += int(found[1]) if size == 1 else size
                break
    return total + (8 if architecture_64 else 0)


def _registers(listed: str) -> int:
    count = 0
    for one in listed.split(","):
        span = _RANGE.match(one.strip())
        count += int(span[2]) - int(span[1]) + 1 if span else 1
    return count
