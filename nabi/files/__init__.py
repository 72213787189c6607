"""Files: atomic writing and nabi's model file format."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked
from nabi.files._atomic import check_writable, write_atomically
from nabi.files._beginnings import begins_as_safetensors
from nabi.files._strict_json import strict_json
from nabi.files._writer import writer, writing_as

if TYPE_CHECKING:
    from nabi.files._content import file_content, plain_json
    from nabi.files._file_checks import check_counter, check_figures, check_tensors, part, reading
    from nabi.files._kinds import READERS, read_kind
    from nabi.files._model_file import LAYOUT, ModelFile, read_model_file, write_model_file
else:
    # Model files need torch, other files do not.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.files._model_file": ["LAYOUT", "ModelFile", "read_model_file", "write_model_file"],
            "nabi.files._kinds": ["READERS", "read_kind"],
            "nabi.files._content": ["file_content", "plain_json"],
            "nabi.files._file_checks": [
                "check_counter",
                "check_figures",
                "check_tensors",
                "part",
                "reading",
            ],
        },
    )

__all__ = [
    "LAYOUT",
    "READERS",
    "ModelFile",
    "begins_as_safetensors",
    "check_counter",
    "check_figures",
    "check_tensors",
    "check_writable",
    "file_content",
    "part",
    "plain_json",
    "read_kind",
    "read_model_file",
    "reading",
    "strict_json",
    "write_atomically",
    "write_model_file",
    "writer",
    "writing_as",
]
