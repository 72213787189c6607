"""Writing figures as SVG or PNG, reproducibly and atomically."""

import io
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nabi import _checks
from nabi.drawing._fonts import give_fonts
from nabi.drawing._style import text_settings
from nabi.errors import ArgumentError, OutputError
from nabi.files import writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_suffix", "write_figure"]

_SUFFIXES = (".svg", ".png")


def check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str] = _SUFFIXES) -> Path:
    """Check the path of a picture, or of another file, and return it.

    Args:
        path: where it is to be written.
        suffixes: those that say how.

    Raises:
        ArgumentError: its suffix is none of them.
    """
    given = _checks.path("path", path, wrong=OutputError)
    if given.suffix.lower() not in suffixes:
        known = " or ".join(suffixes)
        raise ArgumentError(f"path: expected a name that ends in {known}, got {os.fspath(path)!r}")
    return given


def write_figure(
    figure: "Figure", path: str | os.PathLike[str], *, title: str = "", description: str = "", dpi: int = 150
) -> Path:
    """Write a matplotlib figure as SVG or PNG, by the suffix.

    The file is written atomically. Missing folders are created. Text in any script is shown where a font has
    it (`fonts_for`).

    Args:
        figure: the figure.
        path: of the file, ending in .svg or .png.
        title, description: stored in the file's metadata, for accessibility.
        dpi: of a PNG.

    Raises:
        ArgumentError: the suffix is neither .svg nor .png.
        OutputError: the file cannot be written.
    """
    target = check_suffix(path)
    kind = target.suffix.lower()[1:]
    metadata: dict[str, str | None] = {
        "Title": _printable(title) or None,
        "Description": _printable(description) or None,
    }
    # A command overwrites only pictures with its mark.
    metadata["Software" if kind == "png" else "Creator"] = writer()
    if kind == "svg":
        metadata["Date"] = None
    content = io.BytesIO()
    with text_settings():
        give_fonts(figure)
        figure.savefig(
            content, format=kind, dpi=dpi, metadata={k: v for k, v in metadata.items() if v or k == "Date"}
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".nabi-", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.getvalue())
            # mkstemp creates files that only the owner may read; restore the usual permissions.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as problem:
        raise OutputError(f"path: cannot write {os.fspath(path)}: {problem.strerror or problem}") from problem
    return target


def _printable(text: str) -> str:
    """Return the text with characters that XML or UTF-8 reject replaced."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
