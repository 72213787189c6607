"""A classifier of DNA; `task_checks` has its files and its trainings."""

import random

import numpy as np
import pytest

from nabi import DNAClassifier
from nabi.data import reverse_complement, split_genes
from nabi.errors import ArgumentError, UnknownNameError

from ..task_checks import *  # noqa: F403
from ..task_checks import Task


def boxes(count: int, seed: int = 0, longest: int = 40) -> tuple[list[str], list[str]]:
    """Random bases; half of the sequences have TATAAT somewhere."""
    draw = random.Random(seed)
    sequences, labels = [], []
    for number in range(count):
        bases = draw.choices("ACGT", k=draw.randint(20, longest))
        if number % 2:
            place = draw.randrange(len(bases) - 6)
            bases[place : place + 6] = "TATAAT"
        sequences.append("".join(bases))
        labels.append("box" if number % 2 else "none")
    return sequences, labels


def aligned(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Sequences of 30 bases with GT at one of two places, which says the class; and another GT somewhere."""
    draw = random.Random(seed)
    sequences, labels = [], []
    for number in range(count):
        bases = draw.choices("ACGT", k=30)
        place = 10 if number % 2 else 18
        for at in (10, 18):
            bases[at : at + 2] = "GT" if at == place else "CA"
        sequences.append("".join(bases))
        labels.append("left" if number % 2 else "right")
    return sequences, labels


def small(**said) -> DNAClassifier:
    usual = {"units": 8, "convolutions": (8,), "batch_size": 16, "seed": 1}
    return DNAClassifier(said.pop("cell", "gru"), **{**usual, **said})


def answers(model: DNAClassifier) -> list:
    return [(one.label, one.probability) for one in model.predict(boxes(6, seed=5)[0])]


TASK = Task(
    make=lambda **said: small(**{"units": 4, "epochs": 3, "networks": 2, "reverse_complement": True, **said}),
    data=boxes(60, longest=24),
    other_data=(boxes(60, longest=24)[0], boxes(60)[1][::-1]),
    ask=answers,
    material="sequences or labels",
)


@pytest.fixture(scope="module")
def task():
    return TASK


# Classes ----------------------------------------------------------------------------------------------------


def test_it_finds_a_motif_anywhere_that_simple_models_do_not_find() -> None:
    model = small(words="bases", convolutions=(12,), epochs=10, dropout=0.0, learning_rate=0.02)
    report = model.fit(*boxes(300, longest=28), verbose=0)
    assert report.accuracy is not None
    assert report.accuracy > 0.9
    assert set(report.baselines) == {
        "majority",
        "naive Bayes on triplets",
        "logistic regression on frequencies of bases",
        "logistic regression on frequencies of pairs",
        "logistic regression on frequencies of triplets",
    }
    assert report.verdict.startswith("Better than ")
    test = boxes(200, seed=9, longest=28)
    measured = model.evaluate(*test)
    said = model.predict(test[0], names=[f"s{row}" for row in range(200)])
    right = [one.label == label for one, label in zip(said, test[1], strict=True)]
    assert measured.accuracy == pytest.approx(np.mean(right))
    assert measured.accuracy > 0.9
    assert said[3].name == "s3"
    assert said[3].probability == max(said[3].probabilities.values())
    # Sequences of other lengths, in lower case, RNA, and with unknown bases are read too.
    again = model.predict([test[0][1].lower().replace("t", "u"), "ACNNRYTATAATNNAC" * 9, "A"])
    assert again[0].probabilities == pytest.approx(said[1].probabilities, abs=1e-6)
    assert again[1].label == "box"


@pytest.mark.parametrize("words", ["bases", "pairs", "triplets"])
def test_in_aligned_sequences_each_place_has_its_meaning(words) -> None:
    model = small(
        words=words,
        units=6,
        epochs=10,
        learning_rate=0.03,
        dropout=0.0,
        hidden_bases=0.0,
        with_linear="no",
    )
    report = model.fit(*aligned(160), verbose=0)
    assert report.accuracy == 1.0
    assert report.baselines["logistic regression on bases"] == 1.0
    assert report.baselines["naive Bayes on bases"] == 1.0
    assert report.baselines["logistic regression on pairs of bases"] == 1.0
    assert report.verdict.startswith("No gain over ")
    with pytest.raises(ArgumentError, match=r"sequences\[0\]: expected 30 bases, .* got 3; train with posit"):
        model.predict(["ACG"])


def test_places_may_be_left_out() -> None:
    model = small(positions="no", epochs=1)
    model.fit(*aligned(40), verbose=0)
    assert len(model.predict(["ACG", "A" * 50])) == 2
    assert model.evaluate(["ACGT", "A" * 50], ["left", "right"]).held_out == 2
    with pytest.raises(ArgumentError, match="'yes' needs sequences of one length, got lengths from 20 to 40"):
        small(positions="yes", epochs=1).fit(*boxes(100), verbose=0)


def test_a_linear_model_may_be_averaged_with_the_networks() -> None:
    sequences, labels = aligned(60)
    both, alone = small(epochs=2), small(epochs=2, with_linear="no")
    told = [model.fit(sequences, labels, verbose=0) for model in (both, alone)]
    name = "networks without the linear model"
    assert told[0].baselines[name] == told[1].accuracy
    assert name not in told[1].baselines
    mean, network = np.array(both.probabilities(sequences)), np.array(alone.probabilities(sequences))
    # A share of the linear model of a half by default.
    linear = 2 * mean - network
    np.testing.assert_allclose(linear.sum(1), 1, rtol=1e-4)
    assert (linear > -1e-6).all()
    said = np.array(both.labels.names)[linear.argmax(1)]
    assert np.mean(said == labels) > network_share(network, both, labels)
    more = small(epochs=2, linear_share=0.75)
    more.fit(sequences, labels, verbose=0)
    np.testing.assert_allclose(more.probabilities(sequences), 0.25 * network + 0.75 * linear, rtol=1e-4)
    # Where lengths differ, it is averaged only if that is asked for.
    unequal = small(epochs=1, with_linear="yes")
    assert name in unequal.fit(*boxes(40), verbose=0).baselines
    assert name not in small(epochs=1).fit(*boxes(40), verbose=0).baselines


def test_one_hot_features_are_not_standardized_and_frequencies_are() -> None:
    model = small(epochs=1)
    model.fit(*aligned(40), verbose=0)
    assert model.network.baselines is not None
    linear = dict(zip(model.network.baselines.names, model.network.baselines.models, strict=True))
    pairs = linear["logistic regression on pairs of bases"]
    assert (float(pairs.mean.abs().max()), float(pairs.deviation.min())) == (0, 1)
    assert float(pairs.weight.abs().max()) > 0
    unequal = small(epochs=1)
    unequal.fit(*boxes(40), verbose=0)
    assert unequal.network.baselines is not None
    assert float(unequal.network.baselines.models[-1].deviation.max()) < 0.1


def network_share(probabilities: np.ndarray, model: DNAClassifier, labels: list[str]) -> float:
    return float(np.mean(np.array(model.labels.names)[probabilities.argmax(1)] == labels))


def test_both_strands_get_the_same_answer() -> None:
    sequences, labels = boxes(60)
    model = small(reverse_complement=True, epochs=2)
    model.fit(sequences, labels, verbose=0)
    one = model.probabilities(sequences)
    other = model.probabilities([reverse_complement(sequence) for sequence in sequences])
    np.testing.assert_allclose(one, other, rtol=1e-5)
    plain = small(epochs=2)
    plain.fit(sequences, labels, verbose=0)
    other = plain.probabilities([reverse_complement(sequence) for sequence in sequences])
    assert np.abs(np.array(plain.probabilities(sequences)) - other).max() > 1e-3


def test_equal_sequences_are_held_out_together() -> None:
    sequences, labels = boxes(40)
    sequences = [one for one in sequences for _ in range(2)] + [reverse_complement(one) for one in sequences]
    labels = [one for one in labels for _ in range(2)] + labels
    from nabi.models._dna._sequences import duplicates

    groups, both = duplicates(sequences, False), duplicates(sequences, True)
    assert groups is not None
    assert both is not None
    assert (len(set(groups)), len(set(both))) == (80, 40)
    assert both[0] == both[1] == both[80]
    assert duplicates(sequences[:80:2], False) is None
    report = small(epochs=1, reverse_complement=True).fit(sequences, labels, validation_share=0.2, verbose=0)
    assert report.held_out % 3 == 0


# Labels of bases --------------------------------------------------------------------------------------------


def test_every_base_gets_a_label_nearly_as_well_as_can_be() -> None:
    genes = split_genes(end_exon=0.05, end_intron=0.05)
    made, test = genes.make(120, 50, seed=1), genes.make(60, 50, seed=2)
    usual = {"hidden_bases": 0.0, "dropout": 0.0, "batch_size": 8, "learning_rate": 0.02}
    model = small(per_base=True, units=12, convolutions=(12,), epochs=8, **usual)
    report = model.fit(made.sequences, made.labels, verbose=0)
    best = genes.best_labels(test.sequences)
    optimum = np.mean([[a == b for a, b in zip(x, y, strict=True)] for x, y in zip(
        best, test.labels, strict=True)])  # fmt: skip
    measured = model.evaluate(test.sequences, test.labels)
    assert measured.accuracy is not None
    assert optimum - 0.2 < measured.accuracy < optimum + 0.02
    assert measured.accuracy > measured.baselines["logistic regression on 21 bases"] + 0.05
    assert set(report.baselines) == {"majority", "logistic regression on 21 bases"}
    said = model.predict(test.sequences)
    right = [[a == b for a, b in zip(one.label, x, strict=True)] for one, x in zip(
        said, test.labels, strict=True)]  # fmt: skip
    assert np.mean(right) == pytest.approx(measured.accuracy)
    assert [len(one) for one in said[1].probabilities] == [3] * 50
    # One character a base will do, unknown ones are None, and lengths may differ.
    texts = ["".join(label[0] for label in labels) for labels in made.labels[:20]]
    short = small(per_base=True, epochs=1)
    short.fit([*made.sequences[:20], "ACG"], [*texts, [None, "e", None]], validation_share=0, verbose=0)
    assert short.labels.names == ("b", "e", "i")


# What is wrong ----------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_before_training() -> None:
    sequences, labels = boxes(10)
    base_labels = ["x" * len(one) for one in sequences[:9]] + ["y" * 3]
    for said, given, message in [
        ({}, ([*sequences[:9], "ACX"], labels), r"sequences\[9\]: expected the bases .*, got 'X' at base 3"),
        ({}, ([*sequences[:9], ""], labels), r"sequences\[9\]: expected a sequence of one base or more"),
        ({}, ([*sequences[:9], 3], labels), r"sequences\[9\]: expected a text, got 3"),
        ({}, ("ACGT", labels), "sequences: expected a list"),
        ({}, (sequences, "labels"), "labels: expected a list"),
        ({}, (sequences, labels[:9]), "labels: expected one for each of 10 sequences, got 9"),
        ({}, (sequences, ["box"] * 10), "labels: expected at least two classes, got only 'box'"),
        ({}, (sequences, [*labels[:9], None]), r"sequences\[9\]: expected a label, got none"),
        ({}, ([], []), "labels: expected at least two classes, got none"),
        ({"per_base": True}, (sequences, base_labels), r"sequences\[9\]: expected a label for each of its"),
        ({"per_base": True}, (sequences, [*labels[:9], 3]), r"sequences\[9\]: expected a list of labels"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            small(**said).fit(*given, verbose=0)
    with pytest.raises(ArgumentError, match="names: expected one for each of 10 sequences, got 1"):
        small().fit(sequences, labels, names=["a"], verbose=0)
    with pytest.raises(ArgumentError, match=r"validation: expected .*3"):
        small().fit(sequences, labels, validation=3, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation\[1\]: expected one of the labels learnt from"):
        small().fit(sequences, labels, validation=(["ACG", "ACC"], ["box", "bix"]), verbose=0)
    with pytest.raises(ArgumentError, match=r"validation_share: 0\.01 of 10 sequences cannot be held out"):
        small().fit(["A" * row + "C" for row in range(10)], range(10), validation_share=0.01, verbose=0)


def test_wrong_settings_are_refused() -> None:
    for said, kind, message in [
        ({"words": "triplet"}, UnknownNameError, "did you mean 'triplets'"),
        ({"positions": "maybe"}, UnknownNameError, "positions: 'maybe' is not known"),
        ({"hidden_bases": 1}, ArgumentError, "hidden_bases: expected a rate of at least 0 and below 1"),
        (
            {"per_base": True, "reverse_complement": True},
            ArgumentError,
            "reverse_complement: expected False with per_base=True",
        ),
        (
            {"per_base": True, "positions": "yes"},
            ArgumentError,
            "positions: expected 'auto' or 'no' with per_base=True, got 'yes'",
        ),
        (
            {"per_base": True, "with_linear": "yes"},
            ArgumentError,
            "with_linear: expected 'auto' or 'no' with per_base=True, got 'yes'",
        ),
    ]:
        with pytest.raises(kind, match=message):
            small(**said)


def test_wrong_questions_are_refused() -> None:
    model = small(epochs=1)
    model.fit(*boxes(20), verbose=0)
    with pytest.raises(ArgumentError, match=r"sequences\[0\]: expected one of the labels learnt from"):
        model.evaluate(["ACG"], ["bix"])
    with pytest.raises(ArgumentError, match=r"sequences\[1\]: expected the bases .* got 'Z' at base 2"):
        model.predict(["ACG", "AZ"])
    assert model.predict([]) == []
    assert model.probabilities([]) == []
