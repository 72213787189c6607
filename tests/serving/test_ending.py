"""A server that is asked to end finishes what it is doing."""

import json
import signal

from .conftest import Server


def test_a_text_that_is_being_written_is_finished(saved) -> None:
    server = Server({"lines": saved.files["lines"]})
    text = "".join(saved.lines.write("hello", 3000, seed=1))
    with server.client.stream("POST", "/write", json={"start": "hello", "length": 3000, "seed": 1}) as answer:
        chunks = answer.iter_text()
        received = next(chunks)
        server.process.send_signal(signal.SIGTERM)
        received += "".join(chunks)
    *events, last = received.strip().split("\n\n")
    assert "".join(json.loads(event.removeprefix("data: "))["text"] for event in events) == text
    assert last.startswith("event: end")
    status, errors = server.end()
    assert status in (0, -signal.SIGTERM)
    assert "Traceback" not in errors
