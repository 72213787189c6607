"""A class of every step, and strings without alignment."""

import numpy as np
import pytest
import torch

from nabi.errors import ArgumentError
from nabi.models._sequences._network import BLANK
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._training import sequence_loss

from .toy import StepToy, StringToy, strings, turns


def test_every_step_has_its_class_and_steps_without_label_do_not_count(tmp_path) -> None:
    inputs, labels = turns(100)
    model = StepToy(units=12, epochs=15, learning_rate=0.02, batch_size=16)
    report = model.fit(inputs, labels)
    assert report.accuracy == 1.0
    steps = sum(one is not None for listed in labels for one in listed)
    assert report.scores.rows < steps / 3
    assert report.baselines["logistic regression on 5 steps"] > 0.95
    sequence, right = turns(1, seed=8)
    said = model.predict(sequence)[0]
    assert list(said.label[1:]) == right[0][1:]
    assert len(said.probabilities) == len(sequence[0])
    model.save(tmp_path / "model.nabi")
    again = StepToy.load(tmp_path / "model.nabi")
    assert again.predict(sequence) == model.predict(sequence)
    assert again.report == report


def test_steps_need_their_labels_and_no_stride() -> None:
    inputs, labels = turns(10)
    with pytest.raises(
        ArgumentError, match=r"line 3: expected a label for each of its \d+ steps, got 1 labels"
    ):
        StepToy(units=2).fit(inputs, [*labels[:2], ["high"], *labels[3:]])
    with pytest.raises(ArgumentError, match="stride: expected 1 for labels of every step, got 2"):
        StepToy(units=2, convolutions=(4,), stride=2).fit(inputs, labels)
    with pytest.raises(ArgumentError, match=r"with_linear: .* 'no' for labels of every step, got 'yes'"):
        StepToy(units=2, with_linear="yes").fit(inputs, labels)


def test_strings_are_learnt_without_alignment(tmp_path, capsys) -> None:
    model = StringToy(units=16, epochs=40, learning_rate=0.02, batch_size=16)
    report = model.fit(*strings(150), verbose=2)
    assert "In the first epochs the network usually gives blanks only" in capsys.readouterr().out
    assert report.error_rate < 0.05
    assert report.verdict.startswith("Better than no labels at all: label error rate")
    assert "label error rate" in str(report)
    inputs, right = strings(20, seed=9)
    said = [list(one.label) for one in model.predict(inputs)]
    assert sum(one == other for one, other in zip(said, right, strict=True)) >= 18
    model.save(tmp_path / "model.nabi")
    again = StringToy.load(tmp_path / "model.nabi")
    assert again.predict(inputs) == model.predict(inputs)
    assert again.report == report
    with pytest.raises(ArgumentError, match="this report has no confusion matrix"):
        report.picture(tmp_path / "picture.png")


def test_a_string_too_long_for_its_sequence_is_named_before_training() -> None:
    inputs, labels = strings(10)
    short = np.zeros((4, 3), np.float32)
    message = "line 11: expected 5 steps or more, for 3 labels and 2 blanks between equal labels, got 4"
    with pytest.raises(ArgumentError, match=message):
        StringToy(units=2, epochs=1).fit([*inputs, short], [*labels, ["a", "a", "a"]], validation_share=0)
    StringToy(units=2, epochs=1).fit([*inputs, short], [*labels, ["a", "b", "a"]], validation_share=0)
    # Each convolution halves the steps.
    message = "line 11: expected 3 steps or more, for 3 labels, got 1"
    long_enough = [np.zeros((40, 3), np.float32)] * 10
    with pytest.raises(ArgumentError, match=message):
        StringToy(units=2, epochs=1, convolutions=(2, 2), stride=2).fit(
            [*long_enough, short], [*labels, ["a", "b", "a"]], validation_share=0
        )


def test_the_loss_of_strings_is_that_of_all_paths() -> None:
    """Two steps and the string "a": the paths are aa, a- and -a."""
    logits = torch.randn(1, 2, 3)
    batch = SequenceSamples([np.zeros((2, 1))], [np.array([0])]).batch([0])
    p = logits[0].softmax(1)
    paths = p[0, 1] * p[1, 1] + p[0, 1] * p[1, BLANK] + p[0, BLANK] * p[1, 1]
    loss = sequence_loss("string", logits, torch.tensor([2]), batch, None)
    torch.testing.assert_close(loss, -paths.log())


def test_a_new_network_does_not_begin_with_blanks() -> None:
    model = StringToy(units=3, epochs=1)
    model.fit(*strings(10), validation_share=0)
    fresh = model._make_network().networks[0].head.bias
    assert fresh[BLANK] == -2
    assert fresh[1:].abs().max() < 1


def test_equal_neighbours_are_one_label_unless_a_blank_stands_between() -> None:
    path = [0, 1, 1, 0, 1, 2, 2, 0, 0]
    assert StringToy()._decode(np.eye(3)[path]) == (0, 0, 1)
