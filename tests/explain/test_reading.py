"""What a text classifier read: probabilities after each token, and what each token adds."""

import numpy as np
import pytest
import torch

from nabi import layers
from nabi.errors import ArgumentError, OutputError, UnknownNameError
from nabi.explain import _reading as reading_module, read_text, reading_picture
from nabi.models import TextClassifier

SMALL = {"units": 6, "embedding_size": 8, "epochs": 8, "learning_rate": 0.03, "batch_size": 16}


@pytest.fixture(scope="module")
def learnt(reviews):
    classifier = TextClassifier(**SMALL, word_features=False)
    classifier.fit(*reviews, verbose=0)
    return classifier


@pytest.fixture(scope="module")
def with_words():
    """A classifier of three labels, one of them rare, with aspects, that reads the end of a text."""
    draw = np.random.default_rng(0)
    words = {"hot": "sun", "cold": "snow", "wet": "rain"}
    labels = [str(label) for label in draw.choice(list(words), 300, p=[0.56, 0.42, 0.02])]
    texts = [f"the {words[label] if draw.random() < 0.9 else 'air'} on the town" for label in labels]
    classifier = TextClassifier(**SMALL | {"epochs": 2}, maxlen=8, truncating="pre")
    classifier.fit(texts, labels, ["weather", "the weather"] * 150, verbose=0)
    assert classifier.decision.simple > 0
    return classifier


@pytest.fixture(scope="module")
def three():
    """A classifier of three labels, with aspects, that reads the end of a text in one direction."""
    draw = np.random.default_rng(0)
    words = {"hot": "sun", "cold": "snow", "wet": "rain"}
    labels = [str(label) for label in draw.choice(list(words), 200)]
    texts = [f"the {words[label]} on the town" for label in labels]
    classifier = TextClassifier(
        **SMALL, maxlen=12, truncating="pre", pooling="last", bidirectional=False, word_features=False
    )
    classifier.fit(texts, labels, ["weather"] * 200, verbose=0)
    return classifier


def test_probabilities_are_those_of_the_text_cut_after_each_token(learnt):
    text = "  The actor was lovely, and the story\n too.  "
    reading = read_text(learnt, text)
    assert [token.text for token in reading.tokens] == [
        "The", "actor", "was", "lovely", ",", "and", "the", "story", "too", ".",
    ]  # fmt: skip
    for token, probabilities in zip(reading.tokens, reading.probabilities, strict=True):
        assert reading.text[token.start : token.end] == token.text
        expected = learnt.probabilities([reading.text[: token.end]])[0]
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(reading.probabilities[-1], learnt.probabilities([text])[0], atol=1e-6)
    assert reading.label == learnt.predict([text])[0].label == "good"
    assert reading.probability == pytest.approx(learnt.predict([text])[0].probability, abs=1e-6)
    assert reading.curve.tolist() == reading.probabilities[:, 1].tolist()


def test_the_deciding_word_gets_the_most(learnt):
    for text, label in (
        ("a scene with the lovely actor", "good"),
        ("the story was dreary and the film", "bad"),
    ):
        reading = read_text(learnt, text)
        assert reading.label == label
        assert reading.tokens[int(reading.attributions.argmax())].text in ("lovely", "dreary")
        against = read_text(learnt, text, label={"good": "bad", "bad": "good"}[label])
        np.testing.assert_allclose(against.attributions, -reading.attributions, rtol=1e-6)
        assert reading.log_odds == pytest.approx(-against.log_odds)


def output(classifier, codes, vectors_times):
    """The log-odds, in float64, with the vectors of the text's tokens multiplied, layer by layer."""
    embedding, *rest = classifier.model.layers
    twins = [layers.deserialize(layers.serialize(layer)) for layer in rest]
    x = embedding.embeddings.detach().double()[torch.from_numpy(codes.astype(np.int64))][None].clone()
    first = len(codes) - vectors_times[1]
    x[:, first:] *= vectors_times[0]
    for layer, twin in zip(rest, twins, strict=True):
        twin.build(tuple(x.shape))
        twin.load_state_dict(layer.state_dict())
        x = twin.double()(x)
    return torch.logit(x[0]).detach().numpy()


@pytest.mark.parametrize(("name", "tolerance"), [("learnt", 2e-3), ("three", 1e-7)])
def test_attributions_add_up_to_what_the_text_changes(name, tolerance, request):
    """Completeness: their sum is f(text) - f(zero vectors), here by other code than that under test."""
    classifier = request.getfixturevalue(name)
    aspect = "weather" if classifier.has_aspects else None
    text = "the lovely actor of a dull story"
    codes = classifier.encode([text], None if aspect is None else [aspect])[0]
    for label in classifier.labels.names:
        reading = read_text(classifier, text, aspect, label=label)
        number = classifier.labels.names.index(label)
        count = len(reading.tokens)
        whole, nothing = (output(classifier, codes, (times, count))[number] for times in (1, 0))
        assert reading.baseline == pytest.approx(nothing, abs=1e-9)
        assert reading.log_odds == pytest.approx(whole, abs=1e-9)
        changed = whole - nothing
        assert reading.attributions.sum() == pytest.approx(changed, abs=tolerance * max(abs(changed), 0.1))
        assert reading.attributions.dtype == np.float64


