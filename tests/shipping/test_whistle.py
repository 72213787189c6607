"""The worked example of docs/whistle.md: its commands and files, in order, as a reader would take them.

Its Python runs in tests/test_docs.py, too; here it makes the model that the commands export.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .browser import Browser, needs_browser
from .served import served

pytestmark = pytest.mark.rotates(days=2)

_PAGE = Path(__file__).parents[2] / "docs" / "whistle.md"
_FENCED = re.compile(r"^(?:`(\S+)`[^`\n]*:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str, str]]:
    """The fenced blocks of the page: what file each is, its language, its text."""
    return _FENCED.findall(_PAGE.read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[str, str, str]]) -> Path:
    """A folder with the model and all files of the page."""
    found = tmp_path_factory.mktemp("whistle")
    code = "\n".join(text for _, language, text in blocks if language == "python")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=found, check=True, timeout=200)
    for name, _, text in blocks:
        if name:
            (found / name).parent.mkdir(exist_ok=True)
            (found / name).write_text(text, encoding="utf-8")
    return found


def run(folder: Path, blocks: list[tuple[str, str, str]], *words: str) -> None:
    """Run the commands that begin with a word, as the page has them."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for _, language, text in blocks:
        for line in text.splitlines() if language == "bash" else ():
            if line.startswith(words):
                found = subprocess.run(
                    line, shell=True, cwd=folder, env={**os.environ, "PATH": path}, check=False, timeout=120,
                    capture_output=True, text=True, stdin=subprocess.DEVNULL,
                )  # fmt: skip
                assert found.returncode == 0, f"{line}\n{found.stdout}{found.stderr}"


def test_the_microcontroller_hears_what_python_hears(
    folder: Path, blocks: list[tuple[str, str, str]]
) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    run(folder, blocks, "nabi export whistle.nabi --to object", "arm-none-eabi-gcc", "qemu-system-arm", "cut")
    heard = (folder / "heard.txt").read_text()
    assert re.fullmatch(r"(on \d+\noff \d+\n)+(on \d+\n)?", heard)


@needs_browser
def test_the_page_hears_a_whistle(folder: Path, blocks: list[tuple[str, str, str]]) -> None:
    run(folder, blocks, "nabi export whistle.nabi --to wasm")
    with Browser() as browser, served(folder / "page") as address:
        browser.go(address)
        assert not browser.value("document.querySelector('output').classList.contains('on')")
        browser.value("document.querySelector('#whistle').click()")
        browser.wait("document.querySelector('output').classList.contains('on')")
        browser.wait("!document.querySelector('output').classList.contains('on')")
        assert not browser.errors
