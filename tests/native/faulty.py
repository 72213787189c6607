"""Kernels with faults, each in a process forked from this one: `python -m tests.native.faulty FAULT ...`."""

import os
import sys
from collections.abc import Callable

import torch

from nabi.native import addresses as _addresses, compiled, host, memory as _memory, threads as _threads
from nabi.native.addresses import arguments, lay_out, to_fill, to_read

# arguments: where four floats are read, where four are written, where reading starts, how many are written,
# and where writing starts. What is written is what was read, plus one.
KERNEL = """
define void @copy(ptr %arguments, i64 %thread, i64 %threads) nounwind {
entry:
  %source = load ptr, ptr %arguments, align 8
  %a1 = getelementptr i64, ptr %arguments, i64 1
  %target = load ptr, ptr %a1, align 8
  %a2 = getelementptr i64, ptr %arguments, i64 2
  %from = load i64, ptr %a2, align 8
  %a3 = getelementptr i64, ptr %arguments, i64 3
  %count = load i64, ptr %a3, align 8
  %a4 = getelementptr i64, ptr %arguments, i64 4
  %to = load i64, ptr %a4, align 8
  %a5 = getelementptr i64, ptr %arguments, i64 5
  %beyond = load i64, ptr %a5, align 8
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %j = add i64 %i, %from
  %p = getelementptr float, ptr %source, i64 %j
  %x = load volatile float, ptr %p, align 4
  %y = fadd float %x, 1.0
  %k = add i64 %i, %to
  %q = getelementptr float, ptr %target, i64 %k
  store volatile float %y, ptr %q, align 4
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %last
last:
  %r = getelementptr i64, ptr %arguments, i64 %beyond
  store volatile i64 0, ptr %r, align 8
  ret void
}
"""


def run(source: int, target: int, start: int = 0, count: int = 4, to: int = 0, beyond: int = 5) -> None:
    block = arguments(6, [source, target, start, count, to, beyond])
    _threads.run(ADDRESS, block, 1)


def numbers() -> torch.Tensor:
    return torch.ones(4)


def _reads(start: int) -> None:
    x, y = numbers(), numbers()
    run(to_read(x), to_fill(y), start=start)


def _writes(to: int) -> None:
    x, y = numbers(), numbers()
    run(to_read(x), _addresses.to_update(y), to=to)


def _writes_what_it_should_read() -> None:
    x, y = numbers(), numbers()
    run(to_read(x), to_read(y))


def _writes_behind_its_arguments() -> None:
    x, y = numbers(), numbers()
    run(to_read(x), to_fill(y), beyond=6)


def _leaves_an_element() -> None:
    x, y = numbers(), numbers()
    run(to_read(x), to_fill(y), count=3)


def _reads_working_memory() -> None:
    y = numbers()
    memory, start = _memory.working_memory(lay_out({"some": 4}, 4))
    block = arguments(6, [start + 0, to_fill(y), 0, 4, 0, 5])
    block.memory = memory
    try:
        _threads.run(ADDRESS, block, 1)
    except RuntimeError as problem:
        # The sum of poison and one is poison.
        raise RuntimeError("NaN" if "were not written" in str(problem) else str(problem)) from problem


def _is_given_a_number() -> None:
    x, y = numbers(), numbers()
    run(x.data_ptr(), to_fill(y))


def _outlives_its_tensor() -> None:
    y = numbers()
    run(to_read(torch.ones(4)), to_fill(y))


def _outlives_its_working_memory() -> None:
    y = numbers()
    _, start = _memory.working_memory(lay_out({"some": 4}, 4))
    run(start + 0, to_fill(y))


def _is_given_one_array_twice() -> None:
    x = numbers()
    run(to_read(x[1:]), to_fill(x[:4]), count=3)


def _does_all_right() -> None:
    x, y = numbers(), numbers()
    run(to_read(x), to_fill(y))
    assert y.tolist() == [2.0] * 4


FAULTS: dict[str, Callable[[], None]] = {
    "reads behind": lambda: _reads(1),
    "writes behind": lambda: _writes(1),
    "reads before": lambda: _reads(-1),
    "writes before": lambda: _writes(-1),
    "writes what it should read": _writes_what_it_should_read,
    "writes behind its arguments": _writes_behind_its_arguments,
    "leaves an element": _leaves_an_element,
    "reads working memory": _reads_working_memory,
    "is given a number": _is_given_a_number,
    "outlives its tensor": _outlives_its_tensor,
    "outlives its working memory": _outlives_its_working_memory,
    "is given one array twice": _is_given_one_array_twice,
    "does all right": _does_all_right,
}


def one(fault: str) -> str:
    """Run a fault in a child; what it said, or that it crashed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            FAULTS[fault]()
        except BaseException as problem:
            os.write(1, str(problem).encode())
        else:
            os.write(1, b"done")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return "crash" if os.WIFSIGNALED(status) else said


if __name__ == "__main__":
    ADDRESS = compiled(("faults of the tests",), ("copy",), lambda: KERNEL, host()).address("copy")
    for name in sys.argv[1:]:
        print(f"{name}: {one(name)}", flush=True)
