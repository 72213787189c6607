"""nabi: recurrent neural networks from their equations.

A cell is its equations, written once (`nabi.cells`, `nabi.ir`); from them come the parameters, the run over
time and its derivative (`nabi.scan`), PyTorch modules (`nabi.nn`), Keras-style layers and models
(`nabi.layers`, `nabi.models`), TensorFlow-1 names (`nabi.tf1`) and pictures (`nabi.explain`).

`import nabi as keras` runs Keras code: `nabi.Sequential`, `nabi.layers`, `nabi.optimizers` and so on have the
same places as in Keras.
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked as _loaded_when_asked
from nabi._operator import register_with_torch as _register_with_torch
from nabi._version import __version__ as __version__

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
    from nabi.comparison import compare
    from nabi.initializers import Initializer
    from nabi.interchange import export
    from nabi.layers import Input, Layer
    from nabi.losses import Loss
    from nabi.metrics import Metric
    from nabi.models import (
        Captioner,
        ClipClassifier,
        DNAClassifier,
        DNARegressor,
        Forecaster,
        LanguageModel,
        Model,
        NoteModel,
        Sequential,
        SeriesClassifier,
        SeriesRegressor,
        SoundClassifier,
        SpeechRecognizer,
        Tagger,
        TextClassifier,
        TextRegressor,
        Translator,
        predictor,
    )
    from nabi.optimizers import Optimizer
    from nabi.regularizers import Regularizer
    from nabi.shipping import Stream
else:
    # Nothing is loaded here, not even torch: programs pay only for what they use, and `nabi --help` stays
    # fast.
    __getattr__, __dir__ = _loaded_when_asked(
        __name__,
        {
            "nabi.comparison": ["compare"],
            "nabi.initializers": ["Initializer"],
            "nabi.interchange": ["export"],
            "nabi.layers": ["Input", "Layer"],
            "nabi.losses": ["Loss"],
            "nabi.metrics": ["Metric"],
            "nabi.models": [
                "Captioner",
                "ClipClassifier",
                "DNAClassifier",
                "DNARegressor",
                "Forecaster",
                "LanguageModel",
                "Model",
                "NoteModel",
                "Sequential",
                "SeriesClassifier",
                "SeriesRegressor",
                "SoundClassifier",
                "SpeechRecognizer",
                "Tagger",
                "TextClassifier",
                "TextRegressor",
                "Translator",
                "predictor",
            ],
            "nabi.optimizers": ["Optimizer"],
            "nabi.regularizers": ["Regularizer"],
            "nabi.shipping": ["Stream"],
        },
    )

__all__ = [
    "Captioner",
    "ClipClassifier",
    "DNAClassifier",
    "DNARegressor",
    "Forecaster",
    "Initializer",
    "Input",
    "LanguageModel",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "NoteModel",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "SeriesClassifier",
    "SeriesRegressor",
    "SoundClassifier",
    "SpeechRecognizer",
    "Stream",
    "Tagger",
    "TextClassifier",
    "TextRegressor",
    "Translator",
    "activations",
    "backend",
    "callbacks",
    "cells",
    "compare",
    "datasets",
    "errors",
    "export",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "predictor",
    "preprocessing",
    "regularizers",
    "scan",
    "utils",
]

_register_with_torch()
