"""The pages of the site, assembled from the README, the documents, the notebooks and the public lists."""

import ast
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from notebook import markdown_of

__all__ = ["KOREAN", "REFERENCE", "Page", "assemble", "pages_of"]

KOREAN = "ko"
# Of what users call; the rooms below (native, kernels, ...) are described in the documents on architecture.
REFERENCE = (
    "activations", "callbacks", "cells", "comparison", "data", "datasets", "decoding", "errors", "explain",
    "initializers", "interchange", "ir", "layers", "losses", "metrics", "models", "nn", "optimizers",
    "recipes", "regularizers", "scan", "serving", "shipping", "small_weights", "tf1", "utils",
)  # fmt: skip

_TITLES = {
    "en": {"notebooks": "Notebooks", "cells": "Cells", "reference": "Reference", "changes": "Changes"},
    KOREAN: {"notebooks": "노트북"},
}
_LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^(```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
# The line of a document that leads to its other language, which a button of every page does here.
_LANGUAGES = re.compile(
    r"^(?:English \| \[한국어\]\([^)]*\)|\[English\]\([^)]*\) \| 한국어)\n+", re.MULTILINE
)


@dataclass(frozen=True)
class Page:
    """A page of the site.

    Attributes:
        source: its file in the repository, as a path from the root.
        place: its Markdown file in the folder that MkDocs reads.
        language: `en` or `ko`.
    """

    source: PurePosixPath
    place: PurePosixPath
    language: str


def pages_of(root: Path) -> list[Page]:
    """Return the pages made from files of the repository, without those of the reference."""
    found = [PurePosixPath("README.md"), PurePosixPath("README.ko.md"), PurePosixPath("CHANGELOG.md")]
    for folder, ending in (("docs", ".md"), ("notebooks", ".ipynb")):
        paths = sorted((root / folder).rglob(f"*{ending}"))
        found += [PurePosixPath(path.relative_to(root).as_posix()) for path in paths]
    return [_page(source) for source in found if ".ipynb_checkpoints" not in source.parts]


def _page(source: PurePosixPath) -> Page:
    name, _, language = source.stem.partition(".")
    folder = source.parent.relative_to("docs") if source.parts[0] == "docs" else source.parent
    if name == "README":
        name = "index"
    place = folder / f"{name.lower() if name.isupper() else name}.md"
    return Page(source, KOREAN / place if language else place, language or "en")


def assemble(
    root: Path, target: Path, *, reference: Sequence[str] = REFERENCE, documents: bool = True
) -> list[Any]:
    """Write the pages and what they show into a folder, with links as they are there.

    Args:
        root: of the repository.
        target: the folder.
        reference: the modules of the API reference.
        documents: whether to write the pages of documents and notebooks.

    Returns:
        The navigation, as MkDocs wants it.

    Raises:
        ValueError: a link to a file that is not a part of the site.
    """
    made = pages_of(root) if documents else []
    places = {page.source: page for page in made}
    titles: dict[PurePosixPath, str] = {}
    for page in made:
        file = target / page.place
        file.parent.mkdir(parents=True, exist_ok=True)
        if page.source.suffix == ".ipynb":
            text = markdown_of(root / page.source, file.with_suffix(""), page.language)
        else:
            text = (root / page.source).read_text(encoding="utf-8")
        text = _with_links(_LANGUAGES.sub("", text), page, places)
        titles[page.place] = _title(text)
        other = _other_language(page, places)
        head = f"---\nlanguage: {page.language}\n{f'other: {other.place}' + chr(10) if other else ''}---\n\n"
        file.write_text(head + text, encoding="utf-8")
    if documents:
        shutil.copytree(root / "docs" / "pictures", target / "pictures")
    for name in reference:
        _write_reference(root, target, name)
    return _navigation(titles, reference)


def _title(text: str) -> str:
    """Return the first heading, without marks."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1].replace("`", "") if heading else ""


def _other_language(page: Page, places: dict[PurePosixPath, Page]) -> Page | None:
    for one in places.values():
        if one.language != page.language and _stem(one) == _stem(page):
            return one
    return None


def _stem(page: Page) -> PurePosixPath:
    return page.place.relative_to(KOREAN) if page.language == KOREAN else page.place


def _with_links(text: str, page: Page, places: dict[PurePosixPath, Page]) -> str:
    """Return the text with its links to files of the repository as links between pages."""

    def follow(link: re.Match[str]) -> str:
        return link[1] + _followed(link[2], page, places) + link[3]

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(follow, part) for part in parts)


