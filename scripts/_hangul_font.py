"""Makes nabi/drawing/_hangul/nabi-hangul.otf: the Hangul of Noto Sans CJK KR that KS X 1001 has.

Source: Noto Sans CJK, https://github.com/notofonts/noto-cjk, SIL Open Font License 1.1. Of its 65,535 glyphs,
the 2,350 syllables of the Korean standard KS X 1001 and the 51 letters that stand alone are kept. Everything
beyond outlines and widths is left out, which makes a file of 250 kB; all 11,172 syllables would take 1.1 MB.
The licence asks for another name than the original's.
"""

import argparse
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

_FACE = "Noto Sans CJK KR"
_NAME = "nabi Hangul"
_PLACE = Path(__file__).parent.parent / "nabi" / "drawing" / "_hangul" / "nabi-hangul.otf"
_LETTERS = range(0x3131, 0x3164)  # ㄱ to ㅣ
# Layout of text that goes downwards, and rules for pairs of letters, which matplotlib does not use.
_NOT_NEEDED = ("vhea", "vmtx", "VORG", "BASE", "GPOS", "GSUB", "GDEF")
_COPYRIGHT, _FAMILY, _STYLE, _UNIQUE, _FULL, _VERSION, _POSTSCRIPT, _LICENCE, _LICENCE_AT = (
    0, 1, 2, 3, 4, 5, 6, 13, 14,
)  # fmt: skip


def syllables() -> list[str]:
    """Return the syllables of KS X 1001: the rows 16 to 40 of its table, as EUC-KR writes them."""
    rows = range(0xB0, 0xC9)
    return [bytes([row, cell]).decode("euc-kr") for row in rows for cell in range(0xA1, 0xFF)]


def make(source: Path, target: Path) -> None:
    """Write the font.

    Args:
        source: NotoSansCJK-Regular.ttc.
        target: the file to write.
    """
    faces = TTCollection(source).fonts
    font: TTFont = next(one for one in faces if one["name"].getDebugName(_FULL) == _FACE)
    version = f"{font['head'].fontRevision:.3f}"
    font.recalcTimestamp = False  # the same file at every run
    options = subset.Options(
        layout_features=[], hinting=False, notdef_outline=True, name_IDs=[_COPYRIGHT, _LICENCE, _LICENCE_AT]
    )
    options.drop_tables += _NOT_NEEDED
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=[*map(ord, syllables()), *_LETTERS])
    chosen.subset(font)
    names = {
        _FAMILY: _NAME,
        _STYLE: "Regular",
        _UNIQUE: f"{_NAME} {version}",
        _FULL: _NAME,
        _VERSION: f"Version {version}, of {_FACE}",
        _POSTSCRIPT: _NAME.replace(" ", ""),
    }
    for number, text in names.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    top = font["CFF "].cff
    top.fontNames = [names[_POSTSCRIPT]]
    top.topDictIndex[0].FullName = top.topDictIndex[0].FamilyName = _NAME
    font.save(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the font with which pictures show Hangul.")
    parser.add_argument("source", type=Path, help="NotoSansCJK-Regular.ttc")
    parser.add_argument("--out", type=Path, default=_PLACE, help="file to write; nabi's own by default")
    given = parser.parse_args()
    make(given.source, given.out)
