"""Pictures of coloured shapes, made by the program, with a sentence about each."""

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
