"""What tests of pages share: their scripts in node, and pages that are opened."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import nabi
from nabi.shipping import write_web

from .browser import Browser

__all__ = ["SOURCES", "in_node", "needs_node", "opened"]

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
SOURCES = Path(nabi.__file__).parent / "shipping" / "_web" / "page"


def in_node(program: str, given: Any, folder: Path) -> Any:
    """What a program of JavaScript prints as JSON; `given` is what it has been given."""
    (folder / "given.json").write_text(json.dumps(given))
    beginning = f"""
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync("given.json"));
        const source = {json.dumps(SOURCES.as_uri())};
    """
    (folder / "program.mjs").write_text(beginning + program)
    done = subprocess.run(["node", "program.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def opened(browser: Browser, model: Any, folder: Path, **options: Any) -> str:
    """Open the page of a model; what is wrong with any page is found here."""
    (path,) = write_web(model, folder, overwrite=True, **options)
    source = path.read_text("utf-8")
    outside = set(re.findall(r"(?:src=|href=(?!.data:,)|url\(|fetch\()", source)) - {"fetch("}
    assert not outside
    browser.errors.clear()
    browser.resize(390, 844)
    browser.open(path)
    assert browser.value("document.documentElement.scrollWidth <= window.innerWidth")
    # Everything that can be operated has a name.
    assert browser.value(
        "[...document.querySelectorAll('button, input, select, textarea, canvas')].every((one) =>"
        " one.hidden || one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)"
    )
    browser.value("document.getElementById('language').click()")
    assert browser.value("document.documentElement.lang") == "ko"
    assert re.search("[가-힣]", browser.value("document.querySelector('main').innerText"))
    browser.value("document.getElementById('language').click()")
    return source
