"""Times a newcomer's path: `python scripts/newcomer.py [--notebook NAME ...] [--most SECONDS] [--here]`.

Clones this repository into an empty folder, makes an environment with nothing but a notebook's kernel, and
runs a notebook there from its first cell, which installs nabi, to its first picture. What is not committed is
not in the clone. The kernel is what Jupyter would bring along; packages come from where pip finds them. Each
part is written with its seconds as soon as it is over.

Further notebooks run in the same environment, each with no compiled code of the others. With --here the
notebooks run in the environment of this Python, uncommitted changes included: seconds instead of minutes,
for the part after the installation.

Exits with 1 if a picture comes later than SECONDS (120 by default) after the installation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = "recurrent-networks-with-keras"

# Runs in the new environment: starts a kernel, then one cell after the other, up to the first that shows a
# picture. Writes a line for each: its seconds and what it is.
CELLS = """
import sys, time
import nbformat
from nbclient import NotebookClient

path, folder = sys.argv[1:]
notebook = nbformat.read(path, as_version=4)
client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}})
began = time.perf_counter()

def say(what):
    global began
    print(f"{time.perf_counter() - began:.3f}", what, flush=True)
    began = time.perf_counter()

with client.setup_kernel():
    say("start of the kernel")
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        cell.outputs = []
        client.execute_cell(cell, number)
        shows = any("image/png" in output.get("data", {}) for output in cell.outputs)
        say(f"cell {number}{', the first picture' if shows else ''}: {cell.source.splitlines()[0]}")
        if shows:
            break
    else:
        sys.exit("the notebook shows no picture")
"""


def main() -> int:
    """Walk the path, write how long each part takes."""
    said = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    said.add_argument("--notebook", nargs="+", default=[FIRST], help=f"without .ipynb ({FIRST})")
    said.add_argument("--most", type=float, default=120, help="seconds from installation to picture (120)")
    said.add_argument("--here", action="store_true", help="in this environment, without an installation")
    options = said.parse_args()
    for name in options.notebook:
        if not (ROOT / "notebooks" / f"{name}.ipynb").is_file():
            said.error(f"--notebook: there is no notebooks/{name}.ipynb")

    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        if options.here:
            environment, clone, python = dict(os.environ), ROOT, sys.executable
        else:
            # What this Python was told about packages is not known to the new one.
            environment = {
                name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
            }
            clone, python = Path(folder, "nabi"), f"{folder}/environment/bin/python"
            prepare(clone, python, environment)
        # An installation precedes the cells of the first notebook only.
        late = [
            name
            for number, name in enumerate(options.notebook)
            if seconds_to_picture(
                clone / "notebooks" / f"{name}.ipynb",
                python,
                # Compiled code of earlier runs would make the path shorter than it is.
                {**environment, "NABI_CACHE_DIR": f"{folder}/cache-{number}"},
                installs=number == 0 and not options.here,
            )
            > options.most
        ]
        print("clearing up ...", flush=True)
    for name in late:
        print(
            f"{name}: expected the first picture at most {options.most:.0f} s after the installation",
            file=sys.stderr,
        )
    return 1 if late else 0


def prepare(clone: Path, python: str, environment: dict[str, str]) -> None:
    """Clone the repository, and make an environment with a kernel."""

    def step(what: str, *command: object) -> None:
        began = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
        write(time.perf_counter() - began, what)

    step("clone", "git", "clone", "--quiet", ROOT, clone)
    step("environment", sys.executable, "-m", "venv", Path(python).parent.parent)
    pins = next(
        line
        for line in (clone / "pyproject.toml").read_text().splitlines()
        if line.startswith("notebooks = ")
    )
    kernel = [text for text in pins.split('"') if "==" in text]
    step("kernel (a part of Jupyter)", python, "-m", "pip", "install", "--quiet", *kernel)


def seconds_to_picture(notebook: Path, python: str, environment: dict[str, str], *, installs: bool) -> float:
    """Run a notebook to its first picture, and return how long that takes after the installation.

    Args:
        notebook: its file.
        python: of the environment to run it in.
        environment: the variables of the process.
        installs: whether its first cell installs nabi.
    """
    print(f"{notebook.stem}:")
    parts = []
    with tempfile.TemporaryFile("w+") as problems:
        command = [python, "-c", CELLS, notebook, notebook.parent]
        started = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=problems, text=True
        )
        assert started.stdout is not None
        for line in started.stdout:
            seconds, what = line.strip().split(" ", 1)
            parts.append(float(seconds))
            first = len(parts) == 2  # after the start of the kernel
            write(parts[-1], f"{what} (installs nabi)" if first and installs else what)
        if started.wait():
            problems.seek(0)
            sys.exit(f"{notebook.name}: the notebook did not run to a picture.\n{problems.read()}")
    needed = sum(parts[2:]) if installs else sum(parts)
    write(needed, "from the installation to the first picture" if installs else "to the first picture")
    return needed


def write(seconds: float, what: str) -> None:
    """Write a part of the path."""
    print(f"{seconds:7.1f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
