"""A notebook as a page: its text as it is, its code, and below it what it printed and drew."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

__all__ = ["markdown_of"]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# HTML that says more than the plain text beside it: sound, pictures, tables.
_RICH = re.compile(r"<(audio|video|img|svg|table|iframe)\b")
_TITLE = re.compile(r"""(?:set_title|suptitle|\btitle)\s*[(=]\s*f?(["'])(.+?)\1""")
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg"}
_WORDS = {
    "en": {"notebook": "This page is a notebook; its file is {file} in the folder notebooks.", "code": "Code",
           "printed": "Output", "drawn": "Picture drawn by the code above, in the section “{section}”"},
    "ko": {"notebook": "이 페이지는 노트북입니다. 파일은 notebooks 폴더의 {file}입니다.", "code": "코드",
           "printed": "출력", "drawn": "위 코드가 그린 그림, ‘{section}’ 절"},
}  # fmt: skip


def markdown_of(file: Path, folder: Path, language: str) -> str:
    """Return a notebook as Markdown, and write its pictures beside the page.

    A picture's alternative text is its metadata `alt`; otherwise the titles that its code gives it, with the
    section that it is in. Code with the tag `hide-input` is folded away.

    Args:
        file: the notebook.
        folder: for its pictures.
        language: of the words that are added, `en` or `ko`.
    """
    notebook = nbformat.read(file, as_version=4)
    words = _WORDS[language]
    parts: list[str] = []
    section = ""
    pictures = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            section = headings[-1] if headings else section
            parts.append(_folded(cell.source))
            continue
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        code = f"```python\n{cell.source.strip()}\n```"
        if "hide-input" in cell.metadata.get("tags", ()):
            code = f'<details markdown="1">\n<summary>{words["code"]}</summary>\n\n{code}\n\n</details>'
        parts.append(code)
        for kind, content, metadata in _outputs(cell.outputs):
            if kind == "text/plain":
                parts.append(f'```text {{ .output title="{words["printed"]}" }}\n{content}\n```')
            elif kind == "text/html":
                parts.append(f'<div class="output">\n{content}\n</div>')
            elif kind == "text/latex":
                # What stands below each other there is no line of its own outside an environment.
                parts.append(f"$$\n\\begin{{gather*}}\n{_equation(content)}\n\\end{{gather*}}\n$$")
            else:
                pictures += 1
                name = f"{pictures}.{_ENDINGS[kind]}"
                folder.mkdir(parents=True, exist_ok=True)
                data = content.encode() if kind == "image/svg+xml" else base64.b64decode(content)
                (folder / name).write_bytes(data)
                alt = metadata.get("alt") or _description(cell.source, section, words)
                parts.append(f"![{alt}]({folder.name}/{name})")
    note = words["notebook"].format(file=f"`{file.name}`")
    title, *rest = parts
    head, _, body = title.partition("\n")
    return "\n\n".join([head, note, body.strip(), *rest]) + "\n"


def _outputs(outputs: list[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give each output in its richest form that stands alone; what was printed in pieces is one."""
    printed = ""
    for output in outputs:
        if output.output_type == "stream":
            printed += output.text
            continue
        data = output.get("data", {})
        picture = next((kind for kind in _ENDINGS if kind in data), None)
        rich = "text/latex" in data or _RICH.search(data.get("text/html", ""))
        if picture is None and not rich:
            if output.output_type == "error":
                printed += f"{output.ename}: {output.evalue}\n"
            printed += data.get("text/plain", "").rstrip("\n") + "\n"
            continue
        if printed.strip():
            yield "text/plain", _plain(printed), {}
        printed = ""
        if picture is not None:
            metadata = output.get("metadata", {})
            yield picture, data[picture], {**metadata, **metadata.get(picture, {})}
        else:
            kind = "text/latex" if "text/latex" in data else "text/html"
            yield kind, data[kind], {}
    if printed.strip():
        yield "text/plain", _plain(printed), {}


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in _ESCAPES.sub("", text).strip("\n").splitlines())


def _equation(text: str) -> str:
    return text.strip().strip("$").strip().removeprefix("\\displaystyle").strip()


def _folded(text: str) -> str:
    """Return the text with Markdown inside `<details>` read as such."""
    return text.replace("<details>", '<details markdown="1">')


def _description(code: str, section: str, words: dict[str, str]) -> str:
    titles = [found[1] for found in _TITLE.findall(code) if "{" not in found[1]]
    about = words["drawn"].format(section=re.sub(r"[`$*\[\]]", "", section))
    return f"{about}: {', '.join(titles)}".replace("]", "").replace("[", "") if titles else about
