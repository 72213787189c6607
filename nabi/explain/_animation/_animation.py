"""A sequence that runs through a cell, as a page that moves or as a GIF."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nabi._language import language_of
from nabi._public import public
from nabi.drawing import check_suffix
from nabi.explain._animation._film import Film, Said, make_film
from nabi.files import write_atomically

__all__ = ["animation", "check_animation", "write_animation"]

_SUFFIXES = (".html", ".gif")


@public
def animation(
    layer: Any,
    inputs: Any,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    states: Sequence[Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    says: Sequence[Said] = (),
    language: str | None = None,
) -> Path:
    """Show a sequence running through a recurrent layer, step by step, with all gates and states in colour.

    A `.html` file is a page that needs nothing else: the unrolled network, the inside of the cell drawn from
    its equations, and every value of every unit over time. It plays, and goes to any step by keys, by the
    slider and by touching the network. A `.gif` shows the same steps one after the other.

    Args:
        layer: as in `gates`: a recurrent layer over any cell, or `(program, weights)`.
        inputs: `[T, D]`, or `[B, T, D]`, of which the first sequence is shown. At most 1,000 steps.
        path: the file to write, .html or .gif.
        labels: what each step reads, such as words or notes; numbers from 1 by default.
        title: above the picture; the cell's name by default.
        states: initial states, as in `gates`.
        extra: what the cell reads beside `x`, as in `gates`.
        says: what a model says after each step, names with values; `()` for a step after which it says
            nothing.
        language: "en" or "ko"; by default that of `NABI_LANG`, or else of the locale. A page has both, and
            begins in this one.

    Returns:
        The path.

    Raises:
        ArgumentError, ShapeError: as `gates`; for another suffix, too many steps, and labels or answers that
            are not as many as the steps.
        UnknownNameError: for another language.
        OutputError: the file cannot be written.

    >>> import pathlib, tempfile, torch, nabi.cells, nabi.nn
    >>> rnn = nabi.nn.RNN(nabi.cells.LSTM(units=4), input_size=3)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "lstm.html"
    >>> animation(rnn, torch.eye(3), path, labels=["a", "b", "c"]).name
    'lstm.html'
    """
    check_animation(path)
    language_of(language)
    film = make_film(layer, inputs, labels=labels, title=title, states=states, extra=extra, says=says)
    return write_animation(film, path, language)


def check_animation(path: str | os.PathLike[str]) -> Path:
    """Check the path of an animation and return it.

    Raises:
        ArgumentError: its suffix is neither .html nor .gif.
    """
    return check_suffix(path, _SUFFIXES)


def write_animation(film: Film, path: str | os.PathLike[str], language: str | None = None) -> Path:
    """Write a film, by the suffix as a page or as a GIF."""
    target = check_animation(path)
    spoken = language_of(language)
    if target.suffix.lower() == ".html":
        from nabi.explain._animation._page import page_of

        content = page_of(film, spoken)
    else:
        from nabi.explain._animation._gif import gif_of

        content = gif_of(film, spoken)
    with write_atomically(target) as file:
        file.write(content)
    return target
