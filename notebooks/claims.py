"""The table of what the lectures say, and where it is computed: `python notebooks/claims.py`.

Writes it into `docs/lectures.md`. In `claims.txt`, the line below a claim names the notebook or the page that
computes it, and a pattern that finds the figure there: in the outputs of the English notebook, or in the text
of the page. So a figure in the table is always the one that was computed last.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLAIMS", "PAGE", "Claim", "page", "read", "row"]

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "lectures.md"
_BEGIN, _END = "<!-- lectures: written by python notebooks/claims.py -->", "<!-- lectures: end -->"


@dataclass(frozen=True)
class Claim:
    """A claim of the lectures.

    Attributes:
        says: what the lectures say.
        place: the name of a notebook, or a page of the docs, such as `music.md`.
        pattern: a regular expression; its groups, one after the other, are the figure. For a notebook it is
            matched with what a cell prints.
    """

    says: str
    place: str
    pattern: str


def read(text: str) -> dict[str, list[Claim]]:
    """Return the claims of each part of a text in the form of `claims.txt`."""
    claims: dict[str, list[Claim]] = {}
    for part in text.split("== ")[1:]:
        title, *lines = [line for line in part.splitlines() if line.strip()]
        claims[title] = []
        for says, found in zip(lines[::2], lines[1::2], strict=True):
            place, _, pattern = found.strip().partition(": ")
            claims[title].append(Claim(says, place, pattern))
    return claims


CLAIMS = read((Path(__file__).parent / "claims.txt").read_text("utf-8"))


def _outputs(name: str) -> Iterator[tuple[str, str]]:
    """Yield the heading above each code cell of a notebook, and what the cell prints."""
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
    heading = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^##+ (.+)$", "".join(cell["source"]), re.MULTILINE)
            heading = next((one for one in reversed(headings) if not one.startswith("Exercise")), heading)
        else:
            texts = [one.get("text") or one["data"].get("text/plain", "") for one in cell["outputs"]]
            yield heading, "\n" + "".join("".join(text) for text in texts)


def row(claim: Claim) -> str:
    """Return a claim's row of the table.

    Raises:
        ValueError: the figure is not where the claim says.
    """
    if claim.place.endswith(".md"):
        title = (ROOT / "docs" / claim.place).read_text("utf-8")
        places = [(title.splitlines()[0].removeprefix("# "), title)]
        link = claim.place
    else:
        places = list(_outputs(claim.place))
        link = f"../notebooks/{claim.place}.ipynb"
    for heading, text in places:
        found = re.search(claim.pattern, text)
        if found is not None:
            figure = "; ".join(" ".join(group.split()).rstrip(",;") for group in found.groups())
            return f"| {claim.says} | [{heading}]({link}) | {figure} |"
    raise ValueError(f"{claim.place}: expected the figure of {claim.says!r}, {claim.pattern}, got none")


def page() -> str:
    """Return the page with the table as it should be."""
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{PAGE.name}: expected the lines {_BEGIN} and {_END}")
    tables = [
        f"### {part}\n\n| what the lectures say | where it is computed | figure |\n|---|---|---|\n"
        + "\n".join(map(row, claims))
        for part, claims in CLAIMS.items()
    ]
    return f"{before}{_BEGIN}\n\n" + "\n\n".join(tables) + f"\n\n{_END}{after}"


if __name__ == "__main__":
    written = page()
    beside = PAGE.with_suffix(".new")
    beside.write_text(written, encoding="utf-8")
    beside.replace(PAGE)
    print(f"{PAGE.name}: {sum(map(len, CLAIMS.values()))} claims", file=sys.stderr)
