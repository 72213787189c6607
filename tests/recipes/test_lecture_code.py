"""Code as lectures print it, for TensorFlow or Keras: it runs when its import lines alone are changed."""

import contextlib
import importlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import keras

# How an import line is changed: `nabi` stands in the place of `tensorflow`, or in front of `keras`.
CHANGES = [
    (r"^import tensorflow as tf$", "import nabi.tf1 as tf"),
    (r"^import keras$", "from nabi import keras"),
    (r"^from tensorflow\b", "from nabi"),
    (r"^from keras\b", "from nabi.keras"),
]

NUMBERS = """
import numpy as np
import tensorflow as tf

X, Y = [], []
for i in range(6):
    lst = list(range(i, i + 4))
    X.append(list(map(lambda c: [c / 10], lst)))
    Y.append((i + 4) / 10)
X = np.array(X)
Y = np.array(Y)

model = tf.keras.Sequential([
    tf.keras.layers.SimpleRNN(units=10, return_sequences=False, input_shape=[4, 1]),
    tf.keras.layers.Dense(1)
])
model.compile(optimizer='adam', loss='mse')
model.summary()
model.fit(X, Y, epochs=100, verbose=0)
print(model.predict(X, verbose=0))
unseen = model.predict(np.array([[[0.6], [0.7], [0.8], [0.9]]]), verbose=0)
"""

SUMS = """
from tensorflow import keras
from tensorflow.keras.layers import Dense, SimpleRNN

sums = []
for layers in (
    [SimpleRNN(units=10, input_shape=[4, 1]), Dense(1)],
    [SimpleRNN(units=2, input_shape=[4, 1]), Dense(1)],
    [SimpleRNN(units=3, return_sequences=True, input_shape=[4, 1]), Dense(1)],
    [SimpleRNN(units=10, input_shape=[4, 3]), Dense(2)],
):
    model = keras.Sequential(layers)
    model.summary()
    sums.append([layer.count_params() for layer in model.layers])
"""

SONG = """
import keras
import numpy as np
from keras.models import Sequential
from keras.layers import Dense, LSTM
from keras.utils import np_utils

codes = {'c4': 0, 'd4': 1, 'e4': 2, 'f4': 3, 'g4': 4, 'a4': 5, 'b4': 6,
         'c8': 7, 'd8': 8, 'e8': 9, 'f8': 10, 'g8': 11, 'a8': 12, 'b8': 13}
notes = '''g8 e8 e4 f8 d8 d4 c8 d8 e8 f8 g8 g8 g4 g8 e8 e8 e8 f8 d8 d4 c8 e8 g8 g8 e8 e8 e4
           d8 d8 d8 d8 d8 e8 f4 e8 e8 e8 e8 e8 f8 g4 g8 e8 e4 f8 d8 d4 c8 e8 g8 g8 e8 e8 e4'''.split()
dataset = np.array([[codes[c] for c in notes[i:i + 5]] for i in range(len(notes) - 4)])

class LossHistory(keras.callbacks.Callback):
    def init(self):
        self.losses = []

    def on_epoch_end(self, batch, logs={}):
        self.losses.append(logs.get('loss'))

x_train = np.reshape(dataset[:, 0:4] / float(13), (50, 4, 1))
y_train = np_utils.to_categorical(dataset[:, 4])
one_hot_vec_size = y_train.shape[1]

model = Sequential()
model.add(LSTM(128, batch_input_shape=(1, 4, 1), stateful=True))
model.add(Dense(one_hot_vec_size, activation='softmax'))
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])

history = LossHistory()
history.init()
for epoch_idx in range(12):
    model.fit(x_train, y_train, epochs=1, batch_size=1, verbose=0, shuffle=False, callbacks=[history])
    model.reset_states()

scores = model.evaluate(x_train, y_train, batch_size=1)
print("%s: %.2f%%" % (model.metrics_names[1], scores[1] * 100))
model.reset_states()

sung = list(dataset[0, 0:4])
for i in range(50):
    sample = np.reshape(np.array(sung[-4:]) / float(13), (1, 4, 1))
    sung.append(int(np.argmax(model.predict(sample, verbose=0))))
model.reset_states()

beside = Sequential()
beside.add(Dense(128, input_dim=4, activation='relu'))
beside.add(Dense(128, activation='relu'))
beside.add(Dense(one_hot_vec_size, activation='softmax'))
beside.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
fitted = beside.fit(x_train[:, :, 0], y_train, epochs=5, batch_size=10, verbose=0)
"""

