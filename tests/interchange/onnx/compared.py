"""An imported model beside what else computes the same: inputs with the batch moved, outputs moved back."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from nabi.interchange import read_onnx

__all__ = ["imported", "run_imported", "run_onnxruntime"]

Array = np.ndarray[Any, Any]


def imported(message: onnx.ModelProto, folder: Path) -> Any:
    """Write a model to a file and read it."""
    path = folder / "model.onnx"
    path.write_bytes(message.SerializeToString())
    return read_onnx(path)


def moved(array: Array, place: int | None, back: bool = False) -> Array:
    """Bring the batch to the front, or back to its place; None: there is no batch."""
    if place is None:
        return array[0] if back else array[None]
    return np.moveaxis(array, 0, place) if back else np.moveaxis(array, place, 0)


def run_imported(model: Any, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Run an imported model on the file's inputs; return the file's outputs."""
    places = model.imported.batch_axes
    given = [torch.from_numpy(np.ascontiguousarray(moved(inputs[name], places[name]))) for name in inputs]
    with torch.no_grad():
        result = model(given if len(given) > 1 else given[0])
    results = result if isinstance(result, dict) else {outputs[0]: result}
    return {name: moved(results[name].numpy(), places[name], back=True) for name in outputs}


def run_onnxruntime(message: onnx.ModelProto, inputs: dict[str, Array]) -> dict[str, Array]:
    """Run a model with ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(message.SerializeToString(), options, ["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))
