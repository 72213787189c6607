"""The command line: `nabi run`, `nabi list`, `nabi show`."""

from nabi.cli._main import main

__all__ = ["main"]
