"""Make the notebooks from their sources and run them: `python notebooks/build.py [NAME ...]`.

Needs the packages of `pip install -e ".[notebooks]"`. Without names, all notebooks are made.
"""

import resource
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_source import LANGUAGES, SOURCES, cells_of, file_name

FOLDER = Path(__file__).parent
LONGEST = 240  # seconds of a processor that a notebook may take
PATIENCE = 3600  # seconds that a cell may take on a busy machine


def notebook_of(source: Path, language: str) -> nbformat.NotebookNode:
    """Return a notebook that has not been run."""
    cells = []
    for number, cell in enumerate(cells_of(source, language)):
        make = new_markdown_cell if cell.kind == "text" else new_code_cell
        cells.append(make(cell.text, id=f"cell-{number}"))
        if cell.tags:
            cells[-1].metadata["tags"] = cell.tags
        if cell.picture is not None:
            cells[-1].metadata["alt"] = cell.picture
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(notebook: nbformat.NotebookNode) -> None:
    """Run a notebook, and keep of its outputs what is the same wherever it is run."""
    NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                seen = cell.metadata["alt"]
                output["metadata"]["image/png"] = {"alt": seen}  # where nbconvert looks
                output["data"]["text/plain"] = seen  # instead of <Figure ...>


def main(names: list[str]) -> None:
    """Make and run the notebooks with these names, or all of them."""
    unknown = set(names) - {source.stem for source in SOURCES}
    if unknown:
        sys.exit(f"NAME: expected {', '.join(source.stem for source in SOURCES)}, got {', '.join(unknown)}")
    for source in SOURCES:
        for language in LANGUAGES:
            if names and source.stem not in names:
                continue
            began, before = time.perf_counter(), _processor_seconds()
            notebook = notebook_of(source, language)
            run(notebook)
            taken = _processor_seconds() - before
            if taken > LONGEST:
                sys.exit(f"{source.stem}: expected at most {LONGEST} s of a processor, got {taken:.0f}")
            nbformat.validate(notebook)
            path = FOLDER / file_name(source, language)
            beside = path.with_suffix(".new")
            nbformat.write(notebook, beside)
            beside.replace(path)
            wall, size = time.perf_counter() - began, path.stat().st_size // 1024
            print(f"{path.name}: {wall:.0f} s, {taken:.0f} s of a processor, {size} KiB")


def _processor_seconds() -> float:
    """What the kernels have taken that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(sys.argv[1:])
