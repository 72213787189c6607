"""Times a newcomer's path: `python scripts/newcomer.py [--notebook NAME] [--most SECONDS]`.

Clones this repository into an empty folder, makes an environment with nothing but a notebook's kernel, and
runs a notebook there from its first cell, which installs nabi, to its first picture. What is not committed is
not in the clone. The kernel is what Jupyter would bring along; packages come from where pip finds them.

Exits with 1 if the picture comes later than SECONDS (120 by default) after the installation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Runs in the new environment: one cell after the other, up to the first that shows a picture.
CELLS = """
import sys, time
import nbformat
from nbclient import NotebookClient

path, folder = sys.argv[1:]
notebook = nbformat.read(path, as_version=4)
client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}})
with client.setup_kernel():
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        began = time.perf_counter()
        cell.outputs = []
        client.execute_cell(cell, number)
        print(number, time.perf_counter() - began, flush=True)
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            break
    else:
        sys.exit("the notebook shows no picture")
"""


def main() -> int:
    """Walk the path, print how long each part takes."""
    said = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    said.add_argument("--notebook", default="recurrent-networks-with-keras", help="without .ipynb")
    said.add_argument("--most", type=float, default=120, help="seconds from installation to picture")
    options = said.parse_args()
    if not (ROOT / "notebooks" / f"{options.notebook}.ipynb").is_file():
        said.error(f"--notebook: there is no notebooks/{options.notebook}.ipynb")

    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        # Compiled code of earlier runs would make the path shorter than it is.
        environment["NABI_CACHE_DIR"] = f"{folder}/cache"
        clone, python = Path(folder, "nabi"), Path(folder, "environment", "bin", "python")

        def step(what: str, *command: object) -> None:
            began = time.perf_counter()
            subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
            print(f"{time.perf_counter() - began:7.1f} s  {what}", flush=True)

        step("clone", "git", "clone", "--quiet", ROOT, clone)
        step("environment", sys.executable, "-m", "venv", python.parent.parent)
        pins = [
            line
            for line in (clone / "pyproject.toml").read_text().splitlines()
            if line.startswith("notebooks = ")
        ]
        kernel = [text for text in pins[0].split('"') if "==" in text]
        step("kernel (a part of Jupyter)", python, "-m", "pip", "install", "--quiet", *kernel)

        path = clone / "notebooks" / f"{options.notebook}.ipynb"
        ran = subprocess.run(
            [python, "-c", CELLS, path, path.parent],
            check=True,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        seconds = [float(line.split()[1]) for line in ran.stdout.splitlines()]
    installation, *others = seconds
    print(f"{installation:7.1f} s  first cell: installs nabi")
    print(f"{sum(others):7.1f} s  {len(others)} further cells, to the first picture")
    if sum(others) > options.most:
        print(
            f"expected at most {options.most:.0f} s from the installation to the first picture",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
