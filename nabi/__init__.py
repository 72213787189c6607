"""nabi: recurrent neural networks from their equations.

A cell is its equations, written once (`nabi.cells`, `nabi.ir`); from them come the parameters, the run over
time and its derivative (`nabi.scan`), PyTorch modules (`nabi.nn`), Keras-style layers and models
(`nabi.layers`, `nabi.models`), TensorFlow-1 names (`nabi.tf1`) and pictures (`nabi.explain`).

`import nabi as keras` runs Keras code: `nabi.Sequential`, `nabi.layers`, `nabi.optimizers` and so on stand
where Keras has them.
"""

from typing import TYPE_CHECKING

from nabi._operator import register_with_torch as _register_with_torch
from nabi._when_asked import loaded_when_asked as _loaded_when_asked

if TYPE_CHECKING:
    from nabi import (
        activations,
        backend,
        callbacks,
        cells,
        datasets,
        errors,
        initializers,
        layers,
        losses,
        metrics,
        models,
        nn,
        optimizers,
        preprocessing,
        regularizers,
        scan,
        utils,
    )
    from nabi.layers import Input
    from nabi.models import Captioner, LanguageModel, Model, NoteModel, Sequential, TextClassifier, Translator
else:
    # Nothing is loaded here, not even torch: programs pay for what they use, and `nabi --help` for nothing.
    __getattr__, __dir__ = _loaded_when_asked(
        __name__,
        {
            "nabi.layers": ["Input"],
            "nabi.models": [
                "Captioner",
                "LanguageModel",
                "Model",
                "NoteModel",
                "Sequential",
                "TextClassifier",
                "Translator",
            ],
        },
    )

__all__ = [
    "Captioner",
    "Input",
    "LanguageModel",
    "Model",
    "NoteModel",
    "Sequential",
    "TextClassifier",
    "Translator",
    "activations",
    "backend",
    "callbacks",
    "cells",
    "datasets",
    "errors",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "preprocessing",
    "regularizers",
    "scan",
    "utils",
]

__version__ = "0.1.0"

_register_with_torch()
