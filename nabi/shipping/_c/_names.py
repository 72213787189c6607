"""Names and comments of C source, from names that anybody may have typed.

Layers and gates have any names: words of C, names with signs or letters that C lacks, `*/`, the same name
twice, or that of a function which the source has already.
"""

import re
from collections.abc import Iterable

__all__ = ["Names", "commented", "word"]

# Words of C99 and of compilers that go beyond it, macros of some systems, and what bodies are written with.
_RESERVED = frozenset({
    "NULL", "asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "each",
    "else", "enum", "extern", "float", "for", "goto", "i386", "if", "inline", "input", "int", "k", "linux",
    "long", "n", "o", "register", "restrict", "return", "row", "scratch", "short", "signed", "sizeof",
    "state", "static", "struct", "switch", "t", "total", "typedef", "typeof", "union", "unix", "unsigned",
    "void", "volatile", "while",
})  # fmt: skip
# Macros of <stdint.h>, counters of loops, and names that begin like those of the source itself.
_SPECIAL = re.compile(r"(?:U?INT|SIZE|PTRDIFF|WCHAR|WINT|SIG)\w*_(?:MAX|MIN|C|WIDTH)|i\d+|nabi_\w*")
_SIGNS = {
    "σ": "sigmoid",
    "∘": "*",
    "·": "*",
    "×": "*",
    "−": "-",
    "…": "...",
    "∑": "sum",
    "Σ": "sum",
    "√": "sqrt",
}


class Names:
    """Names of one scope, each given out once.

    Args:
        taken: names that mean something already.
        prefix: with which the names of an outer scope begin, so that none of this scope may.
    """

    def __init__(self, taken: Iterable[str] = (), prefix: str = "") -> None:
        self._taken = set(taken)
        self._prefix = prefix

    def free(self, wanted: str) -> str:
        """Return a name like the one that is wanted, which is now taken.

        >>> names = Names(["gate"])
        >>> names.free("gate"), names.free("int"), names.free("2 x"), names.free("가")
        ('gate_2', 'v_int', 'v_2_x', 'value')
        """
        name = word(wanted, "value")
        outer = self._prefix and name.lower().startswith(self._prefix.lower())
        if outer or name[0].isdigit() or name in _RESERVED or _SPECIAL.fullmatch(name):
            name = f"v_{name}"
        found, count = name, 1
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found

    def block(self) -> "Names":
        """Return the names of a block within this scope."""
        return Names(self._taken, self._prefix)


def word(text: str, otherwise: str) -> str:
    """Return a text as letters, digits and `_` of ASCII.

    >>> word("W_x·h", "w"), word("가", "w")
    ('W_x_h', 'w')
    """
    return re.sub(r"[^A-Za-z0-9_]+", "_", _ascii(text)).strip("_") or otherwise


def commented(text: str) -> str:
    """Return a text as one line that can stand in a comment of every compiler.

    >>> commented("a */ b /* ??/ c")
    'a * / b / * ? ?/ c'
    """
    found = " ".join(_ascii(text).split())
    for mark in ("*/", "/*", "??"):
        while mark in found:
            found = found.replace(mark, f"{mark[0]} {mark[1]}")
    return "".join(sign if sign.isprintable() else "?" for sign in found).rstrip("\\")


def _ascii(text: str) -> str:
    for sign, name in _SIGNS.items():
        text = text.replace(sign, name)
    return text.encode("ascii", "replace").decode()
