"""The source of a notebook: its text in two languages, its code once.

A source is made of cells. Each begins with a line that says its kind:

    === text        Text of both languages: `--- en`, then `--- ko`.
    === code        Python.
    === exercise    Python that the reader changes. The solution stands below a line `--- solution`.
    === beginning   The cells of `beginning.txt`, with which all notebooks begin.

In code, `⟦time|시간⟧` is `time` in the English notebook and `시간` in the Korean one. The solution of an
exercise is folded away in a text cell below its check, which is the code cell that follows the exercise.
Below code that shows a picture, `--- picture` is followed by what is seen in it, for those who cannot see it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["LANGUAGES", "SOURCES", "Cell", "cells_of", "file_name", "with_solutions"]

LANGUAGES = ("en", "ko")
SOURCES = sorted((Path(__file__).parent / "sources").glob("*.txt"))

_BEGINNING = Path(__file__).parent / "beginning.txt"
_KINDS = {"text", "code", "exercise"}
_CELL = re.compile(r"^=== (\w+)\n", re.MULTILINE)
_EITHER = re.compile("⟦(.*?)\\|(.*?)⟧", re.DOTALL)
_SHOWN = {"en": "A solution", "ko": "풀이 보기"}


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook in one language.

    Attributes:
        kind: `text`, `code` or `exercise`.
        text: Markdown, or Python.
        solution: of an exercise: what can stand in its place.
        picture: what is seen in the picture that the cell shows.
        folded: whether pages fold the code away: it prepares what follows.
    """

    kind: str
    text: str
    solution: str | None = None
    picture: str | None = None
    folded: bool = False

    @property
    def tags(self) -> list[str]:
        """What Jupyter and the site are told of the cell."""
        return ["exercise"] * (self.kind == "exercise") + ["hide-input"] * self.folded


def file_name(source: Path, language: str) -> str:
    """Return the name of a notebook: `NAME.ipynb` in English, `NAME.ko.ipynb` in Korean."""
    return f"{source.stem}{'' if language == 'en' else '.' + language}.ipynb"


def cells_of(source: Path, language: str) -> list[Cell]:
    """Return the cells of a notebook in one language.

    Raises:
        ValueError: a cell of another kind, or without one of the languages or the solution.
    """
    return list(_cells(source.read_text(encoding="utf-8"), language))


def with_solutions(cells: list[Cell]) -> list[Cell]:
    """Return the same notebook after all exercises have been solved."""
    return [Cell("code", cell.solution) if cell.solution is not None else cell for cell in cells]


def _cells(text: str, language: str) -> Iterator[Cell]:
    before, *parts = _CELL.split(text)
    if before.strip():
        raise ValueError(f"source: expected '=== KIND' in its first line, got {before.splitlines()[0]!r}")
    folded: str | None = None  # the solution that stands below the next cell
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        if kind == "beginning":
            for cell in cells_of(_BEGINNING, language):
                yield replace(cell, folded=cell.kind != "text")
            continue
        if kind not in _KINDS:
            raise ValueError(f"cell: expected one of {sorted({*_KINDS, 'beginning'})}, got {kind!r}")
        if kind == "text":
            yield Cell(kind, _part(body, language))
            continue
        body, *pictures = body.split("--- picture\n")
        if len(pictures) != body.count("plt.show()"):
            raise ValueError(f"cell: expected a text for each picture, got {body!r}")
        code, *solutions = body.split("--- solution\n")
        if (kind == "exercise") != (len(solutions) == 1):
            raise ValueError(f"cell: expected a solution in an exercise and nowhere else, got {body!r}")
        if kind == "exercise":
            folded = _in_language(solutions[0], language)
            yield Cell(kind, _in_language(code, language), folded)
            continue
        seen = _in_language(pictures[0], language) if pictures else None
        yield Cell(kind, _in_language(code, language), picture=seen)
        if folded is not None:
            shown = (
                f"<details>\n<summary>{_SHOWN[language]}</summary>\n\n```python\n{folded}\n```\n\n</details>"
            )
            yield Cell("text", shown)
            folded = None


def _part(body: str, language: str) -> str:
    parts = re.split(r"^--- (\w+)\n", body, flags=re.MULTILINE)
    by_language = dict(zip(parts[1::2], parts[2::2], strict=True))
    if tuple(by_language) != LANGUAGES:
        raise ValueError(f"text: expected the languages {LANGUAGES}, got {tuple(by_language)}")
    return by_language[language].strip()


def _in_language(code: str, language: str) -> str:
    return _EITHER.sub(lambda both: both[LANGUAGES.index(language) + 1], code).strip()