@pytest.mark.parametrize("text", ["the sun on the town", "so much of the sun and the snow on the town"])
def test_word_features_are_part_of_it(with_words, text):
    """Also of the tokens that the network does not read; only those that it reads get a share."""
    for label in with_words.labels.names:
        reading = read_text(with_words, text, "weather", label=label)
        probability = with_words.predict([text], ["weather"])[0].probabilities[label]
        assert reading.probability == pytest.approx(probability, abs=1e-6)
        assert reading.log_odds == pytest.approx(np.log(probability / (1 - probability)), abs=1e-3)
        changed = reading.log_odds - reading.baseline
        assert reading.attributions.sum() == pytest.approx(changed, abs=2e-3 * max(abs(changed), 0.1))
    for token, row in zip(reading.tokens[:-1], reading.probabilities, strict=False):
        expected = with_words.probabilities([text[: token.end]], ["weather"])[0]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_the_integral_is_exact_for_a_polynomial_and_refined_at_a_kink():
    def values(function, slope):
        def at(shares):
            points = torch.tensor(shares, dtype=torch.float64)
            return function(points).tolist(), torch.stack([slope(points), 2 * slope(points)], 1)

        return at

    total, *ends = reading_module._integrate(values(lambda s: 3 * s**3 + 1, lambda s: 3 * s**2))
    np.testing.assert_allclose(total.numpy(), [1, 2], rtol=1e-12)
    assert ends == [1, 4]
    # The slope jumps from 0 to 1 at a share of 0.003; f is three times what the first column adds up to.
    kink = values(lambda s: 3 * (s - 0.003).clamp_min(0), lambda s: (s > 0.003).double())
    total, *_ = reading_module._integrate(kink)
    np.testing.assert_allclose(total.sum().item(), 3 * 0.997, rtol=2e-3)


def test_each_of_several_labels_has_log_odds_of_its_own(reviews):
    classifier = TextClassifier(**SMALL)
    classifier.fit(reviews[0], [[label, "seen"] for label in reviews[1]], verbose=0)
    for label in classifier.labels.names:
        reading = read_text(classifier, "a lovely film", label=label)
        assert reading.log_odds == pytest.approx(
            np.log(reading.probability / (1 - reading.probability)), rel=5e-3
        )


def test_an_aspect_stands_before_and_is_no_token(three):
    reading = read_text(three, "snow on the town", "weather")
    assert [token.text for token in reading.tokens] == ["snow", "on", "the", "town"]
    assert reading.labels == ("cold", "hot", "wet")
    assert reading.label == "cold"
    with pytest.raises(ArgumentError, match="trained with aspects"):
        read_text(three, "snow on the town")
    with pytest.raises(ArgumentError, match="expected a text to read, got none but the aspect"):
        read_text(three, "", "weather")


def test_what_is_not_read_is_counted(learnt, three):
    long = read_text(learnt, "the actor " * 40)
    assert (len(long.tokens), long.unread, long.unread_first) == (49, 31, False)
    late = read_text(three, "sun " * 30 + "rain on the town", "weather")
    assert late.unread_first
    assert len(late.tokens) + late.unread == 34
    assert late.tokens[-1].text == "town"
    assert late.tokens[-1].end == len(late.text)
    assert "tokens before this are not read" in str(late)
    assert "more tokens are not read" in str(long)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_text_has_nothing_to_read(learnt, text):
    with pytest.raises(ArgumentError, match="text: expected a text to read, got none"):
        read_text(learnt, text)


def test_wrong_arguments(learnt, tmp_path):
    with pytest.raises(UnknownNameError, match="label: 'godo' is not known; did you mean 'good'"):
        read_text(learnt, "a film", label="godo")
    with pytest.raises(ArgumentError, match=r"^text: expected a text, got \['a film'\]$"):
        read_text(learnt, ["a film"])
    reading = read_text(learnt, "a film")
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        reading_picture(reading, tmp_path / "picture.jpg")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError):
        reading_picture(reading, tmp_path / "folder.png")


def test_as_text_without_and_with_colours(learnt):
    from rich.console import Console

    reading = read_text(learnt, "a lovely scene [bold] of the film")
    plain = str(reading)
    assert plain.startswith("probability of good: ")
    assert "[+++ lovely]" in plain
    assert "[bold]" in plain  # no markup of rich's
    assert "\x1b" not in plain
    strongest = next(line for line in plain.splitlines() if line.endswith("lovely"))
    assert float(strongest.split()[0]) == pytest.approx(reading.attributions[1], abs=6e-3)
    console = Console(width=100, force_terminal=True, color_system="truecolor")
    with console.capture() as captured:
        console.print(reading)
    assert "\x1b[" in captured.get()
    assert "[+++" not in captured.get()


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture(learnt, three, tmp_path, suffix):
    readings = [
        read_text(learnt, "the lovely actor, of $a$ story: 나비야 中文 \ud800 😀 " + "word" * 60),
        read_text(learnt, "so " * 30 + "dull. " * 50),
        read_text(three, "sun " * 30 + "rain on the town", "weather", label="hot"),
    ]
    for number, reading in enumerate(readings):
        path = reading_picture(reading, tmp_path / f"{number}{suffix}")
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG") if suffix == ".png" else b"<svg" in content
        again = reading_picture(reading, tmp_path / f"again{suffix}")
        assert again.read_bytes() == content
    assert reading_picture(readings[0], tmp_path / f"t{suffix}", title="나비").exists()
