"""Text in any script in a picture."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from nabi.drawing import _fonts as fonts_module
from nabi.targets.picture import Fonts, fonts_for


@pytest.fixture
def only_the_first(monkeypatch):
    """A machine that has no font but the one that comes with matplotlib."""
    from matplotlib.font_manager import fontManager

    fonts_module._find.cache_clear()
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
