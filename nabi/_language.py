"""The language in which nabi speaks to people: English or Korean."""

import locale
import os
import re
from collections.abc import Mapping
from typing import Literal

from nabi.errors import unknown_name

__all__ = ["LANGUAGES", "Language", "language_of"]

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
# What decides in a shell: the first that says anything.
_VARIABLES = ("NABI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_KOREAN = ("ko", "korean")  # as in ko_KR.UTF-8 and, on Windows, Korean_Korea.949


def language_of(given: str | None = None, environment: Mapping[str, str] | None = None) -> Language:
    """Return a language: the one that is given, or else that of `NABI_LANG`, or that of the locale.

    A language of the environment that nabi does not speak is English.

    Args:
        given: "en", "ko" or None.
        environment: variables instead of those of the process; the system's settings then do not count.

    Raises:
        UnknownNameError: for another one that is given.

    >>> language_of("ko")
    'ko'
    >>> language_of(environment={"LANG": "ko_KR.UTF-8"})
    'ko'
    >>> language_of(environment={"LANG": "ko_KR.UTF-8", "NABI_LANG": "tlh"})
    'en'
    """
    if given is not None:
        for known in LANGUAGES:
            if given == known:
                return known
        raise unknown_name("language", given, LANGUAGES)
    variables = os.environ if environment is None else environment
    said = next((value for name in _VARIABLES if (value := variables.get(name))), None)
    if said is None:
        said = (locale.getlocale()[0] if environment is None else None) or ""
    return "ko" if re.split(r"[^a-z]", said.lower())[0] in _KOREAN else "en"
