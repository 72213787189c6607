"""Kernels that run one after the other by a single call from Python.

A call from Python takes a microsecond, as long as a small kernel. Kernels whose arguments lie in blocks that
stay are therefore put into a list, and one call goes through it. Where Python has nothing to do between two
passes through the lists of a training step either, one call makes several steps.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

from torch import Tensor

from nabi.native import threads as _threads
from nabi.native._code._cache import compiled
from nabi.native._code._compiler import Library
from nabi.native._code._machine import host
from nabi.native.addresses import GUARDED, arguments, to_fill, to_read
from nabi.native.bound import Run, Slot

__all__ = ["KernelList", "StepLoop", "copy_run"]

_WORD, _DOUBLE = 4, 8


class KernelList:
    """Kernels in the order in which they run.

    Args:
        runs: the kernels with their arguments.

    Raises:
        NativeError: if the code that goes through the list cannot be compiled.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = list(runs)
        self._address = 0 if GUARDED else _address()
        values = (
            [] if GUARDED else [part for run in runs for part in (run.address, ctypes.addressof(run.block))]
        )
        self._block = arguments(1 + 2 * len(runs), [len(values), *values])

    @property
    def place(self) -> int:
        """The address of the list, for `StepLoop`."""
        return ctypes.addressof(self._block)

    def replace_last(self, run: Run) -> None:
        """Put another run in the place of the last one."""
        last = self._runs[-1]
        if run.block is last.block and run.address == last.address:
            return
        self._runs[-1] = run
        if not GUARDED:
            self._block[-2:] = [run.address, ctypes.addressof(run.block)]

    def run(self) -> None:
        """Run them all."""
        if GUARDED:  # each is checked by itself
            for address, block in self._runs:
                _threads.run(address, block, 1)
        else:
            _threads.run(self._address, self._block, 1)


