"""What MkDocs is told while it builds: languages of pages, equations as MathML, pictures in full size."""

import copy
import html
import re
from typing import Any

from latex2mathml.converter import convert

__all__ = ["on_page_content", "on_page_context", "on_post_page"]

_EQUATION = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)
_PICTURE = re.compile(r'<img [^>]*?src="([^"]+)"[^>]*>')
_INLINE_CODE = re.compile(r"(<pre\b.*?</pre>)|<code>([^<]*)</code>", re.DOTALL)
_SHORT = 30  # characters that fit into a line of a phone, in a list, too
_NAMES = {"en": "English", "ko": "한국어"}


def on_page_content(content: str, **_: Any) -> str:
    """Turn equations into MathML, which browsers show without a program; have code scroll by keyboard.

    A picture leads to itself in full size, which a phone can then enlarge. Short code in a text, such as an
    option, stays in one line.
    """
    # The theme takes the focus from `code`, so that it is `pre` which scrolls.
    content = re.sub(r"<pre(?=[^>]*>(?:<span></span>)?<code>)", '<pre tabindex="0"', content)
    content = _PICTURE.sub(r'<a href="\1">\g<0></a>', content)
    content = _INLINE_CODE.sub(_unbroken, content)
    return _EQUATION.sub(_mathml, content)


def _unbroken(found: re.Match[str]) -> str:
    """Keep code in one piece, or its words if it is long: browsers would break it after a hyphen."""
    if found[1]:
        return found[0]
    if len(html.unescape(found[2])) <= _SHORT:
        return f'<code class="unbroken">{found[2]}</code>'
    words = re.split(r"(\s+)", found[2])
    return f"<code>{''.join(map(_unbroken_word, words))}</code>"


def _unbroken_word(word: str) -> str:
    if "-" in word and len(html.unescape(word)) <= _SHORT:
        return f'<span class="unbroken">{word}</span>'
    return word


def _mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found[3]).strip()
    # Lines below each other, which the converter knows as a table.
    lines = re.sub(r"\\begin\{(?:gather\*?|aligned)\}", r"\\begin{array}{l}", latex)
    lines = re.sub(r"\\end\{(?:gather\*?|aligned)\}", r"\\end{array}", lines)
    block = found[2] == "["
    mathml = convert(lines, display="block" if block else "inline")
    # What a screen reader reads where it knows no MathML.
    mathml = mathml.replace("<math ", f'<math alttext="{html.escape(latex)}" ', 1)
    if not block:
        return mathml
    # Long equations scroll, also by keyboard.
    return f'<div class="equation" tabindex="0" role="group" aria-label="{html.escape(latex)}">{mathml}</div>'


def on_page_context(context: dict[str, Any], page: Any, config: Any, nav: Any, **_: Any) -> dict[str, Any]:
    """Set the language of the theme to that of the page, and the other languages of it.

    The pages of that language come first in the navigation.
    """
    language = page.meta.get("language", "en")
    if language != "en":
        context["nav"] = copy.copy(nav)
        context["nav"].items = sorted(nav.items, key=lambda item: item.title != _NAMES[language])
    config.theme["language"] = language
    other = page.meta.get("other")
    links = {language: page.url, "ko" if language == "en" else "en": _address(other)} if other else {}
    if not links:
        links = {language: page.url, "ko" if language == "en" else "en": "ko/" if language == "en" else ""}
    config.extra["alternate"] = [
        {"name": _NAMES[one], "link": links[one] or ".", "lang": one} for one in sorted(links)
    ]
    return context


def _address(place: str) -> str:
    return re.sub(r"(^|/)index\.md$", r"\1", place).removesuffix(".md") + (
        "" if place.endswith("index.md") else "/"
    )


def on_post_page(output: str, **_: Any) -> str:
    """Leave out where other languages begin: for each, the theme would ask for a map of the site."""
    return re.sub(r'<link rel="alternate"[^>]*>', "", output)
