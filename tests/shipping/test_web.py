"""Pages that run a model: their scripts in node, and the pages in a headless browser."""

import itertools
import json
import math
import re
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

import nabi
from nabi import layers, models
from nabi.data import NABIYA, Vocabulary, encode_notes
from nabi.errors import ArgumentError, OutputError
from nabi.models._notes._network import NoteSteps
from nabi.models._task._written_text import Joiner
from nabi.shipping import left_out, write_web
from nabi.shipping._web._pages._notes import chain_of
from nabi.utils import set_random_seed

from .browser import Browser, needs_browser
from .pages import SOURCES, in_node, needs_node, opened

PAGES = ("writer", "classifier", "notes", "song", "curve", "forecaster")


# The scripts -------------------------------------------------------------------------------------------

SENTENCES = [
    "It's a film's film; don't!  (see https://a-b.org/x_y or www.c.de) 3,141.5 #tag @you a@b.c",
    "나비야 나비야 이리 날아오너라… ㅋㅋㅋ 👍🏽 🇰🇷🇩🇪 <br />x</p> e\u0301te\u0301 naïve “quoted” rock’n’roll",
    "O'Neill's we'll they'RE 10.5.3 ½ x²\t\n\n-- $5 100% C++ c# 'tis ' '",
    "",
]


@needs_node
def test_texts_are_cut_as_in_python(tmp_path: Path) -> None:
    texts = [*SENTENCES, *SENTENCES[0].split(), " ".join(SENTENCES[:3]) * 3]
    vocabularies = [
        Vocabulary.learn(texts, "words", minimum_count=2),
        Vocabulary.learn(texts, "words", lowercase=False),
        Vocabulary.learn(texts, "pieces", size=60),
        Vocabulary.learn(texts, "characters"),
    ]
    given = {"vocabularies": [one.to_dict() for one in vocabularies], "texts": [*texts, "unseen Ωμέγα!"]}
    program = """
        const { Vocabulary } = await import(`${source}/words.mjs`);
        const all = given.vocabularies.map((one) => {
          const vocabulary = new Vocabulary(one);
          return given.texts.map((text) => vocabulary.tokens(text).map(({ code }) => code));
        });
        console.log(JSON.stringify(all));
    """
    found = in_node(program, given, tmp_path)
    for vocabulary, rows in zip(vocabularies, found, strict=True):
        for text, codes in zip(given["texts"], rows, strict=True):
            assert codes == [token.code for token in vocabulary.tokens(text)], (vocabulary, text)


@needs_node
def test_words_are_put_together_as_in_python(tmp_path: Path) -> None:
    vocabularies = [Vocabulary.learn(SENTENCES, "words"), Vocabulary.learn(SENTENCES, "pieces", size=60)]
    draw = np.random.default_rng(1)
    rows = [draw.integers(4, len(one), 300).tolist() for one in vocabularies]
    given = {"vocabularies": [one.to_dict() for one in vocabularies], "rows": rows}
    program = """
        const { Joiner, Vocabulary } = await import(`${source}/words.mjs`);
        const texts = given.vocabularies.map((one, at) => {
          const joiner = new Joiner(new Vocabulary(one), "x");
          return given.rows[at].map((code) => joiner.text(code));
        });
        console.log(JSON.stringify(texts));
    """
    found = in_node(program, given, tmp_path)
    for vocabulary, codes, pieces in zip(vocabularies, rows, found, strict=True):
        joiner = Joiner(vocabulary, "x")
        assert pieces == [joiner.text(code) for code in codes]


