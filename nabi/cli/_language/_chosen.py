"""Which language to speak: NABI_LANG, else the locale."""

import locale
import os
import re
import sys
from collections.abc import Mapping

__all__ = ["chosen"]

_VARIABLES = ("NABI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_LANGUAGES = {"ko": "ko", "korean": "ko"}  # as in ko_KR.UTF-8 and, on Windows, Korean_Korea.949


def chosen(environment: Mapping[str, str] | None = None) -> str:
    """Return the language: `ko`, or `en` for English and for all languages without a catalogue.

    The first that is set counts: NABI_LANG, LC_ALL, LC_MESSAGES, LANG; without any, the settings of the
    system. A terminal that cannot show the language's letters is spoken to in English.

    >>> chosen({"LANG": "ko_KR.UTF-8"}), chosen({"LANG": "ko_KR.UTF-8", "NABI_LANG": "en"})
    ('ko', 'en')
    >>> chosen({"NABI_LANG": "tlh"})
    'en'
    """
    given = os.environ if environment is None else environment
    name = next((given[one] for one in _VARIABLES if given.get(one)), None)
    if name is None:
        name = (locale.getlocale()[0] if environment is None else None) or ""
    language = _LANGUAGES.get(re.split(r"[^a-z]", name.lower())[0], "en")
    return language if language == "en" or _is_shown("가") else "en"


def _is_shown(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
