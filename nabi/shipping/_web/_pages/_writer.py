"""The page of a language model: it writes on."""

from nabi import models
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.shipping._web._module import module_of
from nabi.shipping._web._page import Page

__all__ = ["writer_page"]


def writer_page(model: models.LanguageModel, name: str) -> Page:
    """Return the page.

    Raises:
        ArgumentError: if the model is not trained, or a layer cannot go step by step.
    """
    if not hasattr(model, "vocabulary"):
        raise ArgumentError("model: the language model has not learnt from a text yet; fit it first")
    banned = [Vocabulary.PADDING, Vocabulary.UNKNOWN, Vocabulary.SEPARATOR]
    facts = {
        "vocabulary": model.vocabulary.to_dict(),
        "banned": banned if model.ends else [*banned, Vocabulary.START],
    }
    return Page("writer", name, [module_of(model)], facts, scripts=("words.mjs",))
