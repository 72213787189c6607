"""The version of nabi, for modules that must not import the door of the package."""

__all__ = ["__version__"]

__version__ = "0.1.0"
