from dataclasses import dataclass

import pytest


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def nabi(capsys):
    """The command, run inside the test's process."""
    from nabi.cli import main

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(end.value.code or 0), captured.out, captured.err)

    return run
