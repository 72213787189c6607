"""Whether a `.ts` file holds series or TypeScript: both kinds of files have this ending."""

import re
from pathlib import Path

__all__ = ["BEGINNING", "begins_like_source", "is_typescript"]

BEGINNING = 1 << 16
"""Bytes of a file that are looked at; what stands before a header of series is seldom longer."""

_HEADER = re.compile(
    rb"@(problemname|timestamps|missing|univariate|dimensions?|equallength|serieslength|classlabel"
    rb"|targetlabel|data)\b",
    re.IGNORECASE,
)
_COMMENTS = (b"#", b"%")
# Of which source has some, and series none.
_MARKS = re.compile(rb"[(){};=]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def begins_like_source(content: bytes) -> bool:
    """Return whether a file begins like source: with no line of the header of series, and as code is written.

    >>> begins_like_source(b"# Of a gauge (in m)\\n@problemName flow\\n@data\\n1,2:low\\n")
    False
    >>> begins_like_source(b'@Component({selector: "app"})\\nexport class App {}\\n')
    True
    """
    for line in content[:BEGINNING].removeprefix(_BYTE_ORDER_MARK).splitlines():
        text = line.strip()
        if text and not text.startswith(_COMMENTS):
            return _HEADER.match(text) is None and _MARKS.search(content[:BEGINNING]) is not None
    return False


def is_typescript(path: Path) -> bool:
    """Return whether a file is called .ts and begins like source."""
    if path.suffix.lower() != ".ts" or not path.is_file():
        return False
    with path.open("rb") as file:
        return begins_like_source(file.read(BEGINNING))