TOPICS = """
from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint
from tensorflow.keras.datasets import reuters
from tensorflow.keras.layers import Dense, Embedding, LSTM
from tensorflow.keras.models import Sequential, load_model
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.utils import to_categorical

(X_train, y_train), (X_test, y_test) = reuters.load_data(num_words=1000, test_split=0.2)
X_train = pad_sequences(X_train[:200], maxlen=100)
X_test = pad_sequences(X_test[:100], maxlen=100)
y_train = to_categorical(y_train, 46)[:200]
y_test = to_categorical(y_test, 46)[:100]

model = Sequential()
model.add(Embedding(1000, 20))
model.add(LSTM(20))
model.add(Dense(46, activation='softmax'))

es = EarlyStopping(monitor='val_loss', mode='min', verbose=1, patience=4)
mc = ModelCheckpoint('best_model.h5', monitor='val_accuracy', mode='max', verbose=1, save_best_only=True)
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
history = model.fit(X_train, y_train, batch_size=100, epochs=2, callbacks=[es, mc],
                    validation_data=(X_test, y_test), verbose=0)
loaded_model = load_model('best_model.h5')
accuracy = loaded_model.evaluate(X_test, y_test, verbose=0)[1]
"""

REVIEWS = """
from keras.preprocessing import sequence
from keras.models import Sequential
from keras.layers import Dense, Dropout, Activation
from keras.layers import Embedding
from keras.layers import LSTM
from keras.layers import Conv1D, MaxPooling1D
from keras.datasets import imdb

(x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=1000)
x_train = sequence.pad_sequences(x_train[:60], maxlen=100)
x_test = sequence.pad_sequences(x_test[:60], maxlen=100)
model = Sequential()
model.add(Embedding(1000, 16, input_length=100))
model.add(Dropout(0.25))
model.add(Conv1D(64, 5, padding='valid', activation='relu', strides=1))
model.add(MaxPooling1D(pool_size=4))
model.add(LSTM(70))
model.add(Dense(1))
model.add(Activation('sigmoid'))
model.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])
model.fit(x_train, y_train[:60], batch_size=30, epochs=1, validation_data=(x_test, y_test[:60]), verbose=0)
score, acc = model.evaluate(x_test, y_test[:60], batch_size=30, verbose=0)
"""

HEADLINES = """
from tensorflow.keras.preprocessing.text import Tokenizer
from tensorflow.keras.preprocessing.sequence import pad_sequences
import tensorflow as tf

titles = ['moon is cheese', 'water boils at sea level', 'cheese cures all', 'the sea is salty'] * 8
labels = [0, 1, 0, 1] * 8
tokenizer = Tokenizer(num_words=50)
tokenizer.fit_on_texts(titles)
padded = pad_sequences(tokenizer.texts_to_sequences(titles), maxlen=6)
model = tf.keras.models.Sequential([
    tf.keras.layers.Embedding(50, 8),
    tf.keras.layers.Bidirectional(tf.keras.layers.GRU(8, return_sequences=True)),
    tf.keras.layers.LSTM(8),
    tf.keras.layers.Dense(1, activation='sigmoid'),
])
model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss='binary_crossentropy', metrics=['accuracy'])
model.fit(padded, labels, epochs=20, verbose=0)
accuracy = model.evaluate(padded, labels, verbose=0)[1]
"""

TWO_STEPS = """
import numpy as np
import tensorflow as tf

X_batch = np.array([[[0, 1, 2], [9, 8, 7]], [[3, 4, 5], [0, 0, 0]],
                    [[6, 7, 8], [6, 5, 4]], [[9, 0, 1], [3, 2, 1]]])
seq_length_batch = np.array([2, 1, 2, 2])
basic_cell = tf.contrib.rnn.BasicRNNCell(num_units=5)
outputs, states = tf.nn.dynamic_rnn(basic_cell, X_batch, dtype=tf.float32, sequence_length=seq_length_batch)
static, last = tf.contrib.rnn.static_rnn(
    basic_cell, tf.unstack(tf.transpose(X_batch, perm=[1, 0, 2])), dtype=tf.float32)

layer = tf.keras.layers.SimpleRNN(5, return_sequences=True)
layer.build((4, 2, 3))
kernel, bias = basic_cell.get_weights()
layer.set_weights([kernel[:3], kernel[3:], bias])
keras_outputs = layer(X_batch.astype('float32'))
"""


