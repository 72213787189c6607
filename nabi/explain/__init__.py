"""Seeing what recurrent networks do: gradients against distance, gates over time, the cost of unrolling."""

from nabi.explain._gates import gates, gates_picture
from nabi.explain._gradient import gradient_distance, gradient_distance_picture
from nabi.explain._unrolling import Unrolling, unrolling_memory, unrolling_picture

__all__ = [
    "Unrolling",
    "gates",
    "gates_picture",
    "gradient_distance",
    "gradient_distance_picture",
    "unrolling_memory",
    "unrolling_picture",
]
