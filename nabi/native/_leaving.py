"""The end of the interpreter while other threads run native code.

When Python ends it frees what other threads hold, and ends such a thread as soon as it asks for the global
lock. A kernel does not know that and goes on in memory that is gone; and a thread that is ended inside of
C++ takes the whole process with it. So before that, at exit, native code is closed for all threads but the
one that ends the interpreter: what runs is waited for, and a thread that returns from native code or comes
to it later sleeps until the process is gone. Memory of machine code is never given back, see `_compiler`.

A section of native code is written out where it stands, because it is on the way of every call:

    INSIDE[thread] = True
    if CLOSED:
        stay_outside()
    try:
        ...  # native code
    finally:
        INSIDE[thread] = False
        if CLOSED:
            stay_outside()

A thread first says that it is inside and then looks whether native code is closed, and the one that closes it
does both in the other order: one of the two always sees the other. Sections are not nested.
"""

import atexit
import os
import sys
import time
from threading import get_ident

__all__ = ["CLOSED", "INSIDE", "stay_outside"]

INSIDE: dict[int, bool] = {}
"""For each thread that ever ran native code whether it does so now; each writes only its own entry."""

CLOSED: list[int] = []
"""The thread that ends the interpreter, once it does."""

_LONGEST = 10.0
"""Seconds to wait for kernels and compilation at exit, and to sleep outside.

A function registered to run at exit may wait for a thread that sleeps here; it must not wait for ever.
"""

_SOON = 0.1
"""Seconds in which a thread that is between two kernels should come to the second one. It is waited for
because a thread must not be ended inside of torch either."""

_asleep: set[int] = set()
_exempt: set[int] = set()


def stay_outside() -> None:
    """Sleep until the process is gone; the thread that ends the interpreter goes on."""
    thread = get_ident()
    if thread in CLOSED or thread in _exempt:
        return
    inside, INSIDE[thread] = INSIDE.get(thread, False), False
    _asleep.add(thread)
    time.sleep(_LONGEST)
    _exempt.add(thread)
    _asleep.discard(thread)
    INSIDE[thread] = inside


def _close() -> None:
    """Close native code, and wait for threads that are inside or will soon be."""
    own = get_ident()
    CLOSED.append(own)
    now = time.monotonic()
    soon, latest = now + _SOON, now + _LONGEST
    while True:
        living = sys._current_frames().keys() - {own}
        awake = [thread for thread in living if thread in INSIDE and thread not in _asleep]
        is_busy = any(INSIDE[thread] for thread in awake)
        now = time.monotonic()
        if not awake or now > latest or (now > soon and not is_busy):
            return
        time.sleep(0.001)


def _forget_threads() -> None:
    """The threads of the parent are not in a forked child."""
    INSIDE.clear()
    CLOSED.clear()
    _asleep.clear()
    _exempt.clear()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
