"""Files in and out: atomic writing and nabi's own model file."""

from nabi.interchange._atomic import write_atomically
from nabi.interchange._model_file import LAYOUT, ModelFile, read_model_file, write_model_file

__all__ = ["LAYOUT", "ModelFile", "read_model_file", "write_atomically", "write_model_file"]