def changed(program: str) -> str:
    """The program with nabi in its import lines."""
    for old, new in CHANGES:
        program = re.sub(old, new, program, flags=re.MULTILINE)
    return program


def run(program: str) -> tuple[dict[str, Any], str]:
    """What a changed program has defined, and what it has printed."""
    nabi.utils.set_random_seed(0)
    defined: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(changed(program), "lecture", "exec"), defined)
    return defined, printed.getvalue()


def test_only_import_lines_are_changed() -> None:
    for program in (NUMBERS, SUMS, SONG, TOPICS, REVIEWS, HEADLINES, TWO_STEPS):
        lines = zip(program.splitlines(), changed(program).splitlines(), strict=True)
        differing = [(old, new) for old, new in lines if old != new]
        assert differing
        assert all(re.match(r"(import|from) (tensorflow|keras)\b", old) for old, _ in differing)
        assert all(re.match(r"(import|from) nabi\b", new) for _, new in differing)


def test_number_sequence() -> None:
    defined, printed = run(NUMBERS)
    assert "Total parameters: 131" in printed
    assert np.abs(defined["model"].predict(defined["X"], verbose=0)[:, 0] - defined["Y"]).max() < 0.15
    assert abs(defined["unseen"].item() - 1.0) < 0.25


def test_parameter_sums() -> None:
    defined, printed = run(SUMS)
    assert defined["sums"] == [[120, 11], [8, 3], [15, 4], [140, 22]]
    assert "(None, 4, 3)" in printed


def test_song() -> None:
    defined, printed = run(SONG)
    assert defined["one_hot_vec_size"] == 12
    assert len(defined["history"].losses) == 12
    assert defined["history"].losses[-1] < defined["history"].losses[0]
    assert re.search(r"^accuracy: \d+\.\d\d%$", printed, re.MULTILINE)
    assert len(defined["sung"]) == 54
    assert list(defined["fitted"].history) == ["loss", "accuracy"]


def test_topics(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NABI_DATA", str(texts))
    defined, printed = run(TOPICS)
    assert Path("best_model.h5").exists()
    assert "saved best_model.h5" in printed
    assert defined["accuracy"] == pytest.approx(max(defined["history"].history["val_accuracy"]))


def test_reviews(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_DATA", str(texts))
    defined, _ = run(REVIEWS)
    assert 0 <= defined["acc"] <= 1
    assert defined["model"].layers[4].get_weights()[0].shape == (64, 4 * 70)


def test_headlines() -> None:
    assert run(HEADLINES)[0]["accuracy"] == 1.0


def test_two_steps_with_both_interfaces() -> None:
    defined, _ = run(TWO_STEPS)
    outputs = defined["outputs"]
    assert (outputs[1, 1] == 0).all()
    static = np.stack(defined["static"], axis=1)
    assert np.allclose(outputs[[0, 2, 3]], static[[0, 2, 3]], atol=1e-6)
    assert np.allclose(defined["keras_outputs"].detach().numpy(), static, atol=1e-5)


MODULES = sorted(
    name
    for path in Path(nabi.__file__).parent.rglob("*.py")
    if (name := ".".join(path.relative_to(Path(nabi.__file__).parent).with_suffix("").parts))
    and name.removesuffix(".__init__").split(".")[0] in keras.__all__
    and not any(part.startswith("_") and part != "__init__" for part in name.split("."))
)


@pytest.mark.parametrize("name", [name.removesuffix(".__init__") for name in MODULES])
@pytest.mark.parametrize("prefix", ["nabi.keras", "nabi.tf1.keras"])
def test_a_module_is_the_same_under_all_its_names(prefix: str, name: str) -> None:
    own = importlib.import_module(f"nabi.{name}")
    assert importlib.import_module(f"{prefix}.{name}") is own
    assert own.__name__ == own.__spec__.name == f"nabi.{name}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from nabi.keras import applications", "cannot import name 'applications'.*torchvision"),
        ("import nabi.keras.applications", "No module named 'nabi.keras.applications': use trained networks"),
        ("import nabi.tf1.keras.layers.recurrent", "its contents are now in nabi.layers itself"),
        ("from nabi.keras.layers import Lstm", "did you mean 'LSTM'"),
        ("from nabi.keras.datasets import mnist", "torchvision.datasets"),
        ("import nabi.keras.cells", "No module named 'nabi.keras.cells'$"),
    ],
)
def test_a_missing_name_has_its_hint(line: str, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        exec(line)
