"""Why a node of a file is not read."""

__all__ = ["Refusal", "Restart"]


class Refusal(Exception):  # noqa: N818 - an answer, collected for the one error that lists them all
    """A node cannot be read: nabi has nothing for it, or (`damaged`) the file contradicts itself."""

    def __init__(self, reason: str, damaged: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.damaged = reason, damaged


class Restart(Exception):  # noqa: N818 - no error: what was learned about an input changes what came before
    """An operator told which axis of an input is the batch, other than was assumed."""
