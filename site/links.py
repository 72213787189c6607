"""The links of built pages: each leads to a page, and to a place on it, that is there."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Links", "problems"]

# What a browser loads by itself; anything else waits for somebody to follow it.
_LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("audio", "src"), ("video", "src"),
           ("iframe", "src"), ("source", "src"), ("object", "data"), ("embed", "src")}  # fmt: skip
# Most tags of a page: those that end something, and the colours of code. Nothing leads to or from them.
_IDLE = re.compile(r"</(?!script|style)[^>]*>|<span(?![^>]*\s(?:id|name)=)[^>]*>")
_HINTS = {"canonical", "alternate", "prev", "next"}


class Links(HTMLParser):
    """The links of a page and the places that links can lead to.

    Attributes:
        followed: links that readers follow.
        loaded: what the page loads.
        places: names of places on the page.
        pictures_without_text: addresses of pictures that have no alternative text.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.followed: set[str] = set()
        self.loaded: set[str] = set()
        self.places: set[str] = set()
        self.pictures_without_text: list[str] = []
        self.feed(_IDLE.sub("", text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag leads to."""
        given = {name: value or "" for name, value in attrs}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        for name in ("href", "src", "data"):
            if name not in given:
                continue
            if tag == "a" or (tag == "link" and given.get("rel") in _HINTS):
                self.followed.add(given[name])
            elif (tag, name) in _LOADED:
                self.loaded.add(given[name])
        if tag == "img" and not given.get("alt", "").strip():
            self.pictures_without_text.append(given.get("src", ""))

    handle_startendtag = handle_starttag


def problems(site: Path) -> list[str]:
    """Return what is wrong with the links and pictures of a site, one line each."""
    site = Path(os.path.abspath(site))
    files = {path for path in site.rglob("*") if path.is_file()}
    pages = {
        path: Links(path.read_text(encoding="utf-8")) for path in sorted(files) if path.suffix == ".html"
    }
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [
            f"{name}: loads {link} from elsewhere" for link in sorted(page.loaded) if _is_elsewhere(link)
        ]
        found += [f"{name}: no alternative text for {link[:60]}" for link in page.pictures_without_text]
        for link in sorted(page.followed | page.loaded):
            if (
                not _is_elsewhere(link)
                and not link.startswith(("data:", "mailto:"))
                and not _leads(link, path, site, files, pages)
            ):
                found.append(f"{name}: {link} leads nowhere")
    return found


def _is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).netloc)


def _leads(link: str, path: Path, site: Path, files: set[Path], pages: dict[Path, Links]) -> bool:
    parts = urlsplit(link)
    place = unquote(parts.path)
    target = path
    if place:
        start = site if place.startswith("/") else path.parent
        target = Path(os.path.normpath(f"{start}/{place}"))
    if target not in files:
        target = target / "index.html"
    if target not in files:
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].places
