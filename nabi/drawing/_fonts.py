"""Text in any script in a picture: fonts that have its characters, or a readable transliteration."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Fonts", "fonts_for", "give_fonts"]

_FIRST = "DejaVu Sans"  # comes with matplotlib, so it is always available
# Fonts made for Korean, of Linux, macOS and Windows: other fonts with Hangul were drawn for other scripts. Of
# Noto's collections matplotlib lists the first face, which is the Japanese one and has the same Hangul.
_KOREAN = (
    "Noto Sans CJK KR", "Noto Sans KR", "Noto Sans CJK JP", "Source Han Sans KR", "Apple SD Gothic Neo",
    "Malgun Gothic", "NanumGothic", "Nanum Gothic", "NanumBarunGothic", "UnDotum", "Baekmuk Dotum",
    "AppleGothic", "Gulim",
)  # fmt: skip
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_SHIPPED = Path(__file__).parent / "_hangul" / "nabi-hangul.otf"  # KS X 1001; see scripts/hangul-font
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
        return " ".join(_written(text, self.missing).split())


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Find fonts for all the characters of some texts.

    Searches the fonts known to matplotlib, including the system's, only as far as needed; those made for
    Korean first if there is Hangul. Where no font of the system has it, nabi's own shows the 2,350 syllables
    of KS X 1001. `Fonts.write` transliterates characters that no font has: a Hangul syllable by its sound,
    most others by their Unicode name.

    >>> fonts_for(["nabi", "σ"]).families
    ('DejaVu Sans',)
    """
    wanted = frozenset().union(*map(frozenset, texts))
    return _find(frozenset(character for character in wanted if not character.isspace()))


def give_fonts(figure: "Figure") -> None:
    """Give each text of a figure fonts that have its characters, where matplotlib's own lacks some.

    Texts with several fonts of their own are left alone. What no font has is transliterated, and so is what
    stands in a formula beside the formula's own letters, which come from one font.
    """
    from matplotlib.cbook import is_math_text
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FuncFormatter):  # labels that were given; others are numbers
                # A tick's text is made whenever it is drawn.
                formatter.func = partial(_tick, formatter.func)
            axis.get_ticklabels()  # sets the texts of the ticks
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        shown = text.get_text()
        beyond = frozenset(one for one in shown if not one.isspace()) - _first_characters()
        if not beyond or len(text.get_fontfamily()) > 1:
            continue
        if text.get_parse_math() and is_math_text(shown):
            text.set_text(_written(shown, beyond))
            continue
        fonts = fonts_for([shown])
        text.set_fontfamily(list(fonts.families))
        text.set_text(_written(shown, fonts.missing))


def _tick(label: Callable[..., str], *place: object) -> str:
    text = label(*place)
    return _written(text, fonts_for([text]).missing)


def _written(text: str, missing: frozenset[str]) -> str:
    return "".join(_spelt(character) if character in missing else character for character in text)


def _first_characters() -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont

    return _characters(findfont(FontProperties(family=_FIRST)))


@lru_cache(maxsize=64)
def _find(wanted: frozenset[str]) -> Fonts:
    from matplotlib.font_manager import fontManager

    families = [_FIRST]
    missing = wanted - _first_characters()
    korean = any(map(_HANGUL.match, missing))

    def order(entry: object) -> tuple[object, ...]:
        name = str(getattr(entry, "name", ""))
        place = _KOREAN.index(name) if korean and name in _KOREAN else len(_KOREAN)
        return (place, *_unlikeness(entry))

    # Upright fonts of normal weight first, and sans-serif ones among these, like the default font.
    for entry in sorted(fontManager.ttflist, key=order):
        if not missing:
            break
        if entry.name in families or entry.name.startswith(_BOXES):
            continue
        found = missing & _characters(entry.fname)
        if found:
            families.append(entry.name)
            missing -= found
    if any(map(_HANGUL.match, missing)) and (found := missing & _characters(str(_SHIPPED))):
        families.append(_shipped_family())
        missing -= found
    return Fonts(tuple(families), missing)


@lru_cache(maxsize=1)
def _shipped_family() -> str:
    """Tell matplotlib of nabi's own font; return its name."""
    from matplotlib.font_manager import fontManager, get_font

    fontManager.addfont(_SHIPPED)
    return str(get_font(str(_SHIPPED)).family_name)


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
