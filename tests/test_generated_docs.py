"""Pages that are written from code say what the code says now."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_cells_is_up_to_date() -> None:
    module = runpy.run_path(str(DOCS / "generate.py"))
    found = (DOCS / "cells.md").read_text(encoding="utf-8")
    assert found == module["page"](), "run `python docs/generate.py`"
