"""Synthetic images of coloured shapes, each with a caption."""

from nabi.data._pictures._shapes._drawing import draw
from nabi.data._pictures._shapes._parts import PARTS, kinds, make_scenes
from nabi.data._pictures._shapes._scenes import COLOURS, PLACES, SHAPES, SIZES, Kind, Scene, Thing

__all__ = [
    "COLOURS",
    "PARTS",
    "PLACES",
    "SHAPES",
    "SIZES",
    "Kind",
    "Scene",
    "Thing",
    "draw",
    "kinds",
    "make_scenes",
]
