"""A catalogue of messages: English to another language, with values in between."""

import ast
import re
import string
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nabi.cli._language._particles import FORMS, with_particle

__all__ = ["Catalogue", "read"]

_ENTRY = re.compile(r'^msgid ((?:".*"\s*)+)^msgstr ((?:".*"\s*)+)', re.MULTILINE)
_VALUE = re.compile(r"\{(\w+)\}")
# Values that are messages themselves.
_PARTS = ("wanted", "problem", "kind_of_model")


class _Writer(string.Formatter):
    """Writes `{name:을}` as the value with the form of the particle that follows it."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in FORMS:
            return with_particle(str(value), format_spec)
        return str(super().format_field(value, format_spec))


class Catalogue:
    """Messages in another language.

    Attributes:
        texts: translations by English text. In braces stand values: `{name}`; in a translation also with a
            Korean particle, `{name:을}`.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self._patterns = [(_pattern(one), to) for one, to in self.texts.items() if _VALUE.search(one)]

    def translate(self, text: str) -> str | None:
        """Return the translation of a text; None where there is none.

        A text with values is recognised by the words around them, so that messages are written in English
        where they are raised, as usual. The first that fits is taken.

        >>> catalogue = Catalogue({"there is no file {path}": "파일 {path:이} 없습니다"})
        >>> catalogue.translate("there is no file plays.txt")
        '파일 plays.txt가 없습니다'
        """
        if text in self.texts and not _VALUE.search(text):
            return self.texts[text]
        for pattern, translation in self._patterns:
            found = pattern.fullmatch(text)
            if found is None:
                continue
            values: dict[str, str] = {}
            for name, value in found.groupdict().items():
                told = self.translate(value) if name in _PARTS else value
                if told is None:
                    break
                values[name] = told
            else:
                return _Writer().vformat(translation, (), values)
        return None


def _pattern(text: str) -> re.Pattern[str]:
    """Return what recognises a text with values; the same name is the same value."""
    parts = _VALUE.split(text)
    seen: set[str] = set()
    written = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            written.append(re.escape(part))
        else:
            written.append(f"(?P={part})" if part in seen else f"(?P<{part}>.+?)")
            seen.add(part)
    return re.compile("".join(written), re.DOTALL)


@lru_cache(maxsize=4)
def read(language: str) -> Catalogue:
    """Read the catalogue of a language: `ko`."""
    text = (Path(__file__).parent / f"{language}.po").read_text(encoding="utf-8")
    entries = ((_unquoted(source), _unquoted(translation)) for source, translation in _ENTRY.findall(text))
    return Catalogue({source: translation for source, translation in entries if source})


def _unquoted(lines: str) -> str:
    return "".join(str(ast.literal_eval(line)) for line in lines.split("\n") if line.strip())
