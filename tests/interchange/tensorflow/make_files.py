"""Write small checkpoints with TensorFlow itself, and what its cells compute with them.

`python tests/interchange/tensorflow/make_files.py` makes an environment with TensorFlow in a temporary folder
(2 GB; `--environment FOLDER` keeps and reuses one) and writes `files/` next to this script. The tests read
those files and need no TensorFlow.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
NEEDED = ["tensorflow==2.21.0", "tf_keras==2.21.0"]
BATCH, STEPS, INPUTS = 3, 4, 2


def main() -> None:
    """Call this script again with a Python that has TensorFlow."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--environment", type=Path, help="folder of the environment, made if missing")
    asked.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.inside:
        write_all()
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.environment or Path(temporary) / "tensorflow"
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDED], check=True)
        # The cells of TensorFlow 1 are in Keras 2; the processor's own kernels differ in the last digits.
        settings = {"TF_USE_LEGACY_KERAS": "1", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([python, __file__, "--inside"], check=True, env=os.environ | settings)


def write_all() -> None:
    """Write every file."""
    import numpy as np
    import tensorflow

    tf = tensorflow.compat.v1
    tf.disable_eager_execution()
    cells = tf.nn.rnn_cell
    expected: dict[str, Any] = {}
    FILES.mkdir(exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()

    def random_values(session: Any, seed: int) -> None:
        """Give every variable values that no symmetry hides; biases too."""
        chance = np.random.default_rng(seed)
        for variable in tf.trainable_variables():
            if variable.dtype.is_floating:
                variable.load(chance.normal(0, 0.6, variable.shape).astype("float32"), session)

    def save(session: Any, name: str, variables: Any = None, **more: Any) -> None:
        saver = tf.train.Saver(variables, **more)
        saver.save(session, str(FILES / name), write_meta_graph=False, write_state=False)

    def run(name: str, build: Any, *, seed: int, train: bool = False, **how: Any) -> None:
        """Build a network on random sequences, save it and keep what it computes."""
        tf.reset_default_graph()
        x = np.random.default_rng(100 + seed).normal(size=(BATCH, STEPS, INPUTS)).astype("float32")
        lengths = np.array([4, 2, 3], dtype="int32")
        outputs, states = build(tf.constant(x), tf.constant(lengths))
        with tf.Session() as session:
            step = None
            if train:
                loss = tf.reduce_mean(tf.square(tf.layers.dense(outputs, 1, name="head")))
                step = tf.train.AdamOptimizer(0.01).minimize(loss, tf.train.get_or_create_global_step())
            session.run(tf.global_variables_initializer())
            random_values(session, seed)
            for _ in range(3 if train else 0):
                session.run(step)
            save(session, name, **how)
            expected[f"{name}/x"], expected[f"{name}/lengths"] = x, lengths
            found = tf.nest.flatten([outputs, states])
            for number, value in enumerate(session.run(found)):
                expected[f"{name}/{number}"] = value

    def over_time(cell: Any, scope: str | None = None) -> Any:
        return lambda x, lengths: tf.nn.dynamic_rnn(
            cell(), x, dtype=tf.float32, sequence_length=lengths, scope=scope
        )

    run("basic-rnn", over_time(lambda: cells.BasicRNNCell(3)), seed=0)
    run("basic-lstm", over_time(lambda: cells.BasicLSTMCell(3)), seed=1, train=True)
    run("lstm-bias-zero", over_time(lambda: cells.LSTMCell(2, forget_bias=0.0), "encoder/rnn"), seed=2)
    run("gru", over_time(lambda: cells.GRUCell(3)), seed=3)
    run(
        "peepholes",
        over_time(lambda: cells.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=1.5, proj_clip=0.8)),
        seed=4,
    )
    run(
        "stack",
        over_time(
            lambda: cells.MultiRNNCell(
                [cells.DropoutWrapper(cells.LSTMCell(3)), cells.GRUCell(2), cells.BasicRNNCell(4)]
            )
        ),
        seed=5,
    )
    run(
        "two-directions",
        lambda x, lengths: tf.nn.bidirectional_dynamic_rnn(
            cells.LSTMCell(3), cells.LSTMCell(2), x, dtype=tf.float32, sequence_length=lengths
        ),
        seed=6,
    )

    def two_networks(x: Any, lengths: Any) -> Any:
        first, _ = tf.nn.dynamic_rnn(cells.GRUCell(3), x, dtype=tf.float32, scope="encoder")
        return tf.nn.dynamic_rnn(cells.GRUCell(3), first, dtype=tf.float32, scope="decoder")

    run("two-networks", two_networks, seed=7)
    run("format-1.ckpt", over_time(lambda: cells.BasicRNNCell(3)), seed=8, write_version=tf.train.SaverDef.V1)

    # Names of TensorFlow 1.0 and before, as checkpoints of those years have them.
    def renamed(name: str, build: Any, seed: int, changes: dict[str, str]) -> None:
        tf.reset_default_graph()
        x = np.random.default_rng(100 + seed).normal(size=(BATCH, STEPS, INPUTS)).astype("float32")
        outputs, _ = tf.nn.dynamic_rnn(build(), tf.constant(x), dtype=tf.float32)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            random_values(session, seed)
            variables = {}
            for variable in tf.global_variables():
                label = variable.op.name
                for new, old in changes.items():
                    label = label.replace(new, old)
                variables[label] = variable
            save(session, name, variables)
            expected[f"{name}/x"], expected[f"{name}/0"] = x, session.run(outputs)

    renamed(
        "names-0.12",
        lambda: cells.MultiRNNCell([cells.BasicLSTMCell(3), cells.GRUCell(2)]),
        9,
        {
            "rnn/multi_rnn_cell/cell_": "RNN/MultiRNNCell/Cell",
            "basic_lstm_cell": "BasicLSTMCell/Linear",
            "gru_cell/gates": "GRUCell/Gates/Linear",
            "gru_cell/candidate": "GRUCell/Candidate/Linear",
            "kernel": "Matrix",
            "bias": "Bias",
        },
    )
    renamed(
        "names-0.12-lstm",
        lambda: cells.LSTMCell(3, use_peepholes=True),
        10,
        {
            "rnn/lstm_cell/kernel": "RNN/LSTMCell/W_0",
            "rnn/lstm_cell/bias": "RNN/LSTMCell/B",
            "rnn/lstm_cell/w_f_diag": "RNN/LSTMCell/W_F_diag",
            "rnn/lstm_cell/w_i_diag": "RNN/LSTMCell/W_I_diag",
            "rnn/lstm_cell/w_o_diag": "RNN/LSTMCell/W_O_diag",
        },
    )
    renamed("names-1.0", lambda: cells.GRUCell(3), 11, {"kernel": "weights", "bias": "biases"})

    # Two data files: variables on two devices.
    tf.reset_default_graph()
    chance = np.random.default_rng(12)
    with tf.device("/cpu:0"):
        tf.get_variable("first", initializer=chance.normal(size=(3, 2)).astype("float32"))
    with tf.device("/cpu:1"):
        tf.get_variable("second", initializer=chance.normal(size=(4,)))
    with tf.Session(config=tf.ConfigProto(device_count={"CPU": 2})) as session:
        session.run(tf.global_variables_initializer())
        save(session, "sharded", sharded=True)
        for variable in tf.global_variables():
            expected[f"sharded/{variable.op.name}"] = session.run(variable)

    # One variable in pieces, long enough for numbers of two bytes.
    tf.reset_default_graph()
    whole = {
        "rows": chance.normal(size=(7, 3)).astype("float32"),
        "long": chance.normal(size=(200,)).astype("float32"),
    }
    for label, values in whole.items():
        pieces = tf.fixed_size_partitioner(3)
        tf.get_variable(label, shape=values.shape, partitioner=pieces, initializer=tf.zeros_initializer())
        expected[f"pieces/{label}"] = values
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for label, values in whole.items():
            begin = 0
            for piece in tf.global_variables():
                if piece.op.name.startswith(label):
                    piece.load(values[begin : begin + piece.shape[0]], session)
                    begin += piece.shape[0]
        save(session, "pieces")

    # Every type of number, and what is no number.
    tf.reset_default_graph()
    values = np.array([[0, 1, 2], [3, 4, 100]])
    kinds = [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
    ]
    for kind in [*kinds, "uint32", "uint64", "complex64", "complex128", "bool"]:
        made = tf.cast(tf.constant(values), kind)
        tf.get_variable(kind, initializer=made, use_resource=True)
    tf.get_variable("scalar", initializer=np.float32(2.5))
    tf.get_variable("empty", initializer=np.zeros((0, 3), "float32"))
    tf.get_variable("words", initializer=tf.constant(["one", "two"]), use_resource=False)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        save(session, "types")

    # A checkpoint of TensorFlow 2: names are paths from object to object.
    tf.reset_default_graph()
    with tf.Session() as session:
        made = tensorflow.Variable(np.arange(6, dtype="float32").reshape(2, 3))
        session.run(tf.global_variables_initializer())
        with session.as_default():
            tensorflow.train.Checkpoint(kernel=made).write(str(FILES / "objects"))

    np.savez_compressed(FILES / "expected.npz", **expected)
    print(
        f"wrote {len(list(FILES.iterdir()))} files with TensorFlow {tensorflow.__version__}", file=sys.stderr
    )


if __name__ == "__main__":
    main()
