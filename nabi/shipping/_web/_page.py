"""One page of HTML that needs no other file: a model, what it knows, and what shows it at work."""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nabi.shipping._web._module import WebModule, loader, template

__all__ = ["Page", "write_page"]


@dataclass(frozen=True)
class Page:
    """What a page is made of.

    Attributes:
        kind: begins the names of its files: `writer.html`, `writer.mjs`.
        name: its title.
        modules: the models that it runs.
        facts: what else it has to know, as JSON.
        parts: numbers that are too many for JSON, by name.
        scripts: other files of JavaScript that it uses; those of this room, by name.
        folder: where the two files of the page are, if not here.
        comment: what the source says of the page.
    """

    kind: str
    name: str
    modules: Sequence[WebModule]
    facts: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict)
    scripts: Sequence[str] = ()
    folder: Path | None = None
    comment: str = "a model that runs in this page; written by nabi. Nothing is sent anywhere."

    def source(self, name: str) -> str:
        """Return one of the page's own files."""
        return _source(name) if self.folder is None else (self.folder / name).read_text("utf-8")


def write_page(page: Page) -> bytes:
    """Return the page, in UTF-8."""
    facts = {"name": page.name, "sizes": [module.sizes for module in page.modules], **page.facts}
    parts = {f"module-{number}": module.content for number, module in enumerate(page.modules)}
    shared = [_scope(name) for name in ("common.mjs", *page.scripts)]
    loaders = [loader("model", page.modules[0]).decode()] if page.modules else []
    scripts = [*loaders, *shared, f"{{\n{_body(page.source(f'{page.kind}.mjs'))}}}"]
    embedded = [
        f'<script id="{name}" type="application/octet-stream">{base64.b64encode(content).decode()}</script>'
        for name, content in {**parts, **page.parts}.items()
    ]
    # What comes from a model goes in last, so that nothing in it is taken for a place of the template.
    text = template(
        "page/page.html",
        STYLE=template("page/style.css").strip(),
        BODY=page.source(f"{page.kind}.html").strip(),
        COMMENT=page.comment,
        SCRIPT="\n".join(scripts),
    )
    last = {
        "PARTS": "\n".join(embedded),
        "FACTS": _json(facts),
        "NAME": html.escape(page.name, quote=False).replace("--", "- -"),
    }
    return re.sub("@(PARTS|FACTS|NAME)@", lambda found: last[found[1]], text).encode()


def _scope(name: str) -> str:
    """Return a script as an object of what it exports: all scripts of a page are one module."""
    exported = re.findall(r"^export (?:const|let|class|function|async function) (\w+)", _source(name), re.M)
    body = _body(_source(name))
    return f"const {_object(name)} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();"


def _body(source: str) -> str:
    """Return a script that takes what it imports from such objects, and exports nothing."""
    text = re.sub(
        r'^import (\{[^}]*\}) from "\./([\w.-]+)";$',
        lambda found: f"const {found[1]} = {_object(found[2])};",
        source,
        flags=re.MULTILINE,
    )
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def _object(name: str) -> str:
    return "part_" + re.sub(r"\W", "_", name.removesuffix(".mjs"))


def _source(name: str) -> str:
    return template(f"page/{name}")


def _json(value: Any) -> str:
    """Return JSON that can stand inside a script of HTML."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
