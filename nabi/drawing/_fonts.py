"""Text in any script in a picture: fonts that have its characters, or a readable transliteration."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Fonts", "fonts_for"]

_FIRST = "DejaVu Sans"  # comes with matplotlib, so it is always available
_BOXES = "Last Resort"  # a font with a box for every character
_INVISIBLE = {"Cc", "Cf", "Cs", "Mn", "Me"}
_VOWELS = re.compile(r"[AEIOUWY]+")


@dataclass(frozen=True)
class Fonts:
    """Fonts for some texts."""

    families: tuple[str, ...]
    """For matplotlib's `fontfamily`: each character is taken from the first that has it."""
    missing: frozenset[str]
    """Characters of the texts that no installed font has."""

    def write(self, text: str) -> str:
        """Return the text with missing characters transliterated and white space collapsed.

        >>> Fonts(("DejaVu Sans",), frozenset("나비")).write("나비  flies")
        'nabi flies'
        """
        shown = "".join(_spelt(character) if character in self.missing else character for character in text)
        return " ".join(shown.split())


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Find fonts for all the characters of some texts.

    Searches the fonts known to matplotlib, including the system's, only as far as needed. `Fonts.write`
    transliterates characters that no font has: a Hangul syllable by its sound, most others by their Unicode
    name.

    >>> fonts_for(["nabi", "σ"]).families
    ('DejaVu Sans',)
    """
    wanted = frozenset().union(*map(frozenset, texts))
    return _find(frozenset(character for character in wanted if not character.isspace()))


@lru_cache(maxsize=64)
def _find(wanted: frozenset[str]) -> Fonts:
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    families = [_FIRST]
    missing = wanted - _characters(findfont(FontProperties(family=_FIRST)))
    # Upright fonts of normal weight first, and sans-serif ones among these, like the default font.
    for entry in sorted(fontManager.ttflist, key=_unlikeness):
        if not missing:
            break
        if entry.name in families or entry.name.startswith(_BOXES):
            continue
        found = missing & _characters(entry.fname)
        if found:
            families.append(entry.name)
            missing -= found
    return Fonts(tuple(families), missing)


def _unlikeness(entry: object) -> tuple[bool, bool, str, str]:
    style, weight, name = (str(getattr(entry, part, "")) for part in ("style", "weight", "name"))
    plain = style == "normal" and weight in {"400", "normal", "regular"}
    return not plain, "serif" in name.lower() and "sans" not in name.lower(), name, str(entry)


@lru_cache(maxsize=1024)
def _characters(file: str) -> frozenset[str]:
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(file).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # damaged, or removed since it was listed
        return frozenset()


def _spelt(character: str) -> str:
    if unicodedata.category(character) in _INVISIBLE:
        return ""
    plain = unicodedata.normalize("NFKC", character)
    if plain.isascii():
        return plain
    name = unicodedata.name(character, "")
    script, _, letter = name.partition(" LETTER ")
    if name.startswith("HANGUL SYLLABLE "):
        return name.removeprefix("HANGUL SYLLABLE ").lower()
    if script == "HANGUL" and letter:
        return _jamo(letter)
    if letter:
        return letter.rpartition(" ")[2].lower()
    if not name or "-" in name:  # CJK UNIFIED IDEOGRAPH-4E00 is only a number
        return f"[{ord(character):X}]"
    return f"[{name.lower()}]"


def _jamo(name: str) -> str:
    """Return the transliteration of a Korean letter: its name begins with its sound."""
    if _VOWELS.fullmatch(name):
        return name.lower()
    if name == "IEUNG":
        return "ng"
    twice = name.startswith("SSANG")
    sound = re.match(r"[^AEIOUWY]*", name.removeprefix("SSANG"))
    return (sound[0].lower() if sound else "") * (2 if twice else 1)