@needs_node
@settings(max_examples=1, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=60, max_size=80))
def test_any_text_is_cut_as_in_python(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    # Each knows the characters of its own version of Unicode; only those that both must know are compared.
    texts = ["".join(c for c in text if ord(c) < 0x2000 and c.isprintable()) for text in texts]
    vocabulary = Vocabulary.learn([*texts, "a"], "words", lowercase=False)
    program = """
        const { cut } = await import(`${source}/words.mjs`);
        console.log(JSON.stringify(given.map((text) => cut(text.normalize("NFC")).map(({ text }) => text))));
    """
    found = in_node(program, texts, tmp_path_factory.mktemp("texts"))
    for text, words in zip(texts, found, strict=True):
        expected = [vocabulary.words[token.code] for token in vocabulary.tokens(text)]
        assert [word.replace("’", "'") for word in words] == expected, text


@needs_node
def test_keys_are_drawn_as_often_as_if_large_frames_were_drawn_anew(tmp_path: Path) -> None:
    logits, voices, draws = [0.5, -1.0, 0.0, 1.0], 2, 40_000
    program = """
        const { drawChord, drawIndependent } = await import(`${source}/keys.mjs`);
        let state = 1;
        const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
        const zeros = new Float32Array(16);
        const ways = [
          () => drawIndependent(given.logits, given.voices, random),
          () => drawChord(given.logits, zeros, given.voices, 1, random),
        ];
        const counts = ways.map((draw) => {
          const found = {};
          for (let at = 0; at < given.draws; at += 1) {
            const keys = draw().join(" ");
            found[keys] = (found[keys] ?? 0) + 1;
          }
          return found;
        });
        console.log(JSON.stringify(counts));
    """
    found = in_node(program, {"logits": logits, "voices": voices, "draws": draws}, tmp_path)
    odds = {
        " ".join(map(str, keys)): math.exp(sum(logits[key] for key in keys))
        for count in range(voices + 1)
        for keys in itertools.combinations(range(len(logits)), count)
    }
    total = sum(odds.values())
    for counts in found:
        assert set(counts) == set(odds)
        for keys, share in odds.items():
            deviation = math.sqrt(share / total * (1 - share / total) / draws)
            assert abs(counts[keys] / draws - share / total) < 5 * deviation, keys


@needs_node
def test_numbers_of_16_bits_are_widened(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 2**16, 3000, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)]
    program = """
        globalThis.document = { getElementById: () => ({ textContent: "{}" }) };
        const { widened } = await import(`${source}/common.mjs`);
        console.log(JSON.stringify(Array.from(widened(Uint8Array.from(given)))));
    """
    found = in_node(program, list(numbers.tobytes()), tmp_path)
    assert np.array_equal(np.array(found, np.float32), numbers.astype(np.float32))


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_say_the_same_things(page: str) -> None:
    script = (SOURCES / f"{page}.mjs").read_text("utf-8")
    english, korean = re.search(r"  en: \{(.*?)\n  \},\n  ko: \{(.*?)\n  \},\n", script, re.DOTALL).groups()
    said = [dict(re.findall(r'^    (\w+):\s+"(.*)",$', text, re.MULTILINE)) for text in (english, korean)]
    assert list(said[0]) == list(said[1])
    body = (SOURCES / f"{page}.html").read_text("utf-8")
    named = set(re.findall(r'data-(?:text|hint|name)="(\w+)"', body)) | set(
        re.findall(r'say\("(\w+)"', script)
    )
    assert named | {"footer"} == set(said[0])
    for key, text in said[0].items():
        assert set(re.findall(r"\{\d\}", text)) == set(re.findall(r"\{\d\}", said[1][key]))


