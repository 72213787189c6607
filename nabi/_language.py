"""The language in which nabi speaks to people: English or Korean."""

import os
from typing import Literal

from nabi.errors import unknown_name

__all__ = ["LANGUAGES", "Language", "language_of"]

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
# What decides in a shell, the first that says anything; a list of languages in the last one.
_VARIABLES = ("NABI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def language_of(given: str | None = None) -> Language:
    """Return a language: the one that is given, or else that of `NABI_LANG`, or that of the locale.

    A language of the environment that nabi does not speak is English.

    Args:
        given: "en", "ko" or None.

    Raises:
        UnknownNameError: for another one that is given.

    >>> language_of("ko")
    'ko'
    """
    if given is not None:
        for known in LANGUAGES:
            if given == known:
                return known
        raise unknown_name("language", given, LANGUAGES)
    said = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    return "ko" if said.lower().startswith("ko") else "en"
