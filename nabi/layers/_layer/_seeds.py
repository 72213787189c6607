"""Random numbers of a layer: from torch's global generator, or from its own if it has a seed."""

import torch
from torch import Tensor

from nabi import _checks
from nabi.kernels import Kept, draw_kept

__all__ = ["SeedGenerator"]


class SeedGenerator:
    """A source of random numbers that a layer keeps as an attribute.

    Without a `seed`, it uses torch's global generator. With one, it has its own generator, whose state is
    saved with the layer (`Layer.get_extra`).

    >>> source = SeedGenerator(7)
    >>> import torch
    >>> torch.rand(2, generator=source.generator(torch.device("cpu"))).shape
    torch.Size([2])
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else _checks.seed("seed", seed, negative=True, otherwise=" or None")
        self._generator: torch.Generator | None = None

    def generator(self, device: torch.device) -> torch.Generator | None:
        """Return the generator for a device, None for torch's global one."""
        if self.seed is None:
            return None
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    @property
    def state(self) -> Tensor | None:
        """The state of the generator, None without a seed."""
        generator = self._generator or self.generator(torch.device("cpu"))
        return None if generator is None else generator.get_state()

    @state.setter
    def state(self, value: Tensor) -> None:
        generator = self._generator or self.generator(torch.device("cpu"))
        if generator is not None:
            generator.set_state(value)

    def get_config(self) -> dict[str, int | None]:
        """Return the arguments that recreate the source."""
        return {"seed": self.seed}

    def draw(self, like: Tensor, rate: float) -> Kept:
        """Draw the elements of a tensor that dropout keeps, each with probability `1 - rate`."""
        return draw_kept(like, rate, self.generator(like.device))

    def keep(self, like: Tensor, rate: float) -> Tensor:
        """Return a dropout mask in the shape of `like`: 0 with probability `rate`, else 1 / (1 - rate)."""
        kept = self.draw(like, rate)
        return kept.times(torch.ones_like(like)) if kept.values is None else kept.values
