"""Models that other programs wrote, and files for other programs: ONNX, Keras, PyTorch, TensorFlow 1."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.files import (
        LAYOUT as LAYOUT,
        READERS as READERS,
        ModelFile as ModelFile,
        read_model_file as read_model_file,
        write_atomically as write_atomically,
        write_model_file as write_model_file,
    )
    from nabi.interchange._onnx._read import read_onnx
    from nabi.interchange._onnx._reader._imported import Imported
else:
    # A format is loaded when it is used.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            # nabi's own model file was read and written from here up to version 0.1.
            "nabi.files": [
                "LAYOUT",
                "READERS",
                "ModelFile",
                "read_model_file",
                "write_atomically",
                "write_model_file",
            ],
            "nabi.interchange._onnx._reader._imported": ["Imported"],
            "nabi.interchange._onnx._read": ["read_onnx"],
        },
    )

__all__ = [
    "LAYOUT",
    "READERS",
    "Imported",
    "ModelFile",
    "read_model_file",
    "read_onnx",
    "write_atomically",
    "write_model_file",
]
