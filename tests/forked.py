"""Programs that each need a process of their own, forked from one that has imported torch or Keras.

The import takes longer than what most such tests do. The process has nothing of nabi and no threads yet, so a
child is what a fresh interpreter would be: it runs the program as `__main__` and ends as interpreters end,
with exit handlers, tracebacks and signals. What is read when torch is loaded, such as OMP_NUM_THREADS, needs
a process that is started afresh.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Forked", "forking"]

SERVE = """
import json, os, sys
import MODULE

def _serve():
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            for number, path in enumerate(task["files"]):
                os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
            os.environ.update(task["environment"])
            return task["program"]
        answers.write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) + "\\n")
        answers.flush()
    os._exit(0)

answers = os.fdopen(os.dup(1), "w")
_program = _serve()
del _serve, answers
exec(compile(_program, "<program>", "exec"))
"""


class Forked:
    """Runs programs in children of a process, one after another."""

    def __init__(self, parent: "subprocess.Popen[str]", folder: Path) -> None:
        self._parent = parent
        self._files = [folder / "stdin", folder / "stdout", folder / "stderr"]

    def run(
        self, program: str, given: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        for path, content in zip(self._files, (given, b"", b""), strict=True):
            path.write_bytes(content)
        files = [str(path) for path in self._files]
        task = {"program": program, "environment": dict(environment or {}), "files": files}
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(task) + "\n")
        self._parent.stdin.flush()
        status = int(self._parent.stdout.readline())
        _, out, err = (path.read_bytes() for path in self._files)
        return subprocess.CompletedProcess(["program"], status, out, err)


@contextmanager
def forking(module: str, environment: Mapping[str, str] | None = None) -> Iterator[Forked]:
    """A process that has imported a module, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        parent = subprocess.Popen(
            [sys.executable, "-c", SERVE.replace("MODULE", module)],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            yield Forked(parent, Path(folder))
        finally:
            # With a child that hangs, if there is one.
            os.killpg(parent.pid, signal.SIGKILL)
            parent.communicate()
