"""Finding the data file of a recipe."""

import os
from pathlib import Path

from nabi.errors import MissingFileError

__all__ = ["find_data"]


def find_data(recipe: str, said: Path | None, name: str, folder: str) -> Path:
    """Return the data file: the given one, or from the given folder, or from the folder NABI_DATA.

    Args:
        recipe: for messages.
        said: the value of `--data`.
        name: of the file.
        folder: its subfolder in NABI_DATA.

    Raises:
        MissingFileError: if the file does not exist.
    """
    setting = os.environ.get("NABI_DATA", "").strip()
    place = said or (Path(setting).expanduser() if setting else None)
    if place is None:
        raise MissingFileError(
            f"data: the recipe {recipe} reads {name}; pass the file or its folder with --data, or set "
            "NABI_DATA to the folder"
        )
    for file in (place, place / name, place / folder / name):
        if file.is_file():
            return file
    raise MissingFileError(f"data: expected {name} or its folder, got {place}")
