"""ONNX files of nabi back to the models that were written: exactly, where nothing has changed the file."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nabi import nn
from nabi.errors import FileFormatError, NabiError
from nabi.files import ModelFile, write_model_file
from nabi.interchange._onnx._own import PART, own_model
from nabi.interchange._own_files import read_own_model
from nabi.layers import cell_from_config
from nabi.targets.onnx import Model

__all__ = ["MODULES", "read_own"]

MODULES = {one.__name__: one for one in (nn.RNN, nn.ElmanRNN, nn.LSTM, nn.GRU)}


def read_own(message: Model, path: Path, custom_objects: Mapping[str, Any] | None) -> tuple[Any, str]:
    """Return the model of nabi that a file describes, or None and the reason why the graph has to be read.

    The reason is empty for files of other programs. A description that is damaged, that needs a class that is
    not there, or whose graph was changed afterwards, is no error: the graph says what the model computes.

    Raises:
        FileFormatError: for a file of nabi that is a part of a model.
    """
    text = next((entry.value for entry in message.metadata_props if entry.key == PART), None)
    if text is not None:
        raise FileFormatError(_said_of_part(text))
    try:
        file = own_model(message, path)
        if file is None:
            return None, ""
        return (_module if file.kind == "module" else _model)(file, custom_objects), ""
    except (NabiError, KeyError, TypeError, ValueError, RuntimeError) as problem:
        return None, f"nabi's description of the model was not used: {problem}"


def _said_of_part(text: str) -> str:
    try:
        part, whole, file = (str(json.loads(text)[key])[:200] for key in ("part", "of", "file"))
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        raise FileFormatError(f"{PART}: what the file is a part of is damaged") from problem
    return f"the file is the {part} of a {whole} and no model by itself; read {file}, written beside it"


def _model(file: ModelFile, custom_objects: Mapping[str, Any] | None) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "model.nabi")
        write_model_file(place, file.kind, file.header, file.tensors)
        return read_own_model(place, custom_objects)


def _module(file: ModelFile, custom_objects: Mapping[str, Any] | None) -> Any:
    kind = MODULES.get(str(file.header.get("class")))
    if kind is None:
        raise FileFormatError(f"class: expected one of {', '.join(MODULES)}")
    arguments = dict(file.header["arguments"])
    if "cell" in arguments:
        arguments["cell"] = cell_from_config(arguments["cell"], custom_objects)
    made: Any = kind(**arguments)
    made.load_state_dict(file.tensors)
    return made.eval()
