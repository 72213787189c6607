"""The documents are true: their Python examples run, and print what stands below them.

Each document runs from its top to its end in one namespace. A ```text block right below a ```python block is
what that block prints.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from nabi.backend import clear_session

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"  # its examples run in tests/smoke
# A translation has the code of the English document, which tests/test_korean_readme.py compares.
DOCUMENTS = sorted(path for path in (ROOT / "docs").rglob("*.md") if not path.name.endswith(".ko.md"))

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Example:
    """A ```python block: the document's line before it, its code, and what it prints (None: not said)."""

    line: int
    code: str
    printed: str | None = None


def examples(text: str) -> list[Example]:
    found: list[Example] = []
    previous = None
    for block in FENCED.finditer(text):
        between = "" if previous is None else text[previous.end() : block.start()].strip()
        if block[1] == "python":
            found.append(Example(text.count("\n", 0, block.start(2)), block[2]))
        elif block[1] == "text" and previous is not None and previous[1] == "python" and not between:
            found[-1].printed = block[2]
        previous = block
    return found


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def check_examples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    # A document begins as a fresh program does: its first model is called `sequential`.
    clear_session()
    namespace: dict[str, object] = {"__name__": "__main__"}
    for example in examples(path.read_text(encoding="utf-8")):
        # Empty lines in front give a traceback the line number of the document.
        code = compile("\n" * example.line + example.code, str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        if example.printed is not None:
            assert lines(printed.getvalue()) == lines(example.printed), f"{path.name}, line {example.line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_examples(path, tmp_path, monkeypatch)


def test_blocks_are_found_with_their_lines() -> None:
    text = (
        "# Title\n\n```python\na = 1\n```\nprose\n```bash\nls\n```\n"
        "```python\nprint(a)\n```\n\n```text\n1\n```\nprose\n```text\nnot printed\n```\n"
    )
    assert examples(text) == [Example(3, "a = 1\n"), Example(10, "print(a)\n", "1\n")]


@pytest.mark.parametrize("code", ["assert 1 == 2", "print(2)"])
def test_an_example_that_is_wrong_is_found(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "wrong.md"
    document.write_text(f"```python\n{code}\n```\n```text\n1\n```\n")
    with pytest.raises(AssertionError):
        check_examples(document, tmp_path, monkeypatch)
