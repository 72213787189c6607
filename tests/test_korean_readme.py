"""Documents in Korean say what those in English say, as far as a program can tell."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
KOREAN = (ROOT / "README.ko.md").read_text(encoding="utf-8")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HANGUL = re.compile("[가-힣]")


def headings(text: str) -> list[int]:
    """The level of each heading."""
    return [len(marks) for marks in re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)]


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Code and commands without their comments, which are translated."""
    return [
        (language, [re.sub(r"\s*# .*", "", line) for line in code.splitlines()])
        for language, code in BLOCK.findall(text)
    ]


def commands_in_comments(text: str) -> list[str]:
    return re.findall(r"# .*?(nabi [a-z]+ .*)$", text, re.MULTILINE)


def links(text: str) -> list[str]:
    """In each part of the text; order within a part follows the language."""
    return sorted(target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("README"))


def code_words(text: str) -> list[str]:
    return sorted(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


@pytest.mark.parametrize("told", [headings, blocks, commands_in_comments], ids=lambda told: told.__name__)
def test_both_readmes_have_the_same(told) -> None:
    assert told(KOREAN) == told(ENGLISH)
    assert told(ENGLISH)


@pytest.mark.parametrize("told", [links, code_words], ids=lambda told: told.__name__)
def test_both_readmes_have_the_same_in_each_part(told) -> None:
    parts = [re.split(r"^## .*$", BLOCK.sub("", text), flags=re.MULTILINE) for text in (KOREAN, ENGLISH)]
    assert [told(part) for part in parts[0]] == [told(part) for part in parts[1]]
    assert told(ENGLISH)


def test_tables_have_the_same_rows() -> None:
    rows = [
        [line.count("|") for line in text.splitlines() if line.startswith("|")] for text in (KOREAN, ENGLISH)
    ]
    assert rows[0] == rows[1]
    assert rows[0]


def figures(text: str) -> list[list[str]]:
    """Of each row of a table; order within a row follows the language."""
    rows = [line for line in BLOCK.sub("", text).splitlines() if line.startswith("|")]
    return [sorted(re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*", row)) for row in rows]


def test_each_readme_leads_to_the_other() -> None:
    assert "](README.ko.md)" in ENGLISH
    assert "](README.md)" in KOREAN


def test_every_paragraph_is_translated() -> None:
    text = BLOCK.sub("", KOREAN)
    paragraphs = [part for part in text.split("\n\n") if len(part) > 40 and not part.startswith("|")]
    assert paragraphs
    assert [part for part in paragraphs if not HANGUL.search(part)] == []


TRANSLATED = sorted((ROOT / "docs").rglob("*.ko.md"))


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.name)
def test_a_translated_document_is_that_of_now(path: Path) -> None:
    korean = path.read_text(encoding="utf-8")
    original = path.with_name(path.name.replace(".ko.md", ".md"))
    english = original.read_text(encoding="utf-8")
    assert headings(korean) == headings(english)
    assert blocks(korean) == blocks(english)
    assert code_words(korean) == code_words(english)
    assert figures(korean) == figures(english)
    others = {original.name, path.name}
    assert [one for one in links(korean) if one not in others] == [
        one for one in links(english) if one not in others
    ]
    assert f"[English]({original.name}) | 한국어\n" in korean
    assert f"English | [한국어]({path.name})\n" in english
    prose = BLOCK.sub("", korean)
    assert [
        one for one in prose.split("\n\n") if len(one) > 40 and "`" not in one and not HANGUL.search(one)
    ] == []