def _luminance(colour: tuple[float, ...]) -> float:
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2.2, contrast ratio."""
    dark, light = sorted([_luminance(one), _luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme: int) -> None:
    style = (SOURCES / "style.css").read_text("utf-8")
    values = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[theme]
    colours = {
        name: tuple(int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
        for name, code in re.findall(r"--([\w-]+): #(\w{6})", values)
    }

    def mixed(name: str, share: float) -> tuple[float, ...]:
        pairs = zip(colours[name], colours["sheet"], strict=True)
        return tuple(share * a + (1 - share) * b for a, b in pairs)

    text = [("ink", "paper"), ("ink", "sheet"), ("soft", "paper"), ("soft", "sheet"), ("accent", "paper"),
            ("on-accent", "accent"), ("ink", "tint")]  # fmt: skip
    for one, other in text:
        assert contrast(colours[one], colours[other]) >= 4.5, (one, other)
    for background in (mixed("accent", 0.3), mixed("for", 0.4), mixed("against", 0.4)):
        assert contrast(colours["ink"], background) >= 4.5
    for part in ("accent", "for", "against"):
        assert contrast(colours[part], colours["sheet"]) >= 3.0, part


# The pages ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer(torch_only: None) -> models.LanguageModel:
    model = models.LanguageModel(units=16, embedding_size=8, window=16, batch_size=4, epochs=3, warmup=10)
    model.fit(["나비 hello world. " * 40], verbose=0)
    return model


@pytest.fixture(scope="module")
def classifier(torch_only: None) -> models.TextClassifier:
    texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 5
    model = models.TextClassifier(units=4, embedding_size=8, epochs=12, learning_rate=0.03, maxlen=12)
    model.fit(texts, (["</script><b>+"] * 3 + ["-"] * 3) * 5, verbose=0)
    return model


@pytest.fixture(scope="module")
def song() -> models.Sequential:
    set_random_seed(4)
    stack = [
        layers.LSTM(8, batch_input_shape=(1, 4, 1), stateful=True),
        layers.Dense(12, activation="softmax"),
    ]
    return models.Sequential(stack)


@needs_browser
def test_a_language_model_writes_on_with_the_keyboard(
    browser: Browser, folder: Path, writer: models.LanguageModel
) -> None:
    opened(browser, writer, folder, name="나비 & <b>")
    assert browser.value("document.querySelector('h1').textContent") == "나비 & <b>"
    browser.value("document.getElementById('start').focus()")
    browser.type("hello§")
    browser.wait("document.getElementById('unknown').textContent.includes('§')")
    browser.value("document.getElementById('start').value = ''")
    browser.type("hello")
    browser.value("document.getElementById('temperature').value = 0")
    browser.press("Tab")
    browser.press("Tab")
    assert browser.value("document.activeElement.id") == "write"
    browser.press("Enter")
    browser.wait("document.getElementById('text').textContent.length > 30")
    browser.press("Enter")
    written = browser.value("document.getElementById('text').textContent")
    expected = "hello" + "".join(writer.write("hello", len(written), temperature=0))
    assert len(written) > 30
    assert expected.startswith(written)
    # Choosing what comes next writes it.
    chosen = browser.value("document.querySelector('#next button').textContent")
    browser.value("document.querySelector('#next button').click()")
    longer = browser.value("document.getElementById('text').textContent")
    assert longer == written + chosen.replace("␣", " ").replace("⏎", "\n")
    assert not browser.errors


@needs_browser
def test_a_classifier_reads_as_one_types_and_shows_the_words_that_moved_it(
    browser: Browser, folder: Path, classifier: models.TextClassifier
) -> None:
    opened(browser, classifier, folder)
    browser.value("document.getElementById('given').focus()")
    browser.type("a bad film")
    browser.wait("document.body.dataset.shown === 'a bad film'")
    assert browser.value("document.getElementById('most').textContent").startswith("Most: bad +")
    assert browser.value("document.getElementById('said').textContent").startswith("-: ")
    assert classifier.decision.simple
    for text in ("a bad film", "Good and warm, good!", "what " * 30, ""):
        browser.value(f"document.getElementById('given').value = {json.dumps(text)}")
        browser.value("document.getElementById('given').dispatchEvent(new Event('input'))")
        rows = browser.value(
            "[...document.querySelectorAll('#labels .bar')].map((row) =>"
            " [row.querySelector('.name').textContent, Number(row.dataset.probability)])"
        )
        expected = classifier.probabilities([text])[0]
        for label, probability in rows:
            wanted = expected[list(classifier.labels.names).index(label)]
            assert abs(probability - wanted) < 2e-3, (text, label)
    assert not browser.errors


@needs_browser
@pytest.mark.parametrize("output", ["keys", "chords"])
def test_a_model_of_notes_composes_and_is_heard(
    browser: Browser, folder: Path, torch_only: None, output: str
) -> None:
    pieces = [[(60 + at % 12, 64 + at % 12) for at in range(24)] for _ in range(2)]
    model = models.NoteModel(units=8, embedding_size=8, window=8, epochs=1, output=output)
    model.fit(pieces, verbose=0)
    opened(browser, model, folder)
    browser.value("document.getElementById('begin').selectedIndex = 2")
    browser.value("document.getElementById('begin').dispatchEvent(new Event('change'))")
    browser.value("document.getElementById('play').click()")
    browser.wait("/[1-9]\\d* beats, [1-9]/.test(document.getElementById('said').textContent)")
    browser.value("document.getElementById('anew').click()")
    assert browser.value("document.getElementById('play').textContent") == "Compose"
    assert not browser.errors


@needs_browser
def test_a_model_of_notes_composes_like_the_label_that_is_chosen(
    browser: Browser, folder: Path, torch_only: None
) -> None:
    pieces = [[(60 + at % 12,) for at in range(24)] for _ in range(4)]
    model = models.NoteModel(units=8, embedding_size=8, window=8, epochs=1)
    model.fit(pieces, labels=["Bach", "Kim", "Bach", "Kim"], verbose=0)
    steps = NoteSteps(model.network, 1)
    logits, states = steps.start(torch.zeros(0, 88))
    expected = [logits, steps.step([39, 43], states)[0]]
    stream = nabi.Stream(chain_of(model.network, 2))
    for row, keys in zip(expected, ([], [39, 43]), strict=True):
        x = np.zeros(90)
        x[[*keys, 89]] = 1.0
        assert np.abs(stream.push(x) - row.numpy()).max() < 1e-5
    opened(browser, model, folder)
    assert browser.value("[...document.getElementById('label').options].map((one) => one.text)") == [
        "Bach",
        "Kim",
    ]
    assert browser.value("document.getElementById('choice').getClientRects().length") == 1
    assert not browser.errors


@needs_browser
def test_the_song_is_sung_as_in_python(browser: Browser, folder: Path, song: models.Sequential) -> None:
    opened(browser, song, folder)
    codes = encode_notes(NABIYA)[:4].tolist()
    song.reset_states()
    for _ in range(50):
        window = np.reshape(codes[-4:], (1, 4, 1)) / 13
        codes.append(int(song.predict(window, verbose=0).argmax()))
    assert browser.value("document.body.dataset.sung") == " ".join(map(str, codes))
    browser.value("document.getElementById('play').click()")
    browser.wait("document.getElementById('play').textContent === 'Stop'")
    browser.value("document.getElementById('play').click()")
    assert not browser.errors


@needs_browser
def test_a_curve_is_continued_as_in_python(browser: Browser, folder: Path, tmp_path: Path) -> None:
    set_random_seed(5)
    stack = [layers.GRU(6, input_shape=(None, 1), return_sequences=True), layers.Dense(1)]
    model = models.Sequential(stack)
    opened(browser, model, folder)
    browser.value("document.getElementById('curve').focus()")
    browser.value("document.getElementById('clear').click()")
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "ArrowRight", "ArrowUp"):
        browser.press(key)
    values = [0.1, 0.15]
    for _ in range(30):
        values.append(float(model.predict(np.reshape(values, (1, -1, 1)), verbose=0)[0, -1, 0]))
    found = [float(one) for one in browser.value("document.body.dataset.ahead").split()]
    assert np.abs(np.array(found) - values[2:]).max() < 1e-5
    # A line that is drawn with the mouse.
    box = browser.value(
        "(({ left, top }) => [left, top])(document.getElementById('curve').getBoundingClientRect())"
    )
    for at, kind in enumerate(("mousePressed", "mouseMoved", "mouseReleased")):
        place = {"x": box[0] + 20 + 60 * at, "y": box[1] + 60 + 40 * at}
        browser("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **place)
    assert browser.value("document.body.dataset.ahead") != " ".join(map(str, found))
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5000
    assert not browser.errors


def test_what_an_exported_classifier_lacks_is_said(classifier: models.TextClassifier) -> None:
    assert classifier.decision.simple
    assert "word features" in left_out(classifier)
    alone = models.TextClassifier(units=2, embedding_size=2, epochs=1, maxlen=4, word_features=False)
    alone.fit(["good", "bad"] * 4, ["+", "-"] * 4, verbose=0)
    assert left_out(alone) == ""


def test_what_has_no_page_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    other = models.Sequential([layers.Dense(3, input_shape=(2,))])
    with pytest.raises(ArgumentError, match="expected a kind that has a page"):
        write_web(other, tmp_path / "page")
    with pytest.raises(ArgumentError, match="fit it first"):
        write_web(models.LanguageModel(), tmp_path / "page")
    with pytest.raises(ArgumentError, match="fit it first"):
        write_web(models.TextClassifier(), tmp_path / "page")
    with pytest.raises(ArgumentError, match="fit it first"):
        write_web(models.NoteModel(), tmp_path / "page")
    with pytest.raises(ArgumentError, match="fit it first"):
        write_web(models.Forecaster(), tmp_path / "page")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "index.html").write_text("mine")
    curve = models.Sequential([layers.LSTM(2, input_shape=(None, 1), return_sequences=True), layers.Dense(1)])
    with pytest.raises(OutputError, match=r"index\.html"):
        write_web(curve, tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"
