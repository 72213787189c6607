"""A few steps with what the model in Python gives, for an exported model to compare itself with."""

from typing import Any

import numpy as np
import torch

from nabi import models
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._program import Numbers, StepProgram

__all__ = ["self_test_of"]

_STEPS, _SHOWN, _SEED = 4, 16, 20
_TOLERANCE = 2e-5
"""How far a result may be away that is at most 1 in size: ten times what is expected of another processor."""


def self_test_of(model: Any, program: StepProgram) -> SelfTest:
    """Return four steps of numbers that are the same at every call, and the outputs of the model.

    A program with passes goes through the four as one sequence. Of an output with many numbers only the first
    16 are compared.
    """
    draw = np.random.default_rng(_SEED)
    if program.codes:
        # Not code 0: an embedding may mask it, and exported code reads it as any other.
        inputs = draw.integers(min(1, program.codes - 1), program.codes, (_STEPS, 1)).astype(np.float32)
    else:
        inputs = draw.standard_normal((_STEPS, program.input.width)).astype(np.float32)
    outputs = _outputs(model, program, inputs)[:, :_SHOWN]
    scale = max(1.0, float(np.abs(outputs).max(initial=0.0)))
    return SelfTest(inputs, np.ascontiguousarray(outputs, np.float32), _TOLERANCE * scale)


def _outputs(model: Any, program: StepProgram, inputs: Numbers) -> Numbers:
    """Return what the model gives after each step."""
    x = torch.from_numpy(inputs[:, 0].astype(np.int64) if program.codes else inputs)
    with torch.no_grad():
        if isinstance(model, models.LanguageModel):
            logits, _ = model.network(x[None], model.network.start(1))
            return _numbers(logits[0])
        if isinstance(model, models.NoteModel):
            logits, _ = model.network(x[None], model.network.start(1))
            return _numbers(logits[0])
        if isinstance(model, models.SeriesClassifier):
            return _of_series(model, x)
        if isinstance(model, models.TextClassifier):
            model = model.model
        if program.passes:
            found = model(x[None], training=False)
            return _numbers(found[0] if found.ndim == 3 else found)
        if model.output_shape is not None and len(model.input_shape) == 2 and not program.codes:
            return _numbers(model(x, training=False))  # no time: each step is a row
        # A model may give one output for a sequence: that of each beginning is what a step gives.
        found = [model(x[None, : end + 1], training=False) for end in range(_STEPS)]
    rows = [one[0, -1] if one.ndim == 3 else one[0] for one in found]
    return np.stack([_numbers(row) for row in rows])


def _of_series(model: models.SeriesClassifier, x: torch.Tensor) -> Numbers:
    """Return the probabilities after each step, of the series so far or of the step."""
    rows = []
    for end in range(1, len(x) + 1):
        found, _ = model.network.probabilities(x[None, :end], torch.tensor([end]))
        rows.append(_numbers(found[0] if found.ndim == 2 else found[0, -1]))
    return np.stack(rows)


def _numbers(tensor: torch.Tensor) -> Numbers:
    return tensor.detach().cpu().float().numpy()
