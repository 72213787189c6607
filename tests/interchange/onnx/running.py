"""Writing models as ONNX, checking the files, and running them with ONNX Runtime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from nabi import interchange, layers, models
from nabi.interchange._onnx._own import own_model
from nabi.targets.onnx import Model, decoded


class Written:
    """A file that was written, checked and opened."""

    def __init__(self, model: Any, path: Path, **options: Any) -> None:
        interchange.write_onnx(model, path, **options)
        self.path = path
        self.message = onnx.load(path)
        onnx.checker.check_model(self.message, full_check=True)
        setting = onnxruntime.SessionOptions()
        setting.intra_op_num_threads = setting.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), setting)
        self.metadata = {one.key: one.value for one in self.message.metadata_props}

    def run(self, **feeds: Any) -> dict[str, Any]:
        names = [one.name for one in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feeds), strict=True))

    @property
    def states(self) -> list[dict[str, Any]]:
        return json.loads(self.metadata["nabi.states"])

    @property
    def operators(self) -> list[str]:
        return [node.op_type for node in self.message.graph.node]

    def own(self) -> Any:
        return own_model(decoded(Model, self.path.read_bytes()), self.path)


def close(found: Any, wanted: Any) -> None:
    wanted = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else wanted
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def shake(model: torch.nn.Module, seed: int = 0) -> None:
    """Move all weights from where they begin, so that none is zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))


def sequential(shape: Any, *stack: Any) -> models.Sequential:
    model = models.Sequential([layers.Input(shape), *stack])
    shake(model)
    return model


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def with_gaps(*shape: int, seed: int = 0) -> Any:
    """Steps of zeros at the beginning, in the middle, and in a whole row; `Masking` masks them."""
    x = numbers(*shape, seed=seed)
    x[1, :2] = 0
    x[2] = 0
    x[0, 3] = 0
    return x
