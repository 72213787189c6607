"""The site: every page and link, and what a browser, an automatic checker and a keyboard make of it."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from .shipping.browser import Browser, needs_browser

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "site"))

pytestmark = pytest.mark.skipif(
    any(
        find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml", "nbformat")
    ),
    reason="MkDocs and what the site needs are not installed: pip install -e '.[docs]'",
)
AXE = find_spec("axe_playwright_python")
# One of each kind: start, translated start, equations, notebook with pictures and output, tables.
PAGES = [
    "",
    "ko/",
    "cells/simple/",
    "notebooks/hello-from-scratch/",
    "ko/notebooks/hello-from-scratch/",
    "writing/",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The whole site but the reference, which takes longest."""
    target = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, ROOT / "site", "--without-reference", "--out", target]
    # MkDocs writes to its user what its authors plan, which is no warning of a page.
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return target


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(width=1280, height=900) as opened:
        # No page knows which colours an earlier one had; blank pages have no memory.
        forget = "try { localStorage.clear() } catch {}"
        opened("Page.addScriptToEvaluateOnNewDocument", source=forget)
        yield opened


def show(browser: Browser, address: str) -> None:
    browser("Page.navigate", url="about:blank")
    browser.wait("location.href === 'about:blank'")
    browser("Page.navigate", url=address)
    browser.wait("document.readyState === 'complete' && location.href !== 'about:blank'")


def test_every_source_is_a_page(site) -> None:
    """That every link leads somewhere is a part of the build, which has succeeded."""
    from pages import pages_of

    made = pages_of(ROOT)
    assert {page.source.suffix for page in made} == {".md", ".ipynb"}
    for page in made:
        place = (
            page.place.with_name("index.html")
            if page.place.stem == "index"
            else page.place.with_suffix("") / "index.html"
        )
        text = (site / place).read_text(encoding="utf-8")
        assert f'<html lang="{page.language}"' in text


def test_a_broken_link_is_found(tmp_path) -> None:
    from links import problems

    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="a/#there">x</a><a href="a/#gone">x</a><a href="b/">x</a><a href="#here">x</a>'
        '<img src="https://example.org/x.png" alt=""><a href="https://example.org">x</a>'
    )
    (tmp_path / "a" / "index.html").write_text('<h1 id="there">x</h1><a href="../#nowhere">x</a>')
    assert problems(tmp_path) == [
        "a/index.html: ../#nowhere leads nowhere",
        "index.html: loads https://example.org/x.png from elsewhere",
        "index.html: no alternative text for https://example.org/x.png",
        "index.html: a/#gone leads nowhere",
        "index.html: b/ leads nowhere",
    ]


def test_equations_are_mathml(site) -> None:
    text = (site / "cells" / "simple" / "index.html").read_text(encoding="utf-8")
    assert text.count("<math ") > 5
    assert "arithmatex" not in text
    assert "\\begin{gather" not in text.replace('alttext="\\begin{gather', "").replace(
        'label="\\begin{gather', ""
    )


def test_equations_that_a_notebook_shows_are_mathml(site) -> None:
    text = (site / "notebooks" / "cells-and-the-song" / "index.html").read_text(encoding="utf-8")
    assert "IPython.core" not in text
    # Of each cell its name and its equations below each other.
    shown = re.findall(r'<div class="equation".*?</div>', text, re.DOTALL)
    coupled = next(one for one in shown if "coupled LSTM" in one)
    assert coupled.count("<mtr>") == 2 + 5


def test_code_that_prepares_is_folded_away(site) -> None:
    text = (site / "ko" / "notebooks" / "hello-from-scratch" / "index.html").read_text(encoding="utf-8")
    folded = re.findall(r"<details>\s*<summary>코드</summary>(.*?)</details>", text, re.DOTALL)
    assert ["importlib" in folded[0], "matplotlib" in folded[1], len(folded)] == [True, True, 2]


def test_the_language_of_a_page_comes_first_in_its_navigation(site) -> None:
    for place, first in (("seeing", "Home"), ("ko/seeing", "한국어")):
        text = (site / place / "index.html").read_text(encoding="utf-8")
        sections = re.findall(r'md-nav__item.*?<span class="md-ellipsis">\s*(.*?)\s*<', text, re.DOTALL)
        assert sections[0] == first


