"""The command line: `nabi run`, `nabi train`, `nabi predict`, `nabi show` and others."""

from nabi.cli._main import main

__all__ = ["main"]
