"""A headless Chromium, driven by the DevTools protocol through a pipe: no port, no further package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

__all__ = ["Browser", "needs_browser"]

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
_PATIENCE = 60.0


class Browser:
    """One page of a browser, in the width of a phone unless told otherwise.

    What the page reports as an error, by exceptions or on its console, is collected in `errors`.
    """

    def __init__(self, width: int = 390, height: int = 844, language: str = "en") -> None:
        assert PROGRAM is not None
        self.errors: list[str] = []
        self._number, self._answers, self._rest = 0, dict[int, Any](), b""
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # The browser reads commands from its descriptor 3 and answers on 4.
        (theirs, self._commands), (self._replies, their_replies) = os.pipe(), os.pipe()
        theirs, their_replies = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs, their_replies))

        def connect() -> None:
            os.dup2(theirs, 3)
            os.dup2(their_replies, 4)

        command = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--no-first-run", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        command += [f"--lang={language}", f"--user-data-dir={self._folder.name}", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            [*command, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=connect,
            env={**os.environ, "LANGUAGE": language},
        )
        os.close(theirs)
        os.close(their_replies)
        self._session = None
        pages = [one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        attached = self("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._commands)
        os.close(self._replies)
        self._folder.cleanup()

    def __call__(self, method: str, **parameters: Any) -> Any:
        """Give a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        number, end = self._number, time.monotonic() + _PATIENCE
        while number not in self._answers:
            self._read(end)
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self, end: float) -> None:
        ready, _, _ = select.select([self._replies], [], [], max(0.0, end - time.monotonic()))
        assert ready, "the browser does not answer"
        self._rest += os.read(self._replies, 1 << 20)
        *messages, self._rest = self._rest.split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif message["method"] == "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self("Emulation.setDeviceMetricsOverride", **size)

    def open(self, path: Path) -> None:
        """Open a file and wait until the page says that it is ready."""
        self.go(path.resolve().as_uri())

    def go(self, address: str) -> None:
        """Open an address and wait until the page says that it is ready."""
        self("Page.navigate", url=address)
        self.wait("document.body?.dataset.ready === 'yes'")

    def wait(self, condition: str) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + _PATIENCE
        while not self.value(condition):
            assert not self.errors, self.errors
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """Return what an expression gives in the page; a promise is awaited."""
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        for character in text:
            self("Input.dispatchKeyEvent", type="char", text=character)

    def press(self, key: str) -> None:
        """Press and release a key, such as Tab or Enter."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
        codes |= {"Delete": 46}
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes[key]}
        self("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path: Path) -> None:
        """Write what the whole page looks like."""
        image = self("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(image))
