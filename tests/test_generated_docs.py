"""Pages that are written from code say what the code says now."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_pages_of_cells_are_up_to_date() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    found = {str(path.relative_to(DOCS).as_posix()) for path in (DOCS / "cells").glob("*.md")} | {"cells.md"}
    assert found == set(pages)
    for path, text in pages.items():
        assert (DOCS / path).read_text(encoding="utf-8") == text, f"{path}: run `python docs/generate.py`"
