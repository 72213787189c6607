"""Files of Keras 1 to 3 give what Keras gave, and training goes on from them; `make_files.py` wrote them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi import interchange, layers, models
from nabi.errors import FileFormatError, NotReadyError

pytest.importorskip("h5py")

FILES = Path(__file__).parent / "files"
NAMES = sorted(
    one.name for one in FILES.iterdir() if one.suffix in (".keras", ".h5") and "weights" not in one.name
)
# What the state of the optimizer is read of, and TensorFlow computes a step as Keras does on torch: there, an
# Embedding has a sparse gradient, whose steps differ. The Keras of 2.3 and before has other formulas.
GOES_ON_ALIKE = (
    "keras30_h5.h5", "keras30_keras.keras", "keras3_bidirectional.keras", "keras3_cells.keras",
    "keras3_film.keras", "keras3_lstm_h5.h5", "keras3_lstm_keras.keras", "keras3_stateful.keras",
    "keras3_states.keras", "tf115_cudnn.h5", "tf115_sequential.h5",
)  # fmt: skip


def stored(name: str) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """The inputs of a model, and what else was stored."""
    with np.load(FILES / f"{name.partition('.')[0]}.npz") as held:
        found = dict(held)
    inputs = [found[key] for key in sorted(found) if key.startswith("x")]
    return (inputs if len(inputs) > 1 else inputs[0]), found


def test_there_are_enough_layouts() -> None:
    assert len(NAMES) >= 22


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_what_keras_gave_and_training_goes_on(name: str) -> None:
    x, found = stored(name)
    model = models.load_model(FILES / name)
    assert model.count_params() == found["parameters"]
    outputs = [model.predict(x, batch_size=4, verbose=0)]
    if len(found["before"]) == 8:  # stateful: the second half goes on from the first
        outputs.append(model.predict(x, batch_size=4, verbose=0))
        model.reset_state()
    np.testing.assert_allclose(np.concatenate(outputs), found["before"], atol=1e-6, rtol=0)

    losses = [model.fit(x, found["y"], batch_size=4, shuffle=False, verbose=0) for _ in range(2)]
    after = model.predict(x, batch_size=4, verbose=0)
    if name in GOES_ON_ALIKE:
        np.testing.assert_allclose(after, found["after"], atol=1e-5, rtol=0)
    else:
        last = model.fit(x, found["y"], batch_size=4, epochs=8, shuffle=False, verbose=0)
        assert last.history["loss"][-1] < losses[0].history["loss"][0]


@pytest.mark.parametrize(
    ("name", "of", "which"),
    [
        ("keras3_states.weights.h5", "keras3_states.keras", "after"),
        ("keras2_keras.weights.h5", "keras2_keras.keras", "after"),
        ("keras2_h5_weights.h5", "keras2_h5.h5", "before"),
        ("keras1_functional_weights.h5", "keras1_functional.h5", "after"),
        ("keras3_lstm_keras.keras", "keras3_lstm_h5.h5", None),
        ("keras3_lstm_h5.h5", "keras3_lstm_keras.keras", None),
    ],
)
def test_weights_are_read_into_a_model_that_exists(name: str, of: str, which: str | None) -> None:
    x, found = stored(of if which else name)
    model = models.load_model(FILES / of, compile=False)
    model.set_weights([one * 0 for one in model.get_weights()])
    model.load_weights(FILES / name)
    np.testing.assert_allclose(model.predict(x, verbose=0), found[which or "before"], atol=1e-6, rtol=0)


def test_weights_of_another_model_leave_the_model_as_it_is() -> None:
    model = models.Sequential([layers.LSTM(3, return_sequences=True, input_shape=(5, 3)), layers.LSTM(2)])
    before = model.get_weights()
    for name in ("keras3_lstm_h5.h5", "keras3_lstm_keras.keras", "keras3_states.weights.h5"):
        with pytest.raises(FileFormatError, match=name):
            model.load_weights(FILES / name)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(NotReadyError, match="no weights yet"):
        models.Sequential([layers.LSTM(3)]).load_weights(FILES / "keras3_lstm_h5.h5")


def test_the_hard_sigmoid_is_that_of_the_files_keras() -> None:
    old = models.load_model(FILES / "keras224_sequential.h5")
    new = models.load_model(FILES / "keras3_gru_keras.keras")
    assert old.layers[1].recurrent_activation.__name__ == "hard_sigmoid_keras2"
    assert new.layers[2].recurrent_activation.__name__ == "hard_sigmoid"


def test_the_content_decides_what_a_file_is(tmp_path: Path) -> None:
    for name, content in (
        ("model.nabi", (FILES / "keras3_lstm_h5.h5").read_bytes()),
        ("model.keras", (FILES / "keras3_lstm_h5.h5").read_bytes()),
        ("model.h5", (FILES / "keras3_lstm_keras.keras").read_bytes()),
        ("model", (FILES / "keras3_lstm_keras.keras").read_bytes()),
    ):
        (tmp_path / name).write_bytes(content)
        x, found = stored("keras3_lstm_h5" if content.startswith(b"\x89HDF") else "keras3_lstm_keras")
        outputs = models.load_model(tmp_path / name).predict(x, verbose=0)
        np.testing.assert_allclose(outputs, found["before"], atol=1e-6, rtol=0)
    own = models.load_model(FILES / "keras3_lstm_h5.h5")
    own.save(tmp_path / "own.nabi")
    (tmp_path / "own.nabi").rename(tmp_path / "own.keras")
    np.testing.assert_array_equal(
        models.load_model(tmp_path / "own.keras").predict(x, verbose=0), own.predict(x, verbose=0)
    )
    with pytest.raises(FileFormatError, match="safetensors file"):
        interchange.read_keras(tmp_path / "own.keras")


def test_an_onnx_model_under_a_name_of_keras_is_called_what_it_is(tmp_path: Path) -> None:
    interchange.write_onnx(models.load_model(FILES / "keras3_lstm_h5.h5"), tmp_path / "model.onnx")
    (tmp_path / "model.onnx").rename(tmp_path / "model.h5")
    with pytest.raises(FileFormatError, match="expected a Keras file, got an ONNX model"):
        models.load_model(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "got nothing"),
        (b"\x80\x04}q\x00.", "a pickle"),
        (b'{"class_name": "Sequential"}', "JSON without weights"),
        (b"PK\x05\x06" + bytes(18), "no zip archive and no HDF5 file"),
        (b"GIF89a----------", "no zip archive and no HDF5 file"),
    ],
)
def test_a_file_whose_name_lies_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    for ending in (".keras", ".h5"):
        path = tmp_path / f"model{ending}"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=what):
            models.load_model(path)
        with pytest.raises(FileFormatError, match=str(path)):
            interchange.read_keras(path)
