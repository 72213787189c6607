"""Downloads of published files, each fetched once."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nabi.errors import MissingFileError, OutputError
from nabi.files import write_atomically

__all__ = ["RemoteFile", "fetch"]

_TIMEOUT = 30.0  # seconds without a byte
_PIECE = 1 << 18


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: of the local copy.
        addresses: tried in order until one succeeds.
        size: in bytes.
        sha256: of its content, 64 hexadecimal digits.
    """

    name: str
    addresses: tuple[str, ...]
    size: int
    sha256: str


class _FailedError(Exception):
    """The reason why a download failed."""


def fetch(remote: RemoteFile, folder: Path, *, timeout: float = _TIMEOUT) -> Path:
    """Download a file into a folder.

    The file appears under its name once it is complete and its checksum is right; until then it has a name
    unique to this process, so several processes may fetch the same file at once.

    Args:
        remote: the file.
        folder: the target folder; created if missing.
        timeout: seconds to wait for a connection, and for the next bytes.

    Raises:
        MissingFileError: if every address fails; the message has the reason for each.
        OutputError: if the file cannot be written.
    """
    reasons = []
    for address in remote.addresses:
        try:
            with write_atomically(folder / remote.name) as file, _progress(remote, address) as show:
                _copy(remote, _pieces(address, timeout), file, show)
        except _FailedError as problem:
            reasons.append(f"{address}: {problem}")
        else:
            return folder / remote.name
    raise MissingFileError(f"{remote.name} could not be downloaded ({'; '.join(reasons)})")


def _copy(remote: RemoteFile, pieces: Iterator[bytes], file: IO[bytes], show: Callable[[int], None]) -> None:
    digest, received = hashlib.sha256(), 0
    for piece in pieces:
        received += len(piece)
        if received > remote.size:
            raise _FailedError(f"it is larger than the expected {remote.size:,} bytes")
        digest.update(piece)
        try:
            file.write(piece)
        except OSError as problem:
            raise OutputError(f"{remote.name} cannot be written: {problem.strerror or problem}") from problem
        show(received)
    if received < remote.size:
        raise _FailedError(f"it ended after {received:,} of {remote.size:,} bytes")
    if digest.hexdigest() != remote.sha256:
        raise _FailedError("its checksum is wrong")


def _pieces(address: str, timeout: float) -> Iterator[bytes]:
    """Yield the content of an address as it arrives."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    # Some servers reject urllib's default user agent.
    request = Request(address, headers={"User-Agent": "nabi"})
    try:
        with urlopen(request, timeout=timeout) as answer:
            while piece := answer.read1(_PIECE):
                yield piece
    except HTTPError as problem:
        with problem:
            raise _FailedError(f"the server returned {problem.code} {problem.reason}") from problem
    except (OSError, HTTPException) as problem:
        reason = problem.reason if isinstance(problem, URLError) else problem
        if isinstance(reason, TimeoutError):
            raise _FailedError(f"no data for {timeout:g} seconds") from problem
        raise _FailedError(str(reason) or type(reason).__name__) from problem


@contextmanager
def _progress(remote: RemoteFile, address: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and a line elsewhere."""
    if not sys.stderr.isatty():
        print(f"Downloading {remote.name} ({remote.size / 1e6:,.1f} MB) from {address}", file=sys.stderr)
        yield lambda received: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(remote.name, total=remote.size)
        yield lambda received: bar.update(task, completed=received)
