"""Which language a terminal is spoken to in."""

import sys

from nabi._language import Language, language_of

__all__ = ["chosen"]


def chosen() -> Language:
    """Return the language of `NABI_LANG` or the locale; English if the terminal cannot show its letters."""
    language = language_of()
    return language if language == "en" or _is_shown("가") else "en"


def _is_shown(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
