"""Docstrings as the reference shows them: their examples are code, wherever they stand."""

from typing import Any

import griffe

__all__ = ["Examples", "with_examples_as_code"]


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


class Examples(griffe.Extension):
    """Puts the examples of every docstring into fences."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = with_examples_as_code(obj.docstring.value)
