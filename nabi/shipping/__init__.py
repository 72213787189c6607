"""A trained model as code that runs without Python: one step after the other, on any processor."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.shipping._c._export_c import c_files, write_c
    from nabi.shipping._export_object import object_files, write_object
    from nabi.shipping._export_web import WEB_FILE, write_web
    from nabi.shipping._export_web_assembly import web_assembly_names, write_web_assembly
    from nabi.shipping._program import StepProgram, identifier, left_out, step_program
    from nabi.shipping._stream import Stream
    from nabi.shipping._targets import TARGETS, Target
    from nabi.shipping._web._page import Page, write_page
    from nabi.shipping._web._pages._notes import is_song, song_facts
else:
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.shipping._c._export_c": ["c_files", "write_c"],
            "nabi.shipping._export_object": ["object_files", "write_object"],
            "nabi.shipping._export_web": ["WEB_FILE", "write_web"],
            "nabi.shipping._export_web_assembly": ["web_assembly_names", "write_web_assembly"],
            "nabi.shipping._program": ["StepProgram", "identifier", "left_out", "step_program"],
            "nabi.shipping._stream": ["Stream"],
            "nabi.shipping._targets": ["TARGETS", "Target"],
            "nabi.shipping._web._page": ["Page", "write_page"],
            "nabi.shipping._web._pages._notes": ["is_song", "song_facts"],
        },
    )

__all__ = [
    "TARGETS",
    "WEB_FILE",
    "Page",
    "StepProgram",
    "Stream",
    "Target",
    "c_files",
    "identifier",
    "is_song",
    "left_out",
    "object_files",
    "song_facts",
    "step_program",
    "web_assembly_names",
    "write_c",
    "write_object",
    "write_page",
    "write_web",
    "write_web_assembly",
]
