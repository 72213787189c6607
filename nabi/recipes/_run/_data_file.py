"""Where a recipe finds its file of data."""

import os
from pathlib import Path

from nabi.errors import MissingFileError

__all__ = ["find_data"]


def find_data(recipe: str, said: Path | None, name: str, folder: str) -> Path:
    """Return the file: the one said or in the folder said, else in the folder NABI_DATA.

    Args:
        recipe: for messages.
        said: what `--data` says.
        name: of the file.
        folder: in which it lies in NABI_DATA.

    Raises:
        MissingFileError: if it is not there.
    """
    setting = os.environ.get("NABI_DATA", "").strip()
    place = said or (Path(setting).expanduser() if setting else None)
    if place is None:
        raise MissingFileError(
            f"data: the recipe {recipe} reads {name}; name the file or its folder with --data, or set "
            "NABI_DATA to the folder"
        )
    for file in (place, place / name, place / folder / name):
        if file.is_file():
            return file
    raise MissingFileError(f"data: {place} is no file and has no {name}")