class StepLoop:
    """Several steps of training by one call: forward, loss, backward, update, again and again.

    It ends early after a forward pass whose loss is not finite. Not available where memory is guarded.

    Args:
        forward: the kernels up to the loss.
        backward: those after it, and the update.
        loss: where the loss of a step is, in double precision.
        slots: the places of addresses that move on from step to step.
        kept: memory of which a copy is kept at every step: its address and its size in bytes, a multiple of
            four.

    Raises:
        NativeError: if the code cannot be compiled.
    """

    def __init__(
        self,
        forward: KernelList,
        backward: KernelList,
        loss: Slot,
        slots: Sequence[Slot],
        kept: Sequence[tuple[int, int]] = (),
    ) -> None:
        assert not GUARDED
        self._address = _loop_address()
        self._lists, self._slots = (forward, backward), list(slots)
        places = [_place(slot) for slot in self._slots]
        self._moves = arguments(2 * len(places), [part for place in places for part in (place, 0)])
        copied = [(_place(loss), _DOUBLE), *kept]
        self._copies = arguments(
            3 * len(copied), [part for address, size in copied for part in (address, 0, size // _WORD)]
        )
        self._block = arguments(9)
        self._block[2:] = [
            _place(loss), forward.place, backward.place, len(places), ctypes.addressof(self._moves),
            len(copied), ctypes.addressof(self._copies),
        ]  # fmt: skip
        self._losses = (ctypes.c_double * 1)()

    def run(
        self, steps: int, starts: Sequence[int], strides: Sequence[int], kept: Sequence[int] = ()
    ) -> list[float]:
        """Make steps; return the loss of each for which the forward pass was made.

        Args:
            steps: how many.
            starts: what is in each slot at the first step.
            strides: how far it moves on, in bytes.
            kept: where the copies of each memory go, those of all steps one after the other.
        """
        for (block, at), start in zip(self._slots, starts, strict=True):
            block[at] = start
        if len(self._losses) < steps:
            self._losses = (ctypes.c_double * steps)()
        self._moves[1::2] = list(strides)
        self._copies[1::3] = [ctypes.addressof(self._losses), *kept]
        self._block[0] = steps
        _threads.run(self._address, self._block, 1)
        return self._losses[: self._block[1]]


def _place(slot: Slot) -> int:
    return ctypes.addressof(slot.block) + 8 * slot.at


def copy_run(source: Tensor, target: Tensor) -> Run:
    """Return a run that copies a tensor to another one of its shape and order in memory, both without gaps.

    Raises:
        NativeError: if the code cannot be compiled.
    """
    values = [to_read(source), to_fill(target), source.nbytes // _WORD]
    return Run(_compiled().address("nabi_copy"), arguments(3, values))


@cache
def _compiled() -> Library:
    names = ("nabi_list", "nabi_steps", "nabi_copy")
    return compiled(("kernel list",), names, _write, host(), callees={})


@cache
def _address() -> int:
    return _compiled().address("nabi_list")


@cache
def _loop_address() -> int:
    return _compiled().address("nabi_steps")


def _write() -> str:
    """Return the code.

    The arguments of a list are the number of words that follow, then kernels and their blocks. Those of a
    copy are where from, where to, and how many words of four bytes; the loop over steps, whose arguments
    `StepLoop` writes, has such ones for each of its copies.
    """
    return """
        define void @nabi_list(ptr %block, i64 %thread, i64 %threads) nounwind {
        entry:
          %words = load i64, ptr %block, align 8
          %first = getelementptr i64, ptr %block, i64 1
          %end = getelementptr i64, ptr %first, i64 %words
          br label %head
        head:
          %at = phi ptr [ %first, %entry ], [ %next, %body ]
          %done = icmp uge ptr %at, %end
          br i1 %done, label %out, label %body
        body:
          %kernel = load ptr, ptr %at, align 8
          %place = getelementptr i64, ptr %at, i64 1
          %arguments = load ptr, ptr %place, align 8
          call void %kernel(ptr %arguments, i64 0, i64 1)
          %next = getelementptr i64, ptr %at, i64 2
          br label %head
        out:
          ret void
        }

        define void @nabi_copy(ptr %block, i64 %thread, i64 %threads) nounwind {
        entry:
          %from = load ptr, ptr %block, align 8
          %to_at = getelementptr i64, ptr %block, i64 1
          %to = load ptr, ptr %to_at, align 8
          %words_at = getelementptr i64, ptr %block, i64 2
          %words = load i64, ptr %words_at, align 8
          br label %head
        head:
          %at = phi i64 [ 0, %entry ], [ %next, %body ]
          %done = icmp sge i64 %at, %words
          br i1 %done, label %out, label %body
        body:
          %w_from = getelementptr i32, ptr %from, i64 %at
          %value = load i32, ptr %w_from, align 4
          %w_to = getelementptr i32, ptr %to, i64 %at
          store i32 %value, ptr %w_to, align 4
          %next = add i64 %at, 1
          br label %head
        out:
          ret void
        }

        define void @nabi_steps(ptr %block, i64 %thread, i64 %threads) nounwind {
        entry:
          %steps = load i64, ptr %block, align 8
          %done_at = getelementptr i64, ptr %block, i64 1
          %loss_at = getelementptr i64, ptr %block, i64 2
          %loss = load ptr, ptr %loss_at, align 8
          %forward_at = getelementptr i64, ptr %block, i64 3
          %forward = load ptr, ptr %forward_at, align 8
          %backward_at = getelementptr i64, ptr %block, i64 4
          %backward = load ptr, ptr %backward_at, align 8
          %moves_at = getelementptr i64, ptr %block, i64 5
          %moves = load i64, ptr %moves_at, align 8
          %move_first_at = getelementptr i64, ptr %block, i64 6
          %move_first = load ptr, ptr %move_first_at, align 8
          %copies_at = getelementptr i64, ptr %block, i64 7
          %copies = load i64, ptr %copies_at, align 8
          %copy_first_at = getelementptr i64, ptr %block, i64 8
          %copy_first = load ptr, ptr %copy_first_at, align 8
          br label %step
        step:
          %done = phi i64 [ 0, %entry ], [ %now, %moved ]
          store i64 %done, ptr %done_at, align 8
          %enough = icmp sge i64 %done, %steps
          br i1 %enough, label %out, label %ahead
        ahead:
          call void @nabi_list(ptr %forward, i64 0, i64 1)
          %now = add i64 %done, 1
          br label %copy
        copy:
          %c = phi i64 [ 0, %ahead ], [ %c_next, %copy_one ]
          %c_end = icmp sge i64 %c, %copies
          br i1 %c_end, label %check, label %copy_one
        copy_one:
          %c_place = mul i64 %c, 3
          %from_at = getelementptr i64, ptr %copy_first, i64 %c_place
          call void @nabi_copy(ptr %from_at, i64 0, i64 1)
          %to_at = getelementptr i64, ptr %from_at, i64 1
          %to = load ptr, ptr %to_at, align 8
          %words_at = getelementptr i64, ptr %from_at, i64 2
          %words = load i64, ptr %words_at, align 8
          %to_next = getelementptr i32, ptr %to, i64 %words
          store ptr %to_next, ptr %to_at, align 8
          %c_next = add i64 %c, 1
          br label %copy
        check:
          %value = load i64, ptr %loss, align 8
          %exponent = and i64 %value, 9218868437227405312
          %finite = icmp ne i64 %exponent, 9218868437227405312
          br i1 %finite, label %back, label %stop
        back:
          call void @nabi_list(ptr %backward, i64 0, i64 1)
          br label %move
        move:
          %m = phi i64 [ 0, %back ], [ %m_next, %move_one ]
          %m_end = icmp sge i64 %m, %moves
          br i1 %m_end, label %moved, label %move_one
        move_one:
          %m_place = mul i64 %m, 2
          %slot_at = getelementptr i64, ptr %move_first, i64 %m_place
          %slot = load ptr, ptr %slot_at, align 8
          %stride_at = getelementptr i64, ptr %slot_at, i64 1
          %stride = load i64, ptr %stride_at, align 8
          %old = load i64, ptr %slot, align 8
          %new = add i64 %old, %stride
          store i64 %new, ptr %slot, align 8
          %m_next = add i64 %m, 1
          br label %move
        moved:
          br label %step
        stop:
          store i64 %now, ptr %done_at, align 8
          br label %out
        out:
          ret void
        }
        """
