"""What holds for the whole repository: readable files, no loose ends, documents that name what exists."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A file ends with its purpose; this only stops what nobody would read to its end.
LONGEST_FILE = 600

SOURCES = sorted(
    path
    for folder in ("nabi", "tests", "scripts", "benchmarks", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.suffix in {".py", ".sh", ""}
)
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "README.ko.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SCRIPTS = [
    ROOT / "scripts" / "demo",
    ROOT / "scripts" / "hangul-font",
    ROOT / "scripts" / "house",
    ROOT / "scripts" / "site",
    ROOT / "scripts" / "test",
    ROOT / "scripts" / "_environment",
    ROOT / ".ci" / "run",
]

# Spelt apart so that this file does not hold what it looks for.
LOOSE_ENDS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def name_of_requirement(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_no_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    too_long = {name: length for name, length in lengths.items() if length > LONGEST_FILE}
    assert too_long == {}, "divide them by purpose"


def test_no_loose_ends() -> None:
    found = [
        f"{relative(path)}:{number}: {line}"
        for path in (*SOURCES, *DOCUMENTS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if LOOSE_ENDS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_scripts_are_bash_that_parses(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    is_sourced = path.name.startswith("_")
    assert os.access(path, os.X_OK) != is_sourced


def test_a_python_that_is_too_old_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """A checkout whose machine has only an old Python says what it needs and makes nothing."""
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "_environment", checkout / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    programs = tmp_path / "bin"
    programs.mkdir()
    old = programs / "python3"
    old.write_text('#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.9.1"\nexit 1\n')
    old.chmod(0o755)
    for needed in ("bash", "dirname", "cat", "cksum"):
        found = shutil.which(needed)
        assert found is not None
        (programs / needed).symlink_to(found)
    run = subprocess.run(
        [str(programs / "bash"), "-c", f". {checkout}/scripts/_environment test"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "needs Python 3.11 or newer" in run.stderr
    assert "Python 3.9.1" in run.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("failing", "arguments", "status"),
    [
        (None, [], 0),
        ("ruff", ["--smoke"], 3),
        ("mypy", [], 3),
        ("mypy", ["--smoke"], 0),
        ("pytest", [], 3),
        ("pytest", ["--smoke"], 3),
    ],
)
def test_the_whole_check_fails_with_each_of_its_parts(
    tmp_path: Path, failing: str | None, arguments: list[str], status: int
) -> None:
    """Also with the types, which are checked beside the tests; the short check leaves them out."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("ruff", "mypy", "pytest"):
        (programs / name).write_text(f'#!/bin/bash\necho {name} "$@"\nexit {3 if name == failing else 0}\n')
        (programs / name).chmod(0o755)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "test", tmp_path / "scripts")
    (tmp_path / "scripts" / "_environment").write_text(f"root={tmp_path} environment_bin={programs}\n")
    command = [str(tmp_path / "scripts" / "test"), *arguments, "-x"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == status, run.stderr
    if failing != "ruff":
        chosen = " tests/smoke" if arguments else ""
        assert f"pytest -n 2 --dist worksteal{chosen} -x\n" in run.stdout
        assert ("mypy\n" in run.stdout) is not bool(arguments)


def test_constraints_pin_what_the_project_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name_of_requirement(line) for line in lines if "==" in line}
    assert {name_of_requirement(requirement) for requirement in required} <= pinned


def test_version_is_one() -> None:
    import nabi

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert nabi.__version__ == project["version"]


def test_commands_that_the_readme_names_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bscripts/[\w-]+", readme))
    assert {"scripts/demo", "scripts/test"} <= named
    assert [name for name in sorted(named) if not os.access(ROOT / name, os.X_OK)] == []


def test_subcommands_that_the_documents_name_exist() -> None:
    """`nabi run song` in a document: `run` is a command and `song` a recipe."""
    from typer.main import get_command

    from nabi import recipes
    from nabi.cli._main import app

    commands = getattr(get_command(app()), "commands", {})
    assert commands
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            for command, argument in re.findall(r"(?:`|\$ )nabi ([a-z]+)(?: ([a-z][a-z-]*))?", line):
                assert command in commands, f"{relative(document)}: nabi {command}"
                if command == "run" and argument:
                    assert argument in recipes.names(), f"{relative(document)}: {argument}"


def test_links_between_documents_lead_somewhere() -> None:
    lost = []
    for path in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        local = [target for target in targets if "://" not in target]
        lost += [f"{relative(path)}: {target}" for target in local if not (path.parent / target).exists()]
    assert lost == []
