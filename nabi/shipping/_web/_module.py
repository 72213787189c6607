"""A model as a WebAssembly module, and the files of JavaScript around it."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from nabi.native import WEB_ASSEMBLY, emit_object, link_web_assembly
from nabi.shipping._code._functions import constants_of, model_module, scratch_bytes
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._code._sequence_functions import sequence_constants, sequence_module
from nabi.shipping._code._shared import TILE
from nabi.shipping._code._step_function import layout_for
from nabi.shipping._memory import Layout
from nabi.shipping._program import StepProgram, step_program
from nabi.shipping._self_test import self_test_of
from nabi.shipping._small_weights import quantized
from nabi.shipping._weights_file import Weights, packed_weights

__all__ = ["BLOCK", "WebModule", "loader", "module_of", "template", "web_assembly_files"]

BLOCK = 128
"""Steps that a call of `run` takes at most: as many as the Web Audio API hands over samples."""
_FUNCTIONS = ("init", "reset", "step", "run", "get_state", "set_state", "self_test")
_OF_SEQUENCES = ("init", "run", "self_test")
_STACK = 8192
_ENOUGH = 4096
"""Bytes beyond the weights. Where code takes more, it is made small: what is computed in many places is
written once, and LLVM's passes shorten the rest."""


class WebModule:
    """A model as a WebAssembly module.

    Attributes:
        content: the module.
        sizes: what JavaScript has to know of it.
        weights: bytes of the weights in it.
    """

    def __init__(self, program: StepProgram, test: SelfTest, simd: bool = True, kind: str = "") -> None:
        """Compile a program.

        Args:
            program: what a step computes.
            test: what the self-test compares.
            simd: whether to use vectors (SIMD128). Engines of before 2021 to 2023 need code without; the
                results are the same.
            kind: what weights are stored as; empty for float32.
        """
        machine = WEB_ASSEMBLY["wasm" if simd else "wasm-scalar"]
        functions = _OF_SEQUENCES if program.passes else _FUNCTIONS
        exports = {name: f"{program.name}_{name}" for name in functions}
        make = sequence_module if program.passes else model_module
        found: list[tuple[int, bytes, Layout, Weights]] = []
        for shares in (False, True):
            layout = layout_for(program, machine, kind, TILE if shares else None)
            weights = packed_weights(layout, program.structure)
            module = make(program, layout, machine, weights, test, apart=False, shares=shares)
            # Sequences have any length: their loader lets the memory grow.
            room = 512 if program.passes else _room(program, layout)
            image = emit_object(module, machine, passes=shares)
            content = link_web_assembly(image, exports, stack=_STACK, room=room, short=shares)
            found.append((len(content), content, layout, weights))
            if len(content) - len(weights.content) <= _ENOUGH:
                break
        _, self.content, layout, weights = min(found, key=lambda one: one[0])
        self.weights = len(weights.content)
        self.sizes: dict[str, int | bool] = {
            "input": program.input.width,
            "codes": program.codes,
            "output": program.output.width,
        }
        if program.passes:
            known = sequence_constants(program, layout, weights, test)
            self.sizes |= {
                "perStep": program.is_per_step,
                "fixedBytes": known["FIXED_BYTES"],
                "stepBytes": known["STEP_BYTES"],
                "testSteps": known["TEST_STEPS"],
            }
            return
        constants = constants_of(program, layout, weights)
        self.sizes |= {
            "state": program.state_size,
            "stateBytes": constants["STATE_BYTES"],
            "scratchBytes": scratch_bytes(program, layout),
            "block": BLOCK,
        }


def _room(program: StepProgram, layout: Layout) -> int:
    """Return the bytes that the loader needs for one stream, so that its memory need not grow."""
    numbers = BLOCK * (program.input.width + program.output.width) + 2 * layout.state_size
    return scratch_bytes(program, layout) + 4 * numbers + 512


def module_of(model: Any) -> WebModule:
    """Return the module of a model, with weights as the model has them.

    Raises:
        ArgumentError: if a layer cannot go step by step.
    """
    model, kind = quantized(model, None)
    program = step_program(model)
    return WebModule(program, self_test_of(model, program), kind=kind)


def web_assembly_files(
    program: StepProgram, test: SelfTest, simd: bool = True, kind: str = ""
) -> Mapping[str, bytes]:
    """Return the files of a model for JavaScript, by name: the loader, the module, types, and a worklet.

    A model that goes through whole sequences has no worklet.

    Args:
        program: what a step computes; its name begins the names of the files.
        test: what the self-test compares.
        simd, kind: see `WebModule`.
    """
    module = WebModule(program, test, simd, kind)
    name = program.name
    if program.passes:
        return {
            f"{name}.mjs": loader(name, module, "sequence.mjs"),
            f"{name}.wasm": module.content,
            f"{name}.d.ts": template("sequence.d.ts", NAME=name).encode(),
        }
    return {
        f"{name}.mjs": loader(name, module),
        f"{name}.wasm": module.content,
        f"{name}.d.ts": template("model.d.ts", NAME=name).encode(),
        f"{name}-worklet.js": template("worklet.js", NAME=name).encode(),
    }


def loader(name: str, module: WebModule, of: str = "model.mjs") -> bytes:
    """Return the source that loads a module; `of` is the template in this folder."""
    loading = template("loading.mjs")
    return template(of, LOADING=loading, NAME=name, SIZES=json.dumps(module.sizes)).encode()


def template(name: str, **values: str) -> str:
    """Return a file of this folder with values in place of their names, written `@NAME@`."""
    text = files("nabi.shipping._web").joinpath(name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
