"""A trained model as code that runs without Python: one step after the other, on any processor."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.shipping._export_object import write_object
    from nabi.shipping._export_web import write_web
    from nabi.shipping._export_web_assembly import write_web_assembly
    from nabi.shipping._program import StepProgram, step_program
    from nabi.shipping._stream import Stream
    from nabi.shipping._targets import TARGETS, Target
else:
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.shipping._export_object": ["write_object"],
            "nabi.shipping._export_web": ["write_web"],
            "nabi.shipping._export_web_assembly": ["write_web", "write_web_assembly"],
            "nabi.shipping._program": ["StepProgram", "step_program"],
            "nabi.shipping._stream": ["Stream"],
            "nabi.shipping._targets": ["TARGETS", "Target"],
        },
    )

__all__ = [
    "TARGETS",
    "StepProgram",
    "Stream",
    "Target",
    "step_program",
    "write_object",
    "write_web",
    "write_web_assembly",
]
