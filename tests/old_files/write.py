"""Write old files and what they answered: `python -m tests.old_files.write NAME...` from the root, or `all`.

The files stand for what users have written with earlier versions, so none is written anew to make a test
pass. A name adds a file, or replaces it after a change of format that was decided on.
"""

import functools
import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from . import command_line, layer_files, pickles, task_models
from .old_file import OldFile, plain

FOLDER = Path(__file__).parent / "files"
# One archive: the files have much in common, such as random states, so it is a third of their size.
ARCHIVE, ANSWERS = FOLDER / "old-files.tar.xz", FOLDER / "answers.json"
FILES: dict[str, OldFile] = {
    **layer_files.FILES,
    **task_models.FILES,
    **pickles.FILES,
    **command_line.FILES,
}


def stem_of(name: str) -> str:
    """How the files of a name are called in the archive, before their suffix."""
    return name.replace(" ", "-")


@functools.cache
def archived() -> dict[str, bytes]:
    """The content of every file of the archive by its name."""
    found = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
    return found


def unpack(name: str, folder: Path) -> Path:
    """Put the file of a name, and what lies beside it, into a folder; return where it is."""
    for file, content in archived().items():
        if file.partition(".")[0] == stem_of(name):
            (folder / file).write_bytes(content)
    return folder / f"{stem_of(name)}.nabi"


def write(names: list[str]) -> None:
    """Write the files of these names into the archive, and their answers to the others."""
    FOLDER.mkdir(exist_ok=True)
    answers: dict[str, Any] = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    contents = dict(archived()) if ARCHIVE.exists() else {}
    for name in names:
        # Native code draws the masks of a cell's dropout in its own way, and not every machine has it; but
        # what is pickled is pickled after it ran, as with users.
        os.environ["NABI_NATIVE"] = "1" if name in pickles.FILES else "0"
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{stem_of(name)}.nabi"
            answers[name] = plain(FILES[name].write(path))
            contents |= {written.name: written.read_bytes() for written in Path(place).iterdir()}
            if name in command_line.ASKED:
                answers[f"command line: {name}"] = plain(command_line.ASKED[name](path))
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for file in sorted(contents):
            member = tarfile.TarInfo(file)
            member.size = len(contents[file])
            archive.addfile(member, io.BytesIO(contents[file]))
    lines = [f"{json.dumps(name)}: {json.dumps(answers[name])}" for name in sorted(answers)]
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    write(list(FILES) if sys.argv[1:] == ["all"] else sys.argv[1:])
