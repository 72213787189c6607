"""A system on sequences, as small as one can be, for each of the three answers."""

from typing import Any

import numpy as np

from nabi.models._sequences._fronts import SeriesFront
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._model import SequenceModel
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._settings import SequenceSettings
from nabi.models._sequences._training import SequenceTraining


class ToyTraining(SequenceTraining):
    kind = "toy training"


class Toy(SequenceModel):
    """A class of each sequence.

    Raises:
        ArgumentError: for a wrong setting.
    """

    _kind, _called = "toy", "a toy"
    _settings_type = SequenceSettings
    _training_type = ToyTraining

    def _make_front(self):
        return SeriesFront(self._shape[0], True)

    def fit(self, inputs, values, *, groups=None, validation=None, validation_share=0.2, **told: Any):
        names = tuple(f"line {row + 1}" for row in range(len(inputs)))
        lengths = [len(one) for one in inputs]
        labels = learn_labels(values, names, self._answer)
        targets = encode_labels(values, names, self._answer, labels, lengths)
        samples = SequenceSamples(inputs, targets, names, groups)
        if validation is None:
            train, held_out = samples.divided(validation_share, self.asked.seed)
        else:
            others, said = validation
            train, held_out = samples, SequenceSamples(others, [labels.names.index(one) for one in said])
        return self._fit(
            train,
            held_out,
            labels,
            **{"checkpoint": None, "limit": None, "verbose": 0, "callbacks": None, **told},
        )

    def predict(self, inputs):
        self._check_trained()
        return self._predict(SequenceSamples(inputs))

    def probabilities(self, inputs):
        self._check_trained()
        return self._probabilities(SequenceSamples(inputs))

    def stream(self):
        return self._stream()


class StepToy(Toy):
    """A class of every step.

    Raises:
        ArgumentError: for a wrong setting.
    """

    _kind = "step toy"
    _settings_type = SequenceSettings
    _answer = "step"


class StringToy(Toy):
    """A string of each sequence.

    Raises:
        ArgumentError: for a wrong setting.
    """

    _kind = "string toy"
    _settings_type = SequenceSettings
    _answer = "string"


def directions(count: int, seed: int = 0, longest: int = 12):
    """Noise that goes up or down, of different lengths, with gaps in the second channel."""
    random = np.random.default_rng(seed)
    inputs, labels = [], []
    for number in range(count):
        length = int(random.integers(4, longest + 1))
        way = "up" if number % 2 else "down"
        slope = np.linspace(0, 2.5 if way == "up" else -2.5, length)
        values = np.stack([slope, random.normal(size=length)], 1) + 0.3 * random.normal(size=(length, 2))
        values[random.random(length) < 0.2, 1] = np.nan
        inputs.append((values * 10 + 100).astype(np.float32))
        labels.append(way)
    return inputs, labels


def turns(count: int, seed: int = 0):
    """A wave of two heights; the label of a step is its height in the step before, unknown at the first."""
    random = np.random.default_rng(seed)
    inputs, labels = [], []
    for _ in range(count):
        high = random.random(int(random.integers(5, 15))) < 0.5
        inputs.append((high + 0.1 * random.normal(size=len(high)))[:, None].astype(np.float32))
        labels.append([None, *("high" if one else "low" for one in high[:-1])])
    return inputs, labels


def strings(count: int, seed: int = 0):
    """Some of three bumps, with pauses of any length; the string says which."""
    random = np.random.default_rng(seed)
    inputs, labels = [], []
    for _ in range(count):
        string = random.integers(0, 3, int(random.integers(1, 4)))
        steps: list[list[float]] = [[0, 0, 0]]
        for one in string:
            steps += [[float(one == place) for place in range(3)]] * int(random.integers(2, 4))
            steps += [[0, 0, 0]] * int(random.integers(1, 4))
        inputs.append((np.array(steps) + 0.1 * random.normal(size=(len(steps), 3))).astype(np.float32))
        labels.append([("a", "b", "c")[one] for one in string])
    return inputs, labels
