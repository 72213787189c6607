"""Write the Keras files of this folder's tests, with the Keras of their time, and what they give.

`python tests/interchange/keras/make_files.py [FOLDER]` makes an environment for each Keras in FOLDER (by
default `build/keras` of the project, which git ignores) and runs this file again in each. The old ones need
Python 3.7, from pyenv or under the name python3.7; other versions of Python are found likewise.

Each model is small, and trained for two steps. Beside `NAME.keras` or `NAME.h5` lies `NAME.npz`: inputs `x0`,
`x1`, ..., targets `y`, the outputs `before` that Keras predicts, and the outputs `after` two more steps of
training on one batch from the file, without shuffling. `parameters` is the number of weights.

CuDNNLSTM and CuDNNGRU run on NVIDIA's processors only. Their files are those of a model of LSTM and GRU
whose description and weights were replaced: by the configs of Keras' own CuDNN layers, and by what Keras'
own function for such files, `_convert_rnn_weights`, makes of the weights. Outputs are those of LSTM and GRU.

Written for Python 3.7 and later.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

FILES = Path(__file__).resolve().parent / "files"
# Name of an environment, version of Python, packages.
ENVIRONMENTS = {
    "keras1": (
        "3.7",
        [
            "wheel<0.38",
            "tensorflow==1.15.5",
            "keras==1.2.2",
            "h5py<3",
            "protobuf<3.20",
            "numpy<1.19",
            "scipy<1.6",
        ],
    ),
    "keras22": ("3.7", ["tensorflow==1.15.5", "keras==2.2.4", "h5py<3", "protobuf<3.20", "numpy<1.19"]),
    "keras2": ("3.11", ["tensorflow==2.21", "tf-keras==2.21", "h5py"]),
    "keras30": ("3.11", ["tensorflow==2.16.1", "keras==3.0.5", "h5py"]),
    "keras3": ("3.11", ["tensorflow==2.21", "keras==3.15.1", "h5py"]),
}


def main():
    home = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[3] / "build" / "keras").resolve()
    FILES.mkdir(exist_ok=True)
    for name, (version, packages) in ENVIRONMENTS.items():
        python = home / name / "bin" / "python"
        if not python.exists():
            subprocess.run([found_python(version), "-m", "venv", str(home / name)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet"]
            if name == "keras1":  # its archive of source builds with what is installed
                subprocess.run([*pip, packages[0]], check=True)
                pip.append("--no-build-isolation")
            subprocess.run([*pip, *packages], check=True)
        inside = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
        inside.update({"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(home / name / "home")})
        subprocess.run(
            [str(python), "-W", "ignore", __file__, "--inside", name],
            check=True,
            env={**os.environ, **inside},
        )


def found_python(version):
    for folder in sorted((Path.home() / ".pyenv" / "versions").glob(version + "*")):
        return str(folder / "bin" / "python")
    return shutil.which("python" + version) or sys.exit("there is no Python " + version)


# Inside of an environment ---------------------------------------------------------------------------------


def inside(name):
    import numpy as np

    np.random.seed(0)
    {"keras1": keras1, "keras22": keras22, "keras2": keras2, "keras30": keras30, "keras3": keras3}[name](np)


def keep(np, name, model, x, y, save, compiled, ending=".h5", batch=None, train=True):
    """Train a model for two steps, save it, and write what it gives before and after two more."""
    inputs = x if isinstance(x, list) else [x]
    epochs = {"nb_epoch": 1} if compiled.pop("old", False) else {"epochs": 1}
    batch = batch or len(inputs[0])

    def fit():
        for _ in range(2):
            model.fit(x, y, batch_size=batch, shuffle=False, verbose=0, **epochs)

    model.compile(**compiled)
    if train:
        fit()
    if hasattr(model, "reset_states"):
        model.reset_states()
    else:
        for layer in model.layers:
            layer.reset_state() if getattr(layer, "stateful", False) else None
    path = str(FILES / (name + ending))
    save(model, path)
    before = model.predict(x, batch_size=batch)
    if getattr(model, "is_stateful", False):
        before = np.concatenate([before, model.predict(x, batch_size=batch)])
        for layer in model.layers:
            layer.reset_state() if getattr(layer, "stateful", False) else None
    fit()
    after = model.predict(x, batch_size=batch)
    given = {f"x{number}": one for number, one in enumerate(inputs)}
    np.savez_compressed(
        str(FILES / (name + ".npz")),
        y=y,
        before=before,
        after=after,
        parameters=model.count_params(),
        **given,
    )
    print(name, os.path.getsize(path))


def steps(np, rows=4, count=5, width=3, padded=False):
    x = np.random.uniform(-1, 1, (rows, count, width)).astype("float32")
    if padded:
        for row in range(rows):
            x[row, count - row :] = 0
    return x


def words(np, rows=4, count=5):
    # Every word occurs: TensorFlow moves no averages of rows that a batch does not read.
    x = np.stack([np.random.permutation(count) + 1 for _ in range(rows)])
    for row in range(rows):
        x[row, count - row :] = 0
    return x


def targets(np, rows=4):
    return np.random.uniform(0, 1, (rows, 1)).astype("float32")


def shaken(np, model):
    """Give weights that start at 0 or 1 other values."""
    model.set_weights(
        [w + np.random.uniform(-0.3, 0.3, w.shape).astype("float32") for w in model.get_weights()]
    )
    return model


def keras3(np):
    import keras

    layers, save = keras.layers, lambda model, path: model.save(path)
    keras.utils.set_random_seed(1)
    for ending in (".keras", ".h5"):
        lstm = shaken(
            np,
            keras.Sequential(
                [
                    keras.Input((5, 3)),
                    layers.LSTM(3, return_sequences=True, dropout=0.0),
                    layers.LSTM(2, use_bias=False),
                    layers.Dense(1),
                ]
            ),
        )
        adam = {"optimizer": keras.optimizers.Adam(0.02), "loss": "mse", "metrics": ["mae"]}
        keep(np, "keras3_lstm" + ending.replace(".", "_"), lstm, steps(np), targets(np), save, adam, ending)

        def gru():
            return shaken(
                np,
                keras.Sequential(
                    [
                        keras.Input((5,), dtype="int32"),
                        layers.Embedding(6, 2, mask_zero=True),
                        layers.GRU(3, return_sequences=True),
                        layers.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid"),
                        layers.Dense(1, activation="sigmoid"),
                    ]
                ),
            )

        rms = {"optimizer": keras.optimizers.Adam(0.01, amsgrad=True), "loss": "binary_crossentropy"}
        keep(np, "keras3_gru" + ending.replace(".", "_"), gru(), words(np), targets(np), save, rms, ending)

        def both():
            x = keras.Input((5, 3))
            y = layers.Masking()(x)
            concat = layers.Bidirectional(layers.LSTM(2, name="lstm_of_b"), name="b")(y)
            total = layers.Bidirectional(layers.GRU(2), merge_mode="sum")(y)
            product = layers.Bidirectional(layers.SimpleRNN(2), merge_mode="mul")(y)
            mean = layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave")(y)
            two = layers.Bidirectional(
                layers.LSTM(2),
                merge_mode=None,
                backward_layer=layers.LSTM(2, go_backwards=True, activation="relu"),
            )(y)
            mean = layers.GlobalAveragePooling1D()(mean)
            return shaken(
                np,
                keras.Model(x, layers.Dense(1)(layers.Concatenate()([concat, total, product, mean, *two]))),
            )

        sgd = {
            "optimizer": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
            "loss": keras.losses.MeanSquaredError(),
        }
        if ending == ".keras":  # it is large
            keep(np, "keras3_bidirectional", both(), steps(np, padded=True), targets(np), save, sgd, ending)

    x = keras.Input((5, 3))
    y = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(2)], return_sequences=True)(
        layers.Masking()(x)
    )
    y = layers.TimeDistributed(
        keras.Sequential([layers.Dense(3, activation="relu"), layers.BatchNormalization()])
    )(y)
    cells = shaken(np, keras.Model(x, layers.Dense(1)(layers.GRU(2)(y))))
    rms = {"optimizer": keras.optimizers.RMSprop(0.01, momentum=0.8, centered=True), "loss": "mse"}
    keep(np, "keras3_cells", cells, steps(np, padded=True), targets(np), save, rms, ".keras")

    stateful = shaken(
        np,
        keras.Sequential([keras.Input((5, 3), batch_size=4), layers.LSTM(2, stateful=True), layers.Dense(1)]),
    )
    stateful.is_stateful = True
    keep(
        np,
        "keras3_stateful",
        stateful,
        steps(np),
        targets(np),
        save,
        {"optimizer": "adam", "loss": "mse"},
        ".keras",
    )

    question, text = keras.Input((5, 3), name="question"), keras.Input((5, 3), name="text")
    encoder = layers.LSTM(2, return_state=True, name="encoder")
    shared = layers.Dense(2, activation="tanh", name="shared")
    inner = keras.Sequential(
        [keras.Input((5, 2)), layers.Dense(2), layers.BatchNormalization()], name="inner"
    )
    outer_in = keras.Input((5, 2))
    outer = keras.Model(outer_in, layers.LayerNormalization()(inner(outer_in)) + outer_in, name="outer")
    _, h, c = encoder(outer(shared(question)))
    decoded = layers.LSTM(2, return_sequences=True, name="decoder")(shared(text), initial_state=[h, c])
    met = layers.Attention(use_scale=True)([decoded, shared(question)])
    met = layers.Conv1D(2, 2, padding="causal", activation="elu")(layers.Concatenate()([met, decoded]))
    result = layers.Dense(1)(layers.PReLU()(layers.GlobalMaxPooling1D()(met)))
    inner.trainable = False
    pair = shaken(np, keras.Model([question, text], result))
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5), clipnorm=1.0
    )
    keep(
        np,
        "keras3_states",
        pair,
        [steps(np), steps(np)],
        targets(np),
        save,
        {"optimizer": optimizer, "loss": "mse"},
        ".keras",
    )
    pair.save_weights(str(FILES / "keras3_states.weights.h5"))

    film = shaken(
        np,
        keras.Sequential(
            [
                keras.Input((3, 4, 4, 1)),
                layers.ConvLSTM2D(2, 2, return_sequences=True),
                layers.TimeDistributed(layers.Flatten()),
                layers.SpatialDropout1D(0.0),
                layers.SimpleRNN(2, activation="relu"),
                layers.RepeatVector(2),
                layers.Permute((2, 1)),
                layers.Reshape((4,)),
                layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.01)),
            ]
        ),
    )
    x = np.random.uniform(-1, 1, (4, 3, 4, 4, 1)).astype("float32")
    keep(np, "keras3_film", film, x, targets(np), save, {"optimizer": "sgd", "loss": "mse"}, ".keras")


def keras30(np):
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    for ending in (".keras", ".h5"):
        first = layers.GRU(2, return_sequences=True)
        if ending == ".keras":  # this Keras fails to write two directions into `.h5`
            first = layers.Bidirectional(first)
        model = shaken(np, keras.Sequential([keras.Input((5, 3)), first, layers.LSTM(2), layers.Dense(1)]))
        compiled = {"optimizer": keras.optimizers.Adam(0.02), "loss": "mse"}
        keep(
            np,
            "keras30" + ending.replace(".", "_"),
            model,
            steps(np),
            targets(np),
            lambda m, path: m.save(path),
            compiled,
            ending,
        )


def keras2(np):
    import tf_keras as keras

    layers, save = keras.layers, lambda model, path: model.save(path)
    keras.utils.set_random_seed(1)
    for ending in (".keras", ".h5"):
        x = keras.Input((5,))
        y = layers.Embedding(6, 2, mask_zero=True)(x)
        y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, recurrent_activation="hard_sigmoid"))(
            y
        )
        y = layers.RNN([layers.GRUCell(2), layers.LSTMCell(2)], return_sequences=True)(y)
        y = keras.Sequential([layers.Dense(2), layers.BatchNormalization()])(y)
        y, h = layers.GRU(2, return_state=True, return_sequences=True)(y)
        y = layers.GRU(2, reset_after=False)(y, initial_state=[h])
        model = shaken(np, keras.Model(x, layers.Dense(1)(y)))
        compiled = {"optimizer": keras.optimizers.Adam(0.02), "loss": "mse", "metrics": ["mae"]}
        keep(np, "keras2" + ending.replace(".", "_"), model, words(np), targets(np), save, compiled, ending)
        model.save_weights(str(FILES / "keras2_keras.weights.h5")) if ending == ".keras" else None
    model.load_weights(str(FILES / "keras2_h5.h5"))
    model.save_weights(str(FILES / "keras2_h5_weights.h5"))


def keras22(np):
    import tensorflow as tf

    tf.compat.v1.logging.set_verbosity("ERROR")
    tf.compat.v1.set_random_seed(1)
    for name, keras in (("keras224", __import__("keras")), ("tf115", tf.keras)):
        layers, save = keras.layers, lambda model, path: model.save(path)
        model = shaken(
            np,
            keras.models.Sequential(
                [
                    layers.Masking(input_shape=(5, 3)),
                    layers.LSTM(2, return_sequences=True),
                    layers.GRU(2, return_sequences=True),
                    layers.TimeDistributed(layers.Dense(2)),
                    layers.SimpleRNN(2),
                    layers.Dense(1),
                ]
            ),
        )
        compiled = {"optimizer": keras.optimizers.Adam(lr=0.02), "loss": "mse", "metrics": ["mae"]}
        keep(np, name + "_sequential", model, steps(np, padded=True), targets(np), save, compiled)

        x = keras.layers.Input((5, 3))
        y = layers.Masking()(x)
        first = layers.Bidirectional(layers.GRU(2, reset_after=True, return_sequences=True))(y)
        second = layers.Bidirectional(layers.LSTM(2), merge_mode="sum")(first)
        third = layers.GlobalMaxPooling1D()(layers.Conv1D(2, 2, activation="relu")(x))
        inner_in = keras.layers.Input((2,))
        inner = keras.models.Model(inner_in, layers.BatchNormalization()(layers.Dense(2)(inner_in)))
        y = layers.concatenate([inner(second), inner(third)])
        model = shaken(np, keras.models.Model(x, layers.Dense(1)(y)))
        compiled = {"optimizer": keras.optimizers.RMSprop(lr=0.01), "loss": "mse"}
        keep(np, name + "_functional", model, steps(np, padded=True), targets(np), save, compiled)
        if name == "tf115":
            from tensorflow.python.keras.saving import hdf5_format as saving

            kinds = tf.compat.v1.keras.layers
        else:
            from keras.engine import saving

            kinds = layers
        kinds = {"GRU": kinds.CuDNNGRU, "LSTM": kinds.CuDNNLSTM}
        cudnn(np, name, keras, kinds, saving._convert_rnn_weights)


def cudnn(np, name, keras, kinds, convert):
    """Write a model of LSTM and GRU, then give its file the layers of cuDNN and their weights."""
    import json

    import h5py

    layers = keras.layers
    model = shaken(
        np,
        keras.models.Sequential(
            [
                layers.Bidirectional(
                    layers.LSTM(2, recurrent_activation="sigmoid", return_sequences=True), input_shape=(5, 3)
                ),
                layers.GRU(2, recurrent_activation="sigmoid", reset_after=True, return_sequences=True),
                layers.LSTM(2, recurrent_activation="sigmoid"),
                layers.Dense(1),
            ]
        ),
    )
    compiled = {"optimizer": "sgd", "loss": "mse"}
    keep(
        np,
        name + "_cudnn",
        model,
        steps(np),
        targets(np),
        lambda m, path: m.save(path),
        compiled,
        train=False,
    )
    with h5py.File(str(FILES / (name + "_cudnn.h5")), "r+") as file:
        config = file.attrs["model_config"]
        config = json.loads(config if isinstance(config, str) else config.decode())
        for layer in config["config"]["layers"]:
            inner = layer["config"].get("layer", layer)
            if inner["class_name"] in ("LSTM", "GRU"):
                fast = kinds[inner["class_name"]](2)
                known = fast.get_config()
                inner["class_name"] = "CuDNN" + inner["class_name"]
                inner["config"] = {key: inner["config"].get(key, known[key]) for key in known}
        file.attrs["model_config"] = json.dumps(config).encode()
        for group in file["model_weights"].values():
            names = [one.decode() for one in group.attrs["weight_names"]]
            for first in range(0, len(names) - 2, 3):
                arrays = [group[one][()] for one in names[first : first + 3]]
                fast = kinds["GRU" if "gru" in names[first] else "LSTM"](2)
                for one, array in zip(names[first : first + 3], convert(fast, arrays)):  # noqa: B905
                    del group[one]
                    group[one] = array


def keras1(np):
    import keras
    import tensorflow as tf

    tf.compat.v1.logging.set_verbosity("ERROR")
    tf.compat.v1.set_random_seed(1)
    layers, save = keras.layers, lambda model, path: model.save(path)
    for consume in ("cpu", "gpu"):
        model = shaken(
            np,
            keras.models.Sequential(
                [
                    layers.Embedding(6, 2, mask_zero=True, input_length=5),
                    layers.LSTM(3, return_sequences=True, consume_less=consume),
                    layers.GRU(2, return_sequences=True, consume_less=consume),
                    layers.SimpleRNN(2, return_sequences=True),
                    layers.Bidirectional(layers.LSTM(2, consume_less=consume)),
                    layers.Dense(1, activation="sigmoid"),
                ]
            ),
        )
        compiled = {
            "optimizer": keras.optimizers.RMSprop(lr=0.01),
            "loss": "binary_crossentropy",
            "metrics": ["accuracy"],
            "old": True,
        }
        keep(np, "keras1_" + consume, model, words(np), targets(np), save, compiled)

    x = layers.Input((5, 3))
    y = layers.Convolution1D(2, 2, activation="relu")(x)
    y = layers.TimeDistributed(layers.Dense(2))(layers.BatchNormalization()(y))
    y = layers.merge([layers.GlobalMaxPooling1D()(y), layers.GRU(2)(layers.Masking()(x))], mode="concat")
    model = shaken(
        np,
        keras.models.Model(
            x, layers.Dense(1, W_regularizer=keras.regularizers.l2(0.01))(layers.Dropout(0.0)(y))
        ),
    )
    keep(
        np,
        "keras1_functional",
        model,
        steps(np),
        targets(np),
        save,
        {"optimizer": "sgd", "loss": "mse", "old": True},
    )
    model.save_weights(str(FILES / "keras1_functional_weights.h5"), overwrite=True)


if __name__ == "__main__":
    inside(sys.argv[2]) if "--inside" in sys.argv else main()
