"""Ctrl-C during training: the batch is finished first."""

import signal
import threading
from types import FrameType
from typing import Any, Self

__all__ = ["FinishBatch"]


class FinishBatch:
    """While it is entered, the first Ctrl-C only sets `asked`; a second one interrupts at once.

    Only the main thread hears of signals; elsewhere nothing changes.

    Args:
        agreed: whether the training is that of several workers, which end together: `asked` is then set by
            whoever knows that all of them know.

    Attributes:
        asked: whether the training is to end after this batch.
        heard: whether this process was asked to.
    """

    def __init__(self, agreed: bool = False) -> None:
        self.asked = self.heard = False
        self._agreed = agreed
        self._previous: Any = None
        self._installed = False

    def __enter__(self) -> Self:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.getsignal(signal.SIGINT)
            # A program that ignores Ctrl-C, or handles it outside of Python, shall go on doing so.
            if self._previous not in (signal.SIG_IGN, signal.SIG_DFL, None):
                signal.signal(signal.SIGINT, self._ask)
                self._installed = True
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            self._restore()
            self._previous(number, frame)
        self.heard = True
        self.asked = self.asked or not self._agreed

    def _restore(self) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
            self._installed = False

    def __exit__(self, *problem: object) -> None:
        """Listen no more."""
        self._restore()

    def raise_now(self) -> None:
        """Do what the program does on Ctrl-C; raise KeyboardInterrupt if that goes on."""
        self._restore()
        if self._previous is not signal.default_int_handler:
            self._previous(signal.SIGINT, None)
        raise KeyboardInterrupt("training was stopped by Ctrl-C after a batch; model and history are kept")
