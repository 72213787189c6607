"""The simple model beside the network: figures, verdict, rare labels, files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nabi.errors import ArgumentError, FileFormatError
from nabi.files import read_model_file, write_model_file
from nabi.models import Report, TextClassifier
from nabi.models._classifier._decision import Decision, Decisions, as_logits, as_probabilities, has_rare_label
from nabi.models._classifier._scores import loss_of, margin_of, rate_rows

SMALL = {"units": 6, "embedding_size": 8, "epochs": 2, "learning_rate": 0.03, "batch_size": 16}
WORDS = ["the", "of", "a", "and", "film", "story", "scene", "actor", "plot", "music"]


@pytest.fixture(scope="module")
def rare():
    """One text of 25 has the word that decides, most of the time."""
    draw = np.random.default_rng(0)
    labels = ["yes" if number % 25 == 0 else "no" for number in range(750)]
    texts = [
        " ".join(
            [*draw.choice(WORDS, 6), "ship" if draw.random() < (0.8 if label == "yes" else 0.02) else "car"]
        )
        for label in labels
    ]
    return texts, labels


def test_figures_are_those_of_the_report():
    draw = np.random.default_rng(1)
    logits, truth = draw.normal(size=(200, 4)), draw.integers(3, size=200)
    report = Report.measure(tuple("abcd"), truth, as_probabilities(logits, False))
    assert rate_rows(logits, truth, False) == pytest.approx((report.accuracy, report.macro_f1))
    logarithms = np.log(as_probabilities(logits, False))
    right = logarithms[np.arange(200), truth].mean()
    expected = -(201 / 202 * right + 1 / 202 * logarithms.mean())
    assert loss_of(logits, truth, False) == pytest.approx(expected, rel=1e-5)
    several = (draw.random((200, 4)) < [0.5, 0.2, 0.1, 0.0]).astype(np.float32)
    report = Report.measure(tuple("abcd"), several, as_probabilities(logits, True), several=True)
    assert rate_rows(logits, several, True) == pytest.approx((report.micro_f1, report.macro_f1))
    np.testing.assert_allclose(as_logits(as_probabilities(logits, True), True), logits, atol=1e-4)


def test_few_rows_that_are_all_right_do_not_ask_for_certainty():
    logits, truth = np.array([[2.0, -2.0]] * 10), np.zeros(10, int)
    losses = [loss_of(logits * times, truth, False) for times in (0.1, 0.5, 1, 2)]
    assert min(losses) == losses[2]
    flags = np.array([[1.0, 0.0]] * 10)
    losses = [loss_of(logits * times, flags, True) for times in (0.1, 0.5, 1.5, 4)]
    assert min(losses) == losses[2]


def test_the_margin_is_the_standard_error_of_the_difference():
    draw = np.random.default_rng(2)
    truth = draw.integers(2, size=1000)
    right, other = (np.eye(2)[np.where(draw.random(1000) < share, truth, 1 - truth)] for share in (0.9, 0.7))
    gains = (right.argmax(1) == truth).astype(float) - (other.argmax(1) == truth)
    found = margin_of(right, other, truth, False)
    assert found.main == pytest.approx(gains.std() / np.sqrt(1000), rel=0.2)
    assert margin_of(right, right, truth, False) == (0, 0)


def test_a_rare_label_is_one_with_less_than_a_tenth_of_an_equal_share():
    assert has_rare_label(np.array([0.04, 0.96]), False)
    assert not has_rare_label(np.array([0.06, 0.94]), False)
    assert not has_rare_label(np.array([0.0, 0.5, 0.5]), False)
    assert has_rare_label(np.array([0.04, 0.5]), True)


def test_decisions_move_towards_a_rare_label_where_that_helps():
    """Right is decided by the sign of the logits, but probabilities lean to the frequent label."""
    draw = np.random.default_rng(3)
    truth = (np.arange(1000) % 50 == 0).astype(int)
    odds = np.where(truth == 1, 2.0, -2.0) + draw.normal(size=1000) - 3
    logits, shares = np.stack([np.zeros(1000), odds], 1), np.array([0.98, 0.02])
    options = {"several": False, "has_simple": False}
    chosen = Decisions.choose(logits, None, truth, shares, moving=True, **options)
    assert chosen.together.move > 0
    scores = [
        rate_rows(one.logits(logits, None, shares, False), truth, False)
        for one in (Decision(1, 0), chosen.together)
    ]
    assert scores[1].macro_f1 > scores[0].macro_f1 + 0.1
    assert scores[1].main > scores[0].main - 0.01
    assert Decisions.choose(logits, None, truth, shares, moving=False, **options).together.move == 0
    assert Decisions.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


def test_a_rare_label_is_found_by_default_and_the_report_compares(rare, tmp_path):
    classifier = TextClassifier(**SMALL)
    report = classifier.fit(*rare, verbose=0)
    assert classifier.settings.class_weight == "auto"
    assert report.macro_f1 > 0.7
    assert [one.name for one in report.baselines] == ["words and pairs of words", "the network alone"]
    assert report.verdict.startswith(("Better than words", "No gain over words", "Worse than words"))
    assert "macro F1" in report.verdict
    assert "their logits count" in classifier.reasons["word_features"]
    shown = str(report)
    assert report.verdict in " ".join(shown.split())
    assert "this classifier" in shown
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.picture(tmp_path / "report.svg").stat().st_size > 0
    classifier.save(tmp_path / "model.nabi")
    again = TextClassifier.load(tmp_path / "model.nabi")
    assert again.evaluate(*rare) == classifier.evaluate(*rare)
    assert len(again.evaluate(*rare).baselines) == 2


def test_without_word_features_the_network_decides_and_the_report_compares(rare, tmp_path):
    classifier = TextClassifier(**SMALL, word_features=False, class_weight=None)
    report = classifier.fit(*rare, verbose=0)
    assert [one.name for one in report.baselines] == ["words and pairs of words"]
    assert "word_features" not in classifier.reasons
    codes = classifier.encode(rare[0][:5])
    found = classifier.probabilities(rare[0][:5])
    expected = np.concatenate([classifier.model.predict(one[None], verbose=0) for one in codes])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    classifier.save(tmp_path / "model.nabi")
    assert TextClassifier.load(tmp_path / "model.nabi").evaluate(*rare).baselines == ()


def test_several_labels_and_aspects_have_baselines_too():
    draw = np.random.default_rng(4)
    chosen = [[one for one in ("war", "sport", "music") if draw.random() < 0.4] for _ in range(150)]
    texts = [" ".join([*draw.choice(WORDS, 3), *labels]) for labels in chosen]
    report = TextClassifier(**SMALL).fit(texts, chosen, verbose=0)
    assert report.baselines[0].micro_f1 > 0.9
    assert "micro F1" in report.verdict
    texts = ["good food bad music", "bad food good music"] * 60
    aspects = ["food", "food", "music", "music"] * 30
    labels = ["good", "bad", "bad", "good"] * 30
    report = TextClassifier(**SMALL).fit(texts, labels, aspects, verbose=0)
    assert report.baselines[0].accuracy == 1


def test_without_validation_rows_both_count_alike(reviews):
    classifier = TextClassifier(**SMALL)
    classifier.fit(*reviews, validation_share=0, verbose=0)
    assert classifier.decision == Decision(0.5, 0.5)
    assert "no validation rows" in classifier.reasons["word_features"]


def test_texts_without_a_common_word_have_no_baseline(tmp_path):
    texts = [letter + other for letter in "abcdef" for other in "uvwxyzklmn"]
    classifier = TextClassifier(**SMALL, unit="characters")
    report = classifier.fit(texts, ["a"] * 30 + ["b"] * 30, validation_share=0, verbose=0)
    assert classifier.simple is None
    assert (report.baselines, report.verdict) == ((), "")
    classifier.save(tmp_path / "model.nabi")
    assert TextClassifier.load(tmp_path / "model.nabi").predict(texts) == classifier.predict(texts)


def test_short_korean_texts_try_runs_of_characters():
    draw = np.random.default_rng(5)
    stems = ["".join(draw.choice(list("가나다라마바사아자차카타파하"), 3)) for _ in range(300)]
    labels = ["positive" if draw.random() < 0.5 else "negative" for _ in range(300)]
    texts = [
        f"{stem}{'좋았' if label == 'positive' else '별로'}{end}"
        for stem, label, end in zip(stems, labels, draw.choice(["다", "어요", "네", "음"], 300), strict=True)
    ]
    classifier = TextClassifier(**SMALL)
    report = classifier.fit(texts, labels, verbose=0)
    assert report.baselines[0].name == "runs of 2 to 4 characters"
    assert report.baselines[0].accuracy == 1


@pytest.fixture(scope="module")
def saved(rare, tmp_path_factory):
    classifier = TextClassifier(**SMALL)
    classifier.fit(*rare, verbose=0)
    # Both count, whatever the validation rows say, so that neither can be missing.
    classifier.decisions = replace(classifier.decisions, together=Decision(0.5, 0.5))
    path = tmp_path_factory.mktemp("saved") / "whole.nabi"
    classifier.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("simple", lambda it: None),
        ("simple", lambda it: it | {"features": {}}),
        ("simple", lambda it: it | {"features": it["features"] | {"runs": [9]}}),
        ("simple", lambda it: it | {"penalty": None}),
        ("decisions", lambda it: {}),
        ("decisions", lambda it: it | {"together": {"network": "all", "simple": 1.0, "move": 0.0}}),
        ("decisions", lambda it: it | {"together": None}),
        ("decisions", lambda it: it | {"rare": 2}),
        ("report", lambda it: it | {"baselines": [{"name": "words"}]}),
        ("report", lambda it: it | {"verdict": 1}),
    ],
)
def test_a_damaged_file_is_an_error_of_nabis(saved, tmp_path, name, change):
    path = tmp_path / "model.nabi"
    file = read_model_file(saved)
    header = json.loads(json.dumps(file.header))
    header["classifier"][name] = change(header["classifier"][name])
    for known in ("format", "layout", "kind"):
        header.pop(known, None)
    write_model_file(path, "text classifier", header, file.tensors)
    with pytest.raises((FileFormatError, ArgumentError), match=r"model\.nabi"):
        TextClassifier.load(path)
