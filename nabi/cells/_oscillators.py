"""Oscillators and other systems of differential equations, solved a step at a time."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import sigmoid, tanh

__all__ = ["LEM", "CoRNN", "UnICORNN"]


class CoRNN(Cell):
    """Coupled oscillators: position h and velocity z of a damped, driven system (Rusch and Mishra 2021).

    Good for long sequences such as pictures read pixel by pixel: its gradients are bounded.

    Args:
        step_size: Δt, positive; 0.042 by default, as for pictures read in order. Tune the three.
        gamma: the springs' stiffness, positive; 2.7 by default.
        epsilon: the damping, positive; 4.7 by default.
    """

    step_size: float = dataclasses.field(default=0.042, kw_only=True)
    gamma: float = dataclasses.field(default=2.7, kw_only=True)
    epsilon: float = dataclasses.field(default=4.7, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "z")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("step_size", "gamma", "epsilon"):
            self._keep(name, _checks.real(name, getattr(self, name), above=0))

    def step(self, x: Node, h: Node, z: Node) -> Any:
        """The velocity changes by the force, the position by the new velocity."""
        force = tanh(self.affine("z", x, h, z)) - self.gamma * h - self.epsilon * z
        z_t = z + self.step_size * force
        return h + self.step_size * z_t, z_t


class UnICORNN(Cell):
    """Undamped, independent, controlled oscillators (Rusch and Mishra 2021).

    Good for sequences of thousands of steps: the weights on the state are vectors, and the system keeps its
    energy. Each unit learns its own time scale c.

    Args:
        step_size: Δt, positive; 0.1 by default.
        alpha: the springs' stiffness, at least 0; 1 by default.
    """

    step_size: float = dataclasses.field(default=0.1, kw_only=True)
    alpha: float = dataclasses.field(default=1.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "z")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("step_size", _checks.real("step_size", self.step_size, above=0))
        self._keep("alpha", _checks.real("alpha", self.alpha, least=0))

    def step(self, x: Node, h: Node, z: Node) -> Any:
        """The position moves with the new velocity: a symplectic step."""
        d = self.step_size * sigmoid(self.parameter("c", init=initial.Uniform(-0.1, 0.1)))
        own = self.diagonal("z", "h", h, init=initial.Uniform(0, 1))
        z_t = z - d * (tanh(self.affine("z", x) + own) + self.alpha * h)
        return h + d * z_t, z_t


class LEM(Cell):
    """Long expressive memory: two states with learned time steps (Rusch et al. 2022).

    Good for long sequences with fast and slow parts, and for dynamical systems.

    Args:
        step_size: the largest time step Δt, positive; 1 by default.
    """

    step_size: float = dataclasses.field(default=1.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "z")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("step_size", _checks.real("step_size", self.step_size, above=0))

    def step(self, x: Node, h: Node, z: Node) -> Any:
        """a and b are the time steps of z and of h; h reads the new z."""
        a_t = self.step_size * sigmoid(self.affine("a", x, h))
        b_t = self.step_size * sigmoid(self.affine("b", x, h))
        z_t = (1 - a_t) * z + a_t * tanh(self.affine("z", x, h))
        return (1 - b_t) * h + b_t * tanh(self.affine("h", x, z=z_t)), z_t
