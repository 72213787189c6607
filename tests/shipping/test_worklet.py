"""The audio worklet in a headless browser: sound goes through it as the model would have it in Python."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nabi import layers, models
from nabi.shipping import write_web_assembly
from nabi.utils import set_random_seed

from .browser import Browser, needs_browser

PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module">
import { audioNode } from "./@.mjs";
const rate = 44100;
const context = new OfflineAudioContext(1, 1024, rate);
const buffer = new AudioBuffer({ length: 1024, sampleRate: rate });
buffer.copyToChannel(Float32Array.from({ length: 1024 }, (_, at) => Math.sin(at / 7)), 0);
const source = new AudioBufferSourceNode(context, { buffer });
const node = await audioNode(context);
const posted = [];
node.port.onmessage = ({ data }) => posted.push(...data);
source.connect(node).connect(context.destination);
source.start();
const heard = await context.startRendering();
window.found = { heard: [...heard.getChannelData(0)], posted };
document.body.dataset.ready = "yes";
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of the folder: modules are not loaded from files."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@needs_browser
def test_an_effect_and_a_detector(tmp_path: Path, address: str) -> None:
    set_random_seed(6)
    x = np.sin(np.arange(1024) / 7).astype(np.float32)
    effect = models.Sequential(
        [layers.LSTM(6, input_shape=(None, 1), return_sequences=True), layers.Dense(1)], name="effect"
    )
    detector = models.Sequential(
        [layers.GRU(5, input_shape=(None, 32), return_sequences=True), layers.Dense(2)], name="detector"
    )
    expected = {
        "effect": effect.predict(x[None, :, None], verbose=0).ravel(),
        "detector": detector.predict(x.reshape(1, 32, 32), verbose=0).ravel(),
    }
    with Browser() as browser:
        for model in (effect, detector):
            write_web_assembly(model, tmp_path)
            (tmp_path / f"{model.name}.html").write_text(PAGE.replace("@", model.name))
            browser.go(f"{address}/{model.name}.html")
            found = browser.value("window.found")
            kind = "heard" if model is effect else "posted"
            if kind == "posted":
                browser.wait("window.found.posted.length === 64")
                found = browser.value("window.found")
            assert np.abs(np.array(found[kind]) - expected[model.name]).max() < 2e-6
            assert not browser.errors
