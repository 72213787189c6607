"""The audio worklet in a headless browser: sound goes through it as the model would have it in Python."""

from pathlib import Path

import numpy as np

from nabi import layers, models
from nabi.shipping import write_web_assembly
from nabi.utils import set_random_seed

from .browser import Browser, needs_browser
from .served import served

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


@needs_browser
def test_an_effect_and_a_detector(tmp_path: Path) -> None:
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
    with Browser() as browser, served(tmp_path) as address:
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
