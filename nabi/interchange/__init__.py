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
    from nabi.interchange._description._description import Description
    from nabi.interchange._export import export
    from nabi.interchange._files import convert, describe, read_model, write_model
    from nabi.interchange._keras._reading import read_keras, read_keras_weights
    from nabi.interchange._keras._writing import write_keras, write_keras_weights
    from nabi.interchange._onnx._read import read_onnx
    from nabi.interchange._onnx._reader._imported import Imported
    from nabi.interchange._onnx._write import write_onnx
    from nabi.interchange._report import LoadReport
    from nabi.interchange._tensorflow._checkpoint import (
        TensorFlowCheckpoint,
        TensorInfo,
        read_tensorflow_checkpoint,
    )
    from nabi.interchange._tensorflow._loading import load_tensorflow_weights
    from nabi.interchange._torch._export._reader import read_torch_export
    from nabi.interchange._torch._loading import load_torch_weights
    from nabi.interchange._torch._modules import from_torch, to_torch
    from nabi.interchange._torch._stack import read_torch_stack
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
            "nabi.interchange._torch._export._reader": ["read_torch_export"],
            "nabi.interchange._torch._loading": ["load_torch_weights"],
            "nabi.interchange._torch._modules": ["from_torch", "to_torch"],
            "nabi.interchange._torch._stack": ["read_torch_stack"],
            "nabi.interchange._description._description": ["Description"],
            "nabi.interchange._export": ["export"],
            "nabi.interchange._files": ["convert", "describe", "read_model", "write_model"],
            "nabi.interchange._report": ["LoadReport"],
            "nabi.interchange._tensorflow._checkpoint": [
                "TensorFlowCheckpoint",
                "TensorInfo",
                "read_tensorflow_checkpoint",
            ],
            "nabi.interchange._tensorflow._loading": ["load_tensorflow_weights"],
            "nabi.interchange._keras._reading": ["read_keras", "read_keras_weights"],
            "nabi.interchange._keras._writing": ["write_keras", "write_keras_weights"],
            "nabi.interchange._onnx._write": ["write_onnx"],
            "nabi.interchange._onnx._reader._imported": ["Imported"],
            "nabi.interchange._onnx._read": ["read_onnx"],
        },
    )

__all__ = [
    "LAYOUT",
    "READERS",
    "Description",
    "Imported",
    "LoadReport",
    "ModelFile",
    "TensorFlowCheckpoint",
    "TensorInfo",
    "convert",
    "describe",
    "export",
    "from_torch",
    "load_tensorflow_weights",
    "load_torch_weights",
    "read_keras",
    "read_keras_weights",
    "read_model",
    "read_model_file",
    "read_onnx",
    "read_tensorflow_checkpoint",
    "read_torch_export",
    "read_torch_stack",
    "to_torch",
    "write_atomically",
    "write_keras",
    "write_keras_weights",
    "write_model",
    "write_model_file",
    "write_onnx",
]