def test_pictures_lead_to_themselves(site) -> None:
    text = (site / "seeing" / "index.html").read_text(encoding="utf-8")
    assert '<a href="../pictures/unrolled-lstm.svg"><img ' in text


@needs_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_have_no_error_and_ask_no_other_host(site, address, browser, width) -> None:
    browser.resize(width, 900)
    for page in PAGES:
        show(browser, address + page)
        asked = browser.value("performance.getEntriesByType('resource').map(one => one.name)")
        assert asked
        assert [one for one in asked if not one.startswith((address, "data:", "blob:"))] == []
        assert browser.value("document.documentElement.scrollWidth <= window.innerWidth"), (
            f"{page} is too wide"
        )
        pieces = "Array.from(document.querySelectorAll('.unbroken'), one => one.getClientRects().length)"
        assert set(browser.value(pieces)) <= {0, 1}, f"{page} breaks short code"
        assert browser.errors == []


@needs_browser
@pytest.mark.skipif(AXE is None, reason="the checker axe is not installed: see tests/oracles.txt")
@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_checker_of_accessibility_finds_nothing(site, address, browser, scheme, page) -> None:
    """Contrast, names, roles, languages, alternative texts, keyboard: WCAG 2.1 A and AA, as axe sees it."""
    assert AXE is not None
    assert AXE.origin is not None
    checker = (Path(AXE.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.resize(1280, 900)
    browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    show(browser, address + page)
    wanted = {"light": "default", "dark": "slate"}[scheme]
    browser.wait(f"document.body.dataset.mdColorScheme === '{wanted}'")  # a script sets it after loading
    browser.value(f"{checker}; 1")
    found = browser.value(
        f"axe.run(document, {{runOnly: {RULES}}}).then(told => told.violations.map("
        "one => one.id + ': ' + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')))"
    )
    assert found == []


@needs_browser
def test_search_and_keyboard(site, address, browser) -> None:
    browser.resize(1280, 900)
    show(browser, address)
    browser.press("Tab")
    assert "md-skip" in browser.value("document.activeElement.className")
    browser.value("document.querySelector('.md-search__input').focus()")
    browser.type("하이퍼볼릭 tanh")
    browser.wait("document.querySelector('.md-search-result__link') !== null")


@pytest.mark.rotates(days=7)
@pytest.mark.parametrize("turn", range(7))
def test_the_reference_has_every_public_name(turn, tmp_path) -> None:
    from building import build
    from links import Links
    from pages import REFERENCE, _public_list

    names = REFERENCE[turn::7]
    build(tmp_path / "site", reference=names, documents=False)
    for name in names:
        package = ROOT / "nabi" / name
        page = Links((tmp_path / "site" / "reference" / name / "index.html").read_text(encoding="utf-8"))
        listed = _public_list(package / "__init__.py" if package.is_dir() else package.with_suffix(".py"))
        assert [one for one in listed if f"nabi.{name}.{one}" not in page.places] == []


def test_short_code_stays_in_one_line() -> None:
    from hooks import on_page_content

    long = "nabi train reviews.csv --text review"
    page = f"<p><code>--separator</code> <code>{long}</code></p><pre><code>--separator</code></pre>"
    assert on_page_content(page) == (
        '<p><code class="unbroken">--separator</code> '
        '<code>nabi train reviews.csv <span class="unbroken">--text</span> review</code></p>'
        '<pre tabindex="0"><code>--separator</code></pre>'
    )


def test_names_that_share_a_line_of_a_docstring_are_read_as_one() -> None:
    import griffe
    from docstrings import with_shared_lines

    text = with_shared_lines("Draw.\n\nArgs:\n    width, height: in pixels.\n    title (str): above it.\n")
    section = griffe.Docstring(text).parse("google", warnings=False)[1]
    assert [one.name for one in section.value] == ["width,\N{NO-BREAK SPACE}height", "title"]


def test_examples_in_docstrings_become_code() -> None:
    from docstrings import with_examples_as_code

    assert with_examples_as_code("Add.\n\n>>> 1 + 1\n2") == "Add.\n\n```pycon\n>>> 1 + 1\n2\n```"
    assert with_examples_as_code("Add:\n>>> 1\n1\n\nMore.") == "Add:\n\n```pycon\n>>> 1\n1\n```\n\nMore."
    section = "Add.\n\nExample:\n    >>> 1\n    1"
    assert with_examples_as_code(section) == section.replace("Example:", "Examples:")
