"""Docstrings as the reference shows them: their examples are code, wherever they stand."""

import re
from typing import Any

import griffe

__all__ = ["Examples", "with_examples_as_code", "with_shared_lines"]

_SHARED = re.compile(r"^ +\*{0,2}\w+(?:, \*{0,2}\w+)+(?=(?: \(.*?\))?:)", re.MULTILINE)


def with_examples_as_code(text: str) -> str:
    """Return a docstring with its examples in fences; one goes on up to an empty line.

    Below `Examples:` they are code anyway; `Example:` is made that.
    """
    lines: list[str] = []
    inside = ""
    for line in [*("Examples:" if line == "Example:" else line for line in text.splitlines()), ""]:
        indent = line[: len(line) - len(line.lstrip())]
        if not inside and line.lstrip().startswith(">>> ") and not _is_in_section(lines):
            inside = f"{indent}```"
            lines += ["", f"{inside}pycon"] if lines and lines[-1].strip() else [f"{inside}pycon"]
        elif inside and not line.strip():
            lines.append(inside)
            inside = ""
        lines.append(line)
    return "\n".join(lines[:-1])


def _is_in_section(before: list[str]) -> bool:
    for line in reversed(before):
        if line and not line.startswith((" ", "\t")):
            return line == "Examples:"
    return False


def with_shared_lines(text: str) -> str:
    """Return a docstring whose lines for several names, `width, height: in pixels`, are read as one name.

    What stands after a space would be taken for the type of the first.
    """
    return _SHARED.sub(lambda names: names[0].replace(", ", ",\N{NO-BREAK SPACE}"), text)


class Examples(griffe.Extension):
    """Puts the examples of every docstring into fences, and keeps names together that share a line."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = with_shared_lines(with_examples_as_code(obj.docstring.value))
