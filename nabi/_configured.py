"""The base class of initializers and regularizers: objects defined by their arguments."""

from typing import Any, Self

__all__ = ["Configured"]


class Configured:
    """An object defined by its class and the arguments that `get_config` returns."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the object."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make an object from what `get_config` returned."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), tuple(sorted(self.get_config().items()))))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
