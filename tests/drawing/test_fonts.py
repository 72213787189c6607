"""Text in any script in a picture."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from nabi.drawing import _fonts as fonts_module
from nabi.targets.picture import Fonts, fonts_for


@pytest.fixture
def only_the_first(monkeypatch):
    """A machine that has no font but the one that comes with matplotlib, and a nabi without its own."""
    from matplotlib.font_manager import fontManager

    fonts_module._find.cache_clear()
    monkeypatch.setattr(fonts_module, "_SHIPPED", Path("gone.otf"))
    monkeypatch.setattr(fontManager, "ttflist", [e for e in fontManager.ttflist if e.name == "DejaVu Sans"])
    yield
    fonts_module._find.cache_clear()


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("나비야 이리 날아", "nabiya iri nala"),
        ("ㅋㅋ ㅠㅠ ㅇㅈ ㄲ", "khkh yuyu ngc kk"),
        ("ひらがな カ", "hiragana ka"),
        ("中", "[4E2D]"),
        ("ＡＢ", "AB"),
        ("🦋", "[butterfly]"),
        ("a\x07b\tc\nd", "ab c d"),
        ("plain, déjà σ $x$", "plain, déjà σ $x$"),
    ],
)
def test_what_no_font_has_is_spelt_out(only_the_first, text, spelt):
    fonts = fonts_for([text])
    assert fonts.families == ("DejaVu Sans",)
    written = fonts.write(text)
    assert written == spelt
    assert not fonts_for([written]).missing


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=8))
def test_whatever_is_written_can_be_drawn(only_the_first, text):
    written = fonts_for([text]).write(text)
    assert not fonts_for([written]).missing
    assert written == " ".join(written.split())


def test_matplotlib_does_not_warn(only_the_first):
    """Matplotlib warns of a character without a glyph, and here a warning is an error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    text = "나비 中 🦋 ё x\u0301 \ud800"
    fonts = fonts_for([text])
    figure = Figure()
    figure.text(0.5, 0.5, fonts.write(text), fontfamily=list(fonts.families), parse_math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()


def test_a_font_that_has_the_characters_is_used(only_the_first, monkeypatch):
    from matplotlib.font_manager import FontEntry, fontManager

    korean = FontEntry(fname="korean.ttf", name="Korean", style="normal", weight=400)
    boxes = FontEntry(fname="boxes.ttf", name="Last Resort", style="normal", weight=400)
    broken = FontEntry(fname="gone.ttf", name="Gone", style="normal", weight=400)
    monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist, broken, boxes, korean])
    has = {"korean.ttf": frozenset("나비"), "boxes.ttf": frozenset("나비中")}
    real = fonts_module._characters
    monkeypatch.setattr(fonts_module, "_characters", lambda file: has[file] if file in has else real(file))
    assert fonts_for(["나비 中"]) == Fonts(("DejaVu Sans", "Korean"), frozenset("中"))


@pytest.fixture
def no_korean_font(only_the_first, monkeypatch):
    """A machine that has no Korean font, with nabi as it is installed."""
    shipped = Path(fonts_module.__file__).parent / "_hangul" / "nabi-hangul.otf"
    monkeypatch.setattr(fonts_module, "_SHIPPED", shipped)
    fonts_module._shipped_family.cache_clear()
    yield
    fonts_module._shipped_family.cache_clear()


def test_hangul_is_shown_where_no_font_of_the_system_has_it(no_korean_font):
    fonts = fonts_for(["나비야 ㅋㅋ 뷁 中"])
    assert fonts == Fonts(("DejaVu Sans", "nabi Hangul"), frozenset("뷁中"))
    assert fonts.write("나비야 뷁") == "나비야 bwelg"
    syllables = [
        bytes([row, cell]).decode("euc-kr") for row in range(0xB0, 0xC9) for cell in range(0xA1, 0xFF)
    ]
    assert fonts_for(["".join(syllables)]).missing == frozenset()


def test_fonts_made_for_korean_come_first(only_the_first, monkeypatch):
    from matplotlib.font_manager import FontEntry, fontManager

    entries = [
        FontEntry(fname=f"{name}.ttf", name=name, style="normal", weight=400)
        for name in ("Another Script", "Malgun Gothic", "Apple SD Gothic Neo")
    ]
    monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist, *entries])
    real = fonts_module._characters
    monkeypatch.setattr(
        fonts_module,
        "_characters",
        lambda file: frozenset("나비") if file.endswith(".ttf") and "/" not in file else real(file),
    )
    assert fonts_for(["나비"]).families == ("DejaVu Sans", "Apple SD Gothic Neo")


def outlines(figure, path: Path) -> set[str]:
    """The glyphs that an SVG file draws, as FONT-NUMBER."""
    from nabi.drawing import write_figure

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_figure(figure, path)
    return set(re.findall(r'href="#([\w-]+)-[0-9a-f]+"', path.read_text(encoding="utf-8")))


def test_every_text_of_a_picture_is_shown(no_korean_font, tmp_path):
    """Labels, ticks, titles and legends that say nothing of fonts; what no font has is spelt out."""
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], label="정답")
    axes.set_xticks([0, 1], ["처음", "끝 뷁"])
    axes.set_ylabel("오차 $x_t$")
    axes.set_title("나비")
    figure.legend()
    outlines(figure, tmp_path / "all.svg")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["처음", "끝 bwelg"]
    assert axes.get_ylabel() == "oca $x_t$"
    for text in (axes.title, axes.get_xticklabels()[0], figure.legends[0].get_texts()[0]):
        assert text.get_fontfamily() == ["DejaVu Sans", "nabi Hangul"]
    assert axes.get_yticklabels()[0].get_fontfamily() != ["DejaVu Sans", "nabi Hangul"]


def test_labels_of_a_picture_of_nabi_are_shown(no_korean_font, tmp_path):
    """A picture that chose no fonts itself: matplotlib warned of every letter."""
    from nabi.explain import base_labels_picture

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        base_labels_picture(
            "ACGT", {"신경망": np.full((4, 2), 0.5)}, ["영역", "사이"], tmp_path / "labels.png", title="염기"
        )


NOTO = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


@pytest.mark.rotates(days=7)
@pytest.mark.skipif(not NOTO.exists(), reason="Noto Sans CJK is not installed")
def test_the_shipped_font_is_what_its_script_makes(tmp_path):
    """Where the same release of Noto is installed; characters, names and outlines."""
    from fontTools.ttLib import TTCollection, TTFont

    root = Path(__file__).parents[2]
    shipped = TTFont(root / "nabi" / "drawing" / "_hangul" / "nabi-hangul.otf")
    if TTCollection(NOTO).fonts[0]["head"].fontRevision != shipped["head"].fontRevision:
        pytest.skip("another release of Noto Sans CJK is installed")
    made = tmp_path / "made.otf"
    subprocess.run([sys.executable, root / "scripts" / "_hangul_font.py", NOTO, "--out", made], check=True)
    assert made.read_bytes() == (root / "nabi" / "drawing" / "_hangul" / "nabi-hangul.otf").read_bytes()
