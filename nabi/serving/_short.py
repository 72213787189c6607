"""Which requests are computed so quickly that a thread of their own would only cost time."""

__all__ = ["Short"]

_SECONDS = 0.005
"""As long as the interpreter lets one thread run while others wait; so nothing else waits longer than it
would for a thread that computes."""

_ITEM = 64
"""What an item costs beside its numbers or characters, in those."""


class Short:
    """Learns up to which size what a model reads is computed within a few milliseconds.

    Nothing is taken to be short before something as large was. A measurement of something small says nothing
    of what is larger, as most of its time may go into what each call costs.
    """

    def __init__(self) -> None:
        self._size = 0

    def __contains__(self, size: int | None) -> bool:
        """Whether something of this size is short; None, for what no size says anything of, is not."""
        return size is not None and size <= self._size

    @staticmethod
    def size(items: int, parts: int) -> int:
        """Return the size of so many items, of so many numbers or characters in all."""
        return parts + _ITEM * items

    def took(self, size: int | None, seconds: float) -> None:
        """Take into account how long a thread has computed for something."""
        if size is None:
            return
        if seconds <= _SECONDS:
            self._size = max(self._size, size)
        elif size <= self._size:
            self._size = size // 2
