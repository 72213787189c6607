"""What a server grants its clients."""

from dataclasses import dataclass, fields

from nabi import _checks

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a server; what exceeds one is refused with a reason.

    Attributes:
        body: bytes of a request.
        items: texts, recordings, or rows of an array in a request.
        characters: of a text.
        steps: of a sequence: time steps, samples of sound, rows of a table, characters to write, or steps to
            forecast.
        numbers: that the arrays of an answer may hold.
        queue: requests that wait for a model; more are answered with 429.
        batch: items that a model computes at once.
        seconds: a request may take, reading its body included; then it is answered with 504 or 408. A client
            can ask for fewer.
        sessions: open at once, of each model.
        idle: seconds after which an unused session expires.
        connections: open at once; more are answered with 503.

    Raises:
        ArgumentError: for a bound that is not positive.

    >>> Limits(sessions=100).sessions
    100
    """

    body: int = 8 * 1024 * 1024
    items: int = 256
    characters: int = 100_000
    steps: int = 1_000_000
    numbers: int = 4_000_000
    queue: int = 256
    batch: int = 64
    seconds: float = 30.0
    sessions: int = 1000
    idle: float = 600.0
    connections: int = 2000

    def __post_init__(self) -> None:
        """Check the bounds."""
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type in (float, "float"):
                _checks.real(one.name, value, above=0)
            else:
                _checks.whole(one.name, value)
