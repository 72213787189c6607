"""Interpreter shutdown while other threads run native code.

At shutdown, Python frees the objects of other threads and ends such a thread when it requests the global
lock. A kernel does not notice and continues in freed memory, and a thread that is ended inside C++ crashes
the process. So, before that, at exit, native code is closed for all threads except the one that ends the
interpreter: running kernels are waited for, and a thread that returns from native code or enters it later
sleeps until the process ends. The memory of machine code is never freed, see `_compiler`.

A section of native code is written inline, because every call passes through it:

    INSIDE[thread] = True
    if CLOSED:
        stay_outside()
    try:
        ...  # native code
    finally:
        INSIDE[thread] = False
        if CLOSED:
            stay_outside()

A thread first marks itself as inside and then checks whether native code is closed; the closing thread does
both in the opposite order, so one of the two always sees the other. Sections are not nested.
"""

import atexit
import os
import sys
import time
from threading import get_ident

__all__ = ["CLOSED", "INSIDE", "stay_outside"]

INSIDE: dict[int, bool] = {}
"""Whether each thread is running native code now; each thread writes only its own entry."""

CLOSED: list[int] = []
"""The thread that is ending the interpreter, if any."""

_LONGEST = 10.0
"""Seconds to wait for kernels and compilation at exit, and to sleep outside.

A function registered to run at exit may wait for a thread that sleeps here; it must not wait forever.
"""

_SOON = 0.1
"""Seconds within which a thread between two kernels should reach the second one. It is waited for, because a
thread must not be ended inside torch either."""

_asleep: set[int] = set()
_exempt: set[int] = set()


def stay_outside() -> None:
    """Sleep until the process ends; return at once in the thread that ends the interpreter."""
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
    """Close native code and wait for threads that are inside or soon will be."""
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
    """Forget the parent's threads, which do not exist in a forked child."""
    INSIDE.clear()
    CLOSED.clear()
    _asleep.clear()
    _exempt.clear()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