def _followed(link: str, page: Page, places: dict[PurePosixPath, Page]) -> str:
    path, mark, part = link.partition("#")
    if not path or re.match(r"[a-z]+:", link) or _is_made(page, path):
        return link
    wanted = PurePosixPath(os.path.normpath(page.source.parent / path))
    if wanted in places:
        found = places[wanted]
        # A Korean page leads to Korean pages where there are any, unless it says that it leads elsewhere.
        if page.language == KOREAN and found.language == "en" and not part and page.source.suffix == ".md":
            other = _other_language(found, places)
            found = other if other is not None and other.place != page.place else found
        place = found.place
    elif wanted.parts[:2] == ("docs", "pictures"):
        place = wanted.relative_to("docs")
    else:
        raise ValueError(f"{page.source}: the link to {link} leads to no page")
    return os.path.relpath(place, page.place.parent) + mark + part


def _is_made(page: Page, path: str) -> bool:
    """Whether a link leads to a picture that was written with the page."""
    return page.source.suffix == ".ipynb" and path.startswith(f"{page.place.stem}/")


def _public_list(file: Path) -> list[str]:
    """Return a module's `__all__`, without importing it."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            getattr(one, "id", None) == "__all__" for one in node.targets
        ):
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"{file}: expected a list __all__")


def _write_reference(root: Path, target: Path, name: str) -> None:
    package = root / "nabi" / name
    names = _public_list(package / "__init__.py" if package.is_dir() else package.with_suffix(".py"))
    lines = ["---", "language: en", "---", "", f"# nabi.{name}", "", f"::: nabi.{name}", "    options:"]
    lines += ["      members: false", "      show_root_heading: false", ""]
    for one in names:
        lines += [f"::: nabi.{name}.{one}", "    options:", "      show_root_heading: true"]
        lines += ["      show_root_toc_entry: true", ""]
    file = target / "reference" / f"{name}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")


# The order in which a newcomer reads; what is not named here follows in the order of the alphabet.
_SECTIONS = {
    "First steps": ["keras-code", "functional", "migrate-from-tensorflow-1", "pytorch",
                    "running-a-cell-over-time", "unrolling", "seeing"],
    "Your own data": ["your-own-texts", "reading-text", "forecasting", "series-classification", "tagging",
                      "sound", "frames", "dna", "writing", "translating", "music", "captions"],
    "Out of nabi": ["interchange", "shipping", "web", "serving", "small-weights", "files"],
    "Cells of your own": ["language", "comparing"],
    "Inside": ["architecture", "native", "performance", "results", "site"],
}  # fmt: skip
_SECTIONS_KOREAN = {
    "First steps": "첫걸음", "Your own data": "내 데이터", "Out of nabi": "모델 내보내기",
    "Cells of your own": "셀 만들기", "Inside": "내부 구조",
}  # fmt: skip


def _navigation(titles: dict[PurePosixPath, str], reference: Sequence[str]) -> list[Any]:
    english = [place for place in titles if place.parts[0] != KOREAN]
    korean = [place for place in titles if place.parts[0] == KOREAN]
    section = [{f"nabi.{name}": f"reference/{name}.md"} for name in reference]
    if not titles:
        return [{_TITLES["en"]["reference"]: section}]
    navigation: list[Any] = [*_of_language(english, titles, "en")]
    if reference:
        navigation.append({_TITLES["en"]["reference"]: section})
    navigation.append({_TITLES["en"]["changes"]: "changelog.md"})
    navigation.append({"한국어": list(_of_language(korean, titles, KOREAN))})
    return navigation


def _of_language(
    places: list[PurePosixPath], titles: dict[PurePosixPath, str], language: str
) -> Iterator[dict[str, Any]]:
    start = PurePosixPath(KOREAN) if language == KOREAN else PurePosixPath()
    left = dict.fromkeys(place for place in places if place.name not in ("index.md", "changelog.md"))
    yield {"시작" if language == KOREAN else "Home": str(start / "index.md")}

    def take(*chosen: PurePosixPath) -> list[Any]:
        entries: list[Any] = []
        for place in chosen:
            if place in left:
                del left[place]
                entries.append({titles[place]: str(place)})
        return entries

    def inside(folder: str) -> list[PurePosixPath]:
        return [place for place in left if place.parent == start / folder]

    index = start / "notebooks.md"
    if notebooks := [*([str(index)] if index in left else []), *take(*inside("notebooks"))]:
        left.pop(index, None)
        yield {_TITLES[language]["notebooks"]: notebooks}
    for title, names in _SECTIONS.items():
        wanted = [start / f"{name}.md" for name in names]
        if section := take(*wanted):
            yield {_SECTIONS_KOREAN[title] if language == KOREAN else title: section}
        if title == "Cells of your own" and language == "en":
            index = start / "cells.md"
            left.pop(index)
            yield {_TITLES[language]["cells"]: [str(index), *take(*inside("cells"))]}
    if rest := take(*sorted(left)):
        yield {"그 밖의 문서" if language == KOREAN else "More": rest}
