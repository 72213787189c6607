"""Files that PyTorch's and Keras' exporters wrote (`make_files.py`), beside ONNX Runtime's outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi.errors import FileFormatError
from nabi.interchange import read_onnx
from tests.interchange.onnx.compared import run_imported

FILES = Path(__file__).parent / "files"
NAMES = sorted(path.stem for path in FILES.glob("*.onnx"))

# What is refused, and with which reason.
UNROLLED = r"used \d times one after the other: pytorch wrote a recurrent network step by step.*dynamo=False"
SORTED = r"TopK \(node /TopK\): .*export with enforce_sorted=True"
REFUSED = {
    **{
        f"torch_dynamo_{name}": UNROLLED
        for name in (
            ["rnn", "rnn_both", "rnn_fixed", "rnn_last", "rnn_relu", "rnn_stack", "rnn_time_first", "stepped"]
        )
    },
    "torch_legacy_stepped": UNROLLED,
    "torch_legacy_packed": SORTED,
    "torch_legacy_packed_both": SORTED,
    "torch_dynamo_attention": "MatMul .*a product of two tensors that are both computed",
}


def test_the_matrix_is_there() -> None:
    assert len(NAMES) >= 80
    assert set(REFUSED) <= set(NAMES)


def arrays(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs of a file and the outputs that ONNX Runtime computed."""
    with np.load(FILES / "arrays.npz") as stored:
        return tuple(  # type: ignore[return-value]
            {
                key.removeprefix(f"{name}/{side}/"): stored[key]
                for key in stored.files
                if key.startswith(f"{name}/{side}/")
            }
            for side in ("in", "out")
        )


@pytest.mark.parametrize("name", NAMES)
def test_file(name: str) -> None:
    path = FILES / f"{name}.onnx"
    if name in REFUSED:
        with pytest.raises(FileFormatError, match=REFUSED[name]):
            read_onnx(path)
        return
    model = read_onnx(path)
    inputs, expected = arrays(name)
    results = run_imported(model, inputs, list(expected))
    for key, array in expected.items():
        own = results[key] if results[key].shape == array.shape else results[key].reshape(array.shape)
        np.testing.assert_allclose(own, array, rtol=0, atol=1e-5)
