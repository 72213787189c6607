"""The page of a model of numbers in a row: one draws a curve, and it goes on."""

from typing import Any

from nabi import models
from nabi.shipping._web._module import module_of
from nabi.shipping._web._page import Page

__all__ = ["continues_curves", "curve_page"]


def continues_curves(model: Any) -> bool:
    """Tell whether a model reads one number a step and gives one, so that it can read its own outputs."""
    if not isinstance(model, models.Sequential | models.Functional) or not model.built:
        return False
    given, found = model.input_shape, model.output_shape
    return (
        isinstance(given, tuple)
        and isinstance(found, tuple)
        and len(given) == 3
        and given[-1] == 1
        and found[-1] == 1
    )


def curve_page(model: Any, name: str) -> Page:
    """Return the page of a model for which `continues_curves` is true.

    Raises:
        ArgumentError: if a layer cannot go step by step.
    """
    return Page("curve", name, [module_of(model)], {})
