"""The site from its parts: pages are assembled in a folder, from which MkDocs makes HTML."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pages
from mkdocs.commands import build as mkdocs_build
from mkdocs.config import load_config
from mkdocs.utils.yaml import yaml_load

__all__ = ["ROOT", "build"]

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent


def build(target: Path, *, reference: Sequence[str] = pages.REFERENCE, documents: bool = True) -> None:
    """Build the site.

    Args:
        target: folder for the pages; made anew.
        reference: the modules of the API reference, which takes most of the time; none to leave it out.
        documents: whether documents and notebooks become pages; if not, only the reference does.

    Raises:
        mkdocs.exceptions.Abort: MkDocs warned of something, such as a link that leads nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="nabi-site-") as folder:
        source = Path(folder) / "pages"
        navigation = pages.assemble(ROOT, source, reference=reference, documents=documents)
        shutil.copytree(HERE / "theme" / "assets", source / "assets")
        with (HERE / "mkdocs.yml").open(encoding="utf-8") as file:
            settings = yaml_load(file)
        plugins = [one for one in settings["plugins"] if reference or "mkdocstrings" not in one]
        for plugin in plugins:
            if "mkdocstrings" in plugin:
                python = plugin["mkdocstrings"]["handlers"]["python"]
                python["paths"] = [str(ROOT)]
                python["options"]["extensions"] = [{str(HERE / "docstrings.py"): {}}]
        told = logging.StreamHandler()
        told.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        told.setLevel(logging.WARNING)
        logging.getLogger("mkdocs").addHandler(told)
        config = load_config(
            str(HERE / "mkdocs.yml"),
            # A part of the reference has links to the rest.
            strict=tuple(reference) in ((), pages.REFERENCE),
            docs_dir=str(source),
            site_dir=str(target),
            nav=navigation,
            plugins=plugins,
            hooks=[str(HERE / "hooks.py")],
        )
        mkdocs_build.build(config)
