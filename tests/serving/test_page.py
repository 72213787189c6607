"""The page at `/`, in a real browser: what it shows is what the models give."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import nabi
from nabi.data import NOTES

from ..shipping.browser import Browser, needs_browser
from .conftest import Server


@pytest.fixture(scope="module")
def page(saved: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server without a key, with all models and one that sings."""
    folder = tmp_path_factory.mktemp("page")
    nabi.utils.set_random_seed(0)
    song = nabi.Sequential(
        [
            nabi.layers.LSTM(8, batch_input_shape=(1, 4, 1), stateful=True),
            nabi.layers.Dense(len(NOTES), activation="softmax"),
        ]
    )
    song.save(folder / "song.nabi")
    stars = nabi.TextRegressor(units=4, embedding_size=4, epochs=1)
    rows = ["good film", "bad film", "good day", "bad day"] * 4
    stars.fit(rows, [5, 1, 4.5, 1.5] * 4, verbose=0)
    stars.save(folder / "stars.nabi")
    deals = nabi.TextClassifier(units=4, embedding_size=4, epochs=1)
    deals.fit(rows, ["+", "-"] * 8, columns={"price": [1.0, 9.0, 5.0, 3.0] * 4}, verbose=0)
    deals.save(folder / "deals.nabi")
    more = {name: folder / f"{name}.nabi" for name in ("song", "stars", "deals")}
    server = Server({**saved.files, **more})
    yield SimpleNamespace(server=server, song=song, stars=stars)
    _, errors = server.end()
    assert "Traceback" not in errors


def chosen(browser: Browser, page: SimpleNamespace, name: str) -> None:
    browser.go(f"{page.server.address}/?{name}#{name}")
    assert browser.value("document.getElementById('model').value") == name


def refused(browser: Browser, condition: str) -> None:
    """Wait for what follows a refusal, which the browser reports as an error by itself."""
    until = time.monotonic() + 60
    while not browser.value(condition):
        assert time.monotonic() < until, condition
    assert all("Failed to load resource" in one for one in browser.errors), browser.errors
    browser.errors.clear()


def test_it_asks_no_other_host(page) -> None:
    answer = page.server.client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    links = answer.text.replace("http://www.w3.org", "")
    assert "https://" not in links
    assert "src=" not in links


@needs_browser
def test_models_are_tried(page, saved, tmp_path) -> None:
    with Browser() as browser:
        chosen(browser, page, "reviews")
        browser.value("document.getElementById('given').focus()")
        browser.type("a good film")
        browser.wait("document.body.dataset.shown === 'a good film'")
        (expected,) = saved.reviews.predict(["a good film"])
        said = browser.value("document.getElementById('said').textContent")
        assert said == f"{expected.label} ({expected.probability:.0%})".replace("%", " %")
        assert browser.value("document.querySelectorAll('#words mark').length") == 3

        chosen(browser, page, "stars")
        browser.value("document.getElementById('given').focus()")
        browser.type("a good day")
        browser.wait("document.body.dataset.shown === 'a good day'")
        said = float(browser.value("document.getElementById('said').textContent"))
        assert said == pytest.approx(page.stars.predict(["a good day"])[0], rel=1e-3)
        chosen(browser, page, "deals")
        assert "This page cannot make" in browser.value("document.getElementById('said').textContent")

        chosen(browser, page, "lines")
        browser.value("document.getElementById('given').value = 'hello'")
        browser.value("document.getElementById('ask').click()")
        browser.wait("document.getElementById('written').textContent.length > 20")
        text = browser.value("document.getElementById('written').textContent")
        assert text.startswith("hello")

        chosen(browser, page, "sales")
        browser.value("document.getElementById('ask').click()")
        browser.wait("document.getElementById('said').textContent.includes('median')")

        chosen(browser, page, "gauge")
        browser.value("document.getElementById('given').value = '1 2 3\\n4, 5, 6'")
        browser.value("document.getElementById('ask').click()")
        browser.wait("document.getElementById('written').textContent !== ''")
        x = np.arange(1, 7, dtype="float32").reshape(1, 2, 3)
        last = browser.value("document.getElementById('written').textContent").split("\n")[-1]
        np.testing.assert_allclose(
            [float(one) for one in last.split()], saved.gauge.predict(x, verbose=0)[0], rtol=1e-3
        )
        browser.value("document.getElementById('given').value = '1 2'")
        browser.value("document.getElementById('ask').click()")
        refused(browser, "document.getElementById('problem').textContent.includes('3 numbers')")

        browser.value("document.getElementById('language').click()")
        assert "모델" in browser.value("document.querySelector('[data-text=about]').textContent")
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_the_song_is_a_session_that_sings_on(page) -> None:
    """Notes are played with the keyboard of the computer; what is sung is what a stream in Python sings."""
    with Browser() as browser:
        chosen(browser, page, "song")
        browser.value("document.getElementById('sing').click()")
        assert "4 more" in browser.value("document.getElementById('said').textContent")
        browser.value("document.getElementById('tempo').value = 220")
        for key in "q33w":  # codes 10, 2, 2 and 11
            browser("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
            browser("Input.dispatchKeyEvent", type="keyUp", key=key)
        played = [10, 2, 2, 11]
        assert browser.value("document.body.dataset.sung") == " ".join(map(str, played))
        browser.value("document.getElementById('sing').click()")
        browser.wait("document.body.dataset.sung.split(' ').length >= 8")
        browser.value("document.getElementById('sing').click()")
        sung = [int(one) for one in browser.value("document.body.dataset.sung").split()]
        stream = nabi.Stream(page.song)
        while len(played) < len(sung):
            outputs = stream.run(np.asarray(played[-4:], np.float32)[:, None] / 13)
            played.append(int(outputs[-1].argmax()))
        assert sung == played
        assert 'nabi_sessions{model="song"} 1' in page.server.client.get("/metrics").text
        browser.value("document.getElementById('begin').click()")
        browser.wait("document.body.dataset.ready === 'yes'")
        assert not browser.errors


@needs_browser
@pytest.mark.rotates(days=3)
def test_a_server_with_a_key_is_opened_by_it(server) -> None:
    with Browser() as browser:
        browser("Page.navigate", url=f"{server.address}/")
        refused(browser, "document.body?.dataset.ready === 'yes'")
        assert not browser.value("document.getElementById('keys').hidden")
        browser.value("document.getElementById('key').value = 'a key'")
        browser.value("document.querySelector('#keys button').click()")
        browser.wait("document.getElementById('model').options.length === 5")
        assert browser.value("document.getElementById('keys').hidden")
        assert not browser.errors
