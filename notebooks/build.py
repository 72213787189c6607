"""Make the notebooks from their sources and run them: `python notebooks/build.py [NAME ...]`.

Needs the packages of `pip install -e ".[notebooks]"`. Without names, all notebooks are made.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_source import LANGUAGES, SOURCES, cells_of, file_name

FOLDER = Path(__file__).parent
LONGEST = 240  # seconds that a notebook may take


def notebook_of(source: Path, language: str) -> nbformat.NotebookNode:
    """Return a notebook that has not been run."""
    cells = []
    for number, cell in enumerate(cells_of(source, language)):
        make = new_markdown_cell if cell.kind == "text" else new_code_cell
        cells.append(make(cell.text, id=f"cell-{number}"))
        if cell.kind == "exercise":
            cells[-1].metadata["tags"] = ["exercise"]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(notebook: nbformat.NotebookNode) -> None:
    """Run a notebook, and keep of its outputs what is the same wherever it is run."""
    NotebookClient(notebook, timeout=LONGEST, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times


def main(names: list[str]) -> None:
    """Make and run the notebooks with these names, or all of them."""
    unknown = set(names) - {source.stem for source in SOURCES}
    if unknown:
        sys.exit(f"NAME: expected {', '.join(source.stem for source in SOURCES)}, got {', '.join(unknown)}")
    for source in SOURCES:
        for language in LANGUAGES:
            if names and source.stem not in names:
                continue
            began = time.perf_counter()
            notebook = notebook_of(source, language)
            run(notebook)
            nbformat.validate(notebook)
            path = FOLDER / file_name(source, language)
            beside = path.with_suffix(".new")
            nbformat.write(notebook, beside)
            beside.replace(path)
            print(f"{path.name}: {time.perf_counter() - began:.0f} s, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
