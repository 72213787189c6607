"""Write the files of this folder: small networks, as PyTorch's, Keras' and TensorFlow's exporters write them.

    python tests/interchange/onnx/make_files.py [names that they begin with]

It makes an environment of its own with the exporters (some 3 GB) in the folder ENVIRONMENT, below the
system's folder for temporary files, and runs itself in it. The outputs that go with each file are those of
ONNX Runtime.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
ENVIRONMENT = Path(os.environ.get("NABI_EXPORTERS", Path(tempfile.gettempdir()) / "nabi_exporters"))
PACKAGES = ["torch==2.13.0", "onnx", "onnxscript", "onnxruntime", "tensorflow", "keras", "tf2onnx", "numpy"]
MODELS: dict[str, Callable[[], tuple[bytes, dict[str, Any]]]] = {}


def _torch(module: Any, example: tuple[Any, ...], names: list[str], axes: dict[str, Any], way: str) -> bytes:
    import torch

    path = ENVIRONMENT / "model.onnx"
    module.eval()
    with torch.no_grad():
        if way == "legacy":
            torch.onnx.export(
                module, example, path, dynamo=False, input_names=names, dynamic_axes=axes, opset_version=17
            )
        else:
            shapes = []
            for name in names:
                own = axes.get(name, {})
                shapes.append({place: torch.export.Dim(label) for place, label in own.items()} or None)
            torch.onnx.export(
                module, example, path, dynamo=True, input_names=names, external_data=False,
                dynamic_shapes=tuple(shapes) if axes else None,
            )  # fmt: skip
    return path.read_bytes()


def torch_models() -> None:
    """PyTorch, with both of its exporters."""
    import torch
    from torch import nn

    class Last(nn.Module):
        def __init__(self, inner: Any, width: int, batch_first: bool = True) -> None:
            super().__init__()
            self.inner, self.out, self.batch_first = inner, nn.Linear(width, 2), batch_first

        def forward(self, x: Any) -> Any:
            y = self.inner(x)[0]
            return torch.softmax(self.out(y[:, -1] if self.batch_first else y[-1]), -1)

    class Words(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 3)
            self.inner = nn.LSTM(3, 4, batch_first=True, **options)
            self.drop = nn.Dropout(0.3)
            self.out = nn.Linear(8 if options.get("bidirectional") else 4, 5)

        def forward(self, ids: Any) -> Any:
            return self.out(self.drop(torch.relu(self.inner(self.table(ids))[0])))

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.inner, self.out = nn.LayerNorm(3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return torch.tanh(self.out(self.inner(self.norm(x))[0].mean(1)))

    class Convolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv1d(3, 4, 3, padding=1)
            self.batch_norm, self.pool = nn.BatchNorm1d(4), nn.MaxPool1d(2)
            self.inner, self.out = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            y = self.pool(torch.relu(self.batch_norm(self.convolution(x.transpose(1, 2)))))
            return self.out(self.inner(y.transpose(1, 2))[0][:, -1])

    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True)
            self.out = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            _, (h, _) = self.inner(x)
            return self.out(torch.cat([h[-2], h[-1]], -1))

    class Packed(nn.Module):
        def __init__(self, both: bool, in_order: bool) -> None:
            super().__init__()
            self.inner = nn.GRU(3, 2, batch_first=True, bidirectional=both)
            self.in_order = in_order

        def forward(self, x: Any, lengths: Any) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=self.in_order
            )
            return nn.utils.rnn.pad_packed_sequence(self.inner(packed)[0], batch_first=True)[0]

    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.GRU(3, 4, batch_first=True)
            self.start = nn.Parameter(torch.randn(1, 1, 4))

        def forward(self, x: Any) -> Any:
            return self.inner(x, self.start.expand(1, x.shape[0], 4).contiguous())[0]

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LSTM(3, 3, batch_first=True), nn.GRU(3, 3, batch_first=True)

        def forward(self, x: Any) -> Any:
            y = self.first(x)[0]
            return torch.cat([x + y, self.second(y)[0]], -1).amax(1)

    class Stepped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.LSTMCell(3, 4), nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            h = c = torch.zeros(x.shape[0], 4)
            for t in range(x.shape[1]):
                h, c = self.cell(x[:, t], (h, c))
            return self.out(h)

    class States(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTM(3, 4, 2, batch_first=True)

        def forward(self, x: Any, h: Any, c: Any) -> Any:
            y, (h, c) = self.inner(x, (h, c))
            return y, h, c

    sequences = {"x": {0: "batch", 1: "time"}}
    time_first = {"x": {0: "time", 1: "batch"}}
    rows = {"x": {0: "batch"}}
    x, words = torch.randn(2, 5, 3), torch.randint(0, 9, (2, 5))

    def add(
        name: str, make: Callable[[], Any], given: tuple[Any, ...], axes: Any, names: Any = ("x",)
    ) -> None:
        for way in ("legacy", "dynamo"):

            def export(way: str = way) -> tuple[bytes, dict[str, Any]]:
                torch.manual_seed(len(name))
                data = _torch(make(), given, list(names), axes, way)
                return data, {one: tensor.numpy() for one, tensor in zip(names, given, strict=True)}

            MODELS[f"torch_{way}_{name}"] = export

    for kind in ("RNN", "GRU", "LSTM"):
        make: Any = getattr(nn, kind)
        low = kind.lower()
        add(low, lambda make=make: make(3, 4, batch_first=True), (x,), sequences)
        add(f"{low}_fixed", lambda make=make: make(3, 4, batch_first=True), (x,), {})
        add(f"{low}_time_first", lambda make=make: make(3, 4), (x.transpose(0, 1),), time_first)
        add(f"{low}_stack", lambda make=make: make(3, 2, 2, batch_first=True), (x,), sequences)
        add(
            f"{low}_both", lambda make=make: make(3, 2, batch_first=True, bidirectional=True), (x,), sequences
        )
        add(f"{low}_last", lambda make=make: Last(make(3, 4, batch_first=True), 4), (x,), sequences)
    add("rnn_relu", lambda: nn.RNN(3, 4, nonlinearity="relu", batch_first=True), (x,), sequences)
    add("lstm_stack_both", lambda: nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True), (x,), sequences)
    add("lstm_no_bias", lambda: nn.LSTM(3, 4, bias=False, batch_first=True), (x,), sequences)
    add("gru_last_time_first", lambda: Last(nn.GRU(3, 4), 4, False), (x.transpose(0, 1),), time_first)
    add("words", Words, (words,), sequences)
    add("words_both", lambda: Words(bidirectional=True), (words,), sequences)
    add("normed", Normed, (x,), sequences)
    add("convolved", Convolved, (torch.randn(2, 6, 3),), rows)
    add("ends", Ends, (x,), sequences)
    add("learned", Learned, (x,), sequences)
    add("residual", Residual, (x,), sequences)
    add("stepped", Stepped, (x,), rows)
    add("one_sample", lambda: nn.GRU(3, 4), (torch.randn(5, 3),), {"x": {0: "time"}})
    states = torch.randn(2, 2, 4), torch.randn(2, 2, 4)
    axes = {**sequences, "h": {1: "batch"}, "c": {1: "batch"}}
    add("states", States, (x, *states), axes, ("x", "h", "c"))
    lengths = torch.tensor([5, 3])
    for both in (False, True):
        for in_order in (False, True):
            name = f"packed{'_both' if both else ''}{'_in_order' if in_order else ''}"
            add(name, lambda both=both, order=in_order: Packed(both, order), (x, lengths),
                {**sequences, "lengths": {0: "batch"}}, ("x", "lengths"))  # fmt: skip
    dense = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.LogSoftmax(-1))
    add("dense", lambda: dense, (torch.randn(2, 3),), rows)
    attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    add("attention", lambda: attention, (torch.randn(2, 5, 4),), {})


def keras_models() -> None:
    """Keras on TensorFlow, which exports by tf2onnx."""
    import keras
    import numpy as np
    from keras import layers

    def add(name: str, inner: list[Any], shape: tuple[Any, ...] = (None, 3), ids: bool = False) -> None:
        def export() -> tuple[bytes, dict[str, Any]]:
            keras.utils.set_random_seed(len(name))
            kind = "int32" if ids else "float32"
            model = keras.Sequential([keras.Input(shape, dtype=kind, name="x"), *[make() for make in inner]])
            model(np.zeros((2, *[5 if one is None else one for one in shape]), kind))  # or it is not exported
            path = ENVIRONMENT / "model.onnx"
            model.export(path, format="onnx", verbose=False)
            draw = np.random.default_rng(1)
            size = (2, *[5 if one is None else one for one in shape])
            given = draw.integers(0, 9, size).astype(np.int32) if ids else draw.normal(size=size)
            return path.read_bytes(), {"x": given if ids else given.astype(np.float32)}

        MODELS[f"keras_{name}"] = export

    for kind in ("SimpleRNN", "GRU", "LSTM"):
        make: Any = getattr(layers, kind)
        low = kind.lower()
        add(low, [lambda make=make: make(4), lambda: layers.Dense(2)])
        add(f"{low}_sequences", [lambda make=make: make(4, return_sequences=True), lambda: layers.Dense(2)])
        add(f"{low}_both", [lambda make=make: layers.Bidirectional(make(2, return_sequences=True))])
    add("gru_2014", [lambda: layers.GRU(4, reset_after=False)])
    add("lstm_stack", [lambda: layers.LSTM(4, return_sequences=True), lambda: layers.LSTM(3)])
    add("lstm_backwards", [lambda: layers.LSTM(4, go_backwards=True, return_sequences=True)])
    add("masking_lstm", [lambda: layers.Masking(), lambda: layers.LSTM(3)])
    add("words", [lambda: layers.Embedding(9, 3), lambda: layers.LSTM(4), lambda: layers.Dense(2, "softmax")],
        (None,), True)  # fmt: skip
    add("convolved", [lambda: layers.Conv1D(4, 3, padding="same", activation="relu"),
                      lambda: layers.MaxPooling1D(2), lambda: layers.LSTM(3)], (6, 3))  # fmt: skip
    add("normed", [lambda: layers.LayerNormalization(), lambda: layers.LSTM(3, return_sequences=True),
                   lambda: layers.GlobalAveragePooling1D()])  # fmt: skip


def _inside() -> None:
    import numpy as np
    import onnx
    import onnxruntime

    torch_models()
    keras_models()
    begin = tuple(sys.argv[2:]) or ("",)
    wanted = [name for name in MODELS if name.startswith(begin)]
    FILES.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {}
    if (FILES / "arrays.npz").exists():
        with np.load(FILES / "arrays.npz") as stored:
            arrays = {key: stored[key] for key in stored.files}
    for name in wanted:
        for key in [key for key in arrays if key.startswith(f"{name}/")]:
            del arrays[key]
        (FILES / f"{name}.onnx").unlink(missing_ok=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data, inputs = MODELS[name]()
        except Exception as problem:  # an exporter that refuses its own framework's network
            print(f"{name}: not exported: {type(problem).__name__}: {str(problem)[:150]}")
            continue
        message = onnx.load_from_string(data)
        message.doc_string = ""
        for graph in (message.graph, *message.functions):
            del graph.value_info[:]
            for node in graph.node:
                node.doc_string = ""
                del node.metadata_props[:]
        del message.metadata_props[:]
        del message.graph.metadata_props[:]
        data = message.SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        given = {one.name: inputs[key] for one, key in zip(session.get_inputs(), inputs, strict=True)}
        results = session.run(None, given)
        (FILES / f"{name}.onnx").write_bytes(data)
        arrays |= {f"{name}/in/{key}": value for key, value in given.items()}
        outputs = zip(session.get_outputs(), results, strict=True)
        arrays |= {f"{name}/out/{one.name}": value for one, value in outputs}
        print(f"{name}: {len(data)} bytes")
    np.savez_compressed(FILES / "arrays.npz", **arrays)


def main() -> None:
    """Make the environment, if there is none yet, and the files in it."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    subprocess.run([str(python), __file__, "inside", *sys.argv[1:]], check=True, env=environment)


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        _inside()
    else:
        main()
