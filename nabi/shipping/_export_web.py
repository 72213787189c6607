"""A model as a page that runs it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi import models
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.shipping._folder import check_folder, write_folder
from nabi.shipping._web._page import Page, write_page

__all__ = ["WEB_FILE", "write_web"]

WEB_FILE = "index.html"
"""The name of the page."""


@public
def write_web(
    model: Any, out: str | os.PathLike[str], *, name: str | None = None, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write a page that runs a model: one file of HTML that needs no server and no network.

    - A `TextClassifier` reads as one types, and shows which words moved it.
    - A `LanguageModel` writes on after a beginning.
    - A `NoteModel` composes and plays, with a piano roll; the model of the recipe "song" sings.
    - A `Forecaster` draws its series and their forecasts, also for a history that one changes.
    - A Sequential or functional model that reads one number a step and gives one goes on where one draws a
      curve.

    All pages work with keyboard and phone, in English and Korean.

    Args:
        model: one of these, trained.
        out: the folder; the page in it is `index.html`.
        name: the title of the page; by default what kind of model it is.
        overwrite: whether a page in the folder that nabi did not write may be replaced.

    Returns:
        The files that were written: the page.

    Raises:
        ArgumentError: for another kind of model, one that is not trained, or layers that cannot go step by
            step; all are named.
        NotFiniteError: if a weight is NaN or infinite.
        OutputError: if the folder cannot be written.
    """
    title, make = _page_of(model)
    if name is not None:
        title = name
    folder = check_folder(out, [WEB_FILE], WEB_FILE, overwrite=overwrite)
    return tuple(write_folder(folder, {WEB_FILE: write_page(make(model, title))}))


def _page_of(model: Any) -> tuple[str, Callable[[Any, str], Page]]:
    """Return the title and what makes the page of a model."""
    from nabi.shipping._web._pages._classifier import classifier_page
    from nabi.shipping._web._pages._curve import continues_curves, curve_page
    from nabi.shipping._web._pages._forecaster import forecaster_page
    from nabi.shipping._web._pages._notes import is_song, notes_page, song_page
    from nabi.shipping._web._pages._writer import writer_page

    pages: dict[type, tuple[str, Callable[[Any, str], Page]]] = {
        models.LanguageModel: ("Language model", writer_page),
        models.TextClassifier: ("Text classifier", classifier_page),
        models.NoteModel: ("Composer", notes_page),
        models.Forecaster: ("Forecast", forecaster_page),
    }
    for kind, page in pages.items():
        if isinstance(model, kind):
            return page
    if is_song(model):
        return "나비야", song_page
    if continues_curves(model):
        return "Curves", curve_page
    if isinstance(model, models.Sequential | models.Functional) and model.input_shape is None:
        raise ArgumentError(f"model: {model.name} has no input shape yet; build or fit it first")
    known = ", ".join(kind.__name__ for kind in pages)
    raise ArgumentError(
        f"model: expected a kind that has a page ({known}, the model of the recipe song, or a model that "
        f"reads one number a step and gives one), got {type(model).__name__}"
    )
