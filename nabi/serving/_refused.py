"""The answer to a request that cannot be served."""

from collections.abc import Mapping

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """A request is answered with an error status and a reason that the client may read.

    Args:
        status: of HTTP: 400 for a malformed request, 404 for an unknown name, 429 and 503 under load.
        reason: one sentence; it names no path of this machine.
        headers: of the answer, such as `Retry-After`.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})
