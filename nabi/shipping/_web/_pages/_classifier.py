"""The page of a text classifier: it reads as one types, and shows the words that moved it."""

from typing import Any

import numpy as np

from nabi import layers, models
from nabi.errors import ArgumentError
from nabi.shipping._web._module import WebModule, module_of
from nabi.shipping._web._page import Page

__all__ = ["classifier_page"]


def classifier_page(model: models.TextClassifier, name: str) -> Page:
    """Return the page.

    The embedding is stored with 16 bits a number, so probabilities differ in the third or fourth digit.

    Raises:
        ArgumentError: if the classifier is not trained, reads aspects or other columns, or its cell cannot go
            step by step.
    """
    if not hasattr(model, "vocabulary"):
        raise ArgumentError("model: the text classifier has not learnt from texts yet; fit it first")
    models.no_columns(model, "exported as a web page")
    if model.has_aspects:
        raise ArgumentError("model: the text classifier reads aspects, for which its page has no place")
    embedding, _, recurrent, *_, last = model.model.layers
    both = isinstance(recurrent, layers.Bidirectional)
    directions = [recurrent.forward_layer, _forward(recurrent.backward_layer)] if both else [recurrent]
    modules = [_module(layer, embedding.output_dim) for layer in directions]
    labels = len(model.labels.names)
    decision = model.decision
    simple = model.simple if decision is not None and decision.simple else None
    nothing = np.zeros((1, labels))
    added = (
        nothing if decision is None else decision.logits(nothing, None, model.shares, model.labels.several)
    )
    facts = {
        "vocabulary": model.vocabulary.to_dict(),
        "labels": list(model.labels.names),
        "several": model.labels.several,
        "outputs": last.units,
        "maxlen": model.settings.maxlen,
        "truncating": model.settings.truncating,
        "pooling": model.settings.pooling,
        "share": 1.0 if decision is None else decision.network,
        "added": added[0].tolist(),
        "shares": model.shares.tolist(),
        "wordShare": 0.0 if decision is None else decision.simple,
        "features": None if simple is None else _features(simple),
    }
    parts = {
        "embedding": _array(embedding.embeddings).astype("<f2").tobytes(),
        "labels-weights": _array(last.kernel).tobytes() + _array(last.bias).tobytes(),
    }
    if simple is not None:
        parts["features-keys"] = simple.features.keys.astype("<i8").tobytes()
        parts["features-rarity"] = simple.features.rarity.astype("<f4").tobytes()
        parts["features-weights"] = _array(simple.regression.weight).tobytes()
    return Page("classifier", name, modules, facts, parts, scripts=("words.mjs", "features.mjs"))


def _features(simple: Any) -> dict[str, Any]:
    """Return what is said of word features as JSON."""
    return {
        "vocabulary": simple.features.vocabulary.to_dict(),
        "runs": list(simple.features.runs),
        "bias": simple.regression.bias.tolist(),
    }


def _forward(layer: Any) -> Any:
    """Return a copy of a layer that goes backwards, which goes forwards."""
    copy = type(layer).from_config({**layer.get_config(), "go_backwards": False})
    copy.build((None, None, layer.kernel.shape[0]))
    copy.set_weights(layer.get_weights())
    return copy


def _module(layer: Any, features: int) -> WebModule:
    return module_of(models.Sequential([layers.InputLayer((None, features)), layer], name="direction"))


def _array(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())
