"""Programs that each need a process of their own, forked from one that has imported torch or Keras.

The import takes longer than what most such tests do. The process has nothing of nabi and no threads yet, so a
child is what a fresh interpreter would be: it runs the program as `__main__` and ends as interpreters end,
with exit handlers, tracebacks and signals. It has the environment that the test has by then. What is read
when torch is loaded, such as OMP_NUM_THREADS, needs a process that is started afresh, and so does a test of
what other packages are loaded.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NABI", "PACKAGES", "Forked", "forking"]

# What trainings and commands load beside nabi. With it, a command begins in a tenth of the time.
PACKAGES = ", ".join(
    [
        "torch", "torch._dynamo", "torchmetrics.functional", "matplotlib.backends.backend_agg",
        "matplotlib.figure", "safetensors.torch", "llvmlite.ir", "llvmlite.binding", "rich.progress", "typer",
        "pytest", "hypothesis",
    ]
)  # fmt: skip

NABI = "from nabi.cli import main; main()"
"""The program that is the command `nabi`."""

SERVE = """
import gc, json, os, sys
import MODULE

gc.collect()
gc.freeze()  # else each child looks through all of it when it ends, and copies it for that

def _serve():
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            for number, path in enumerate(task["files"]):
                os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
            os.environ.clear()
            os.environ.update(task["environment"])
            os.chdir(task["folder"])
            sys.argv[1:] = task["arguments"]
            return task["program"]
        answers.write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) + "\\n")
        answers.flush()
    os._exit(0)

answers = os.fdopen(os.dup(1), "w")
_program = _serve()
del _serve, answers, gc
exec(compile(_program, "<program>", "exec"))
"""


class Forked:
    """Runs programs in children of a process, one after another."""

    def __init__(self, parent: "subprocess.Popen[str]", folder: Path, environment: Mapping[str, str]) -> None:
        self._parent = parent
        self._environment = environment
        self._files = [folder / "stdin", folder / "stdout", folder / "stderr"]

    def run(
        self,
        program: str,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[object] = (),
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a program in the folder of the test, with its environment and what is added to it."""
        for path, content in zip(self._files, (given, b"", b""), strict=True):
            path.write_bytes(content)
        files = [str(path) for path in self._files]
        task = {
            "program": program,
            "arguments": [str(argument) for argument in arguments],
            "environment": {**self._environment, **os.environ, **(environment or {})},
            "folder": os.getcwd(),
            "files": files,
        }
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
            yield Forked(parent, Path(folder), environment or {})
        finally:
            # With a child that hangs, if there is one.
            os.killpg(parent.pid, signal.SIGKILL)
            parent.communicate()
