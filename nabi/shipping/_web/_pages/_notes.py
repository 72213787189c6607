"""The pages of models that play: a model of notes, and the song of the lectures."""

from typing import Any

import numpy as np
import torch

from nabi import layers, models
from nabi.data import KEYS, LOWEST, NABIYA, NOTES, encode_notes, note_beats, note_pitch
from nabi.errors import ArgumentError
from nabi.shipping._web._module import module_of
from nabi.shipping._web._page import Page

__all__ = ["chain_of", "is_song", "notes_page", "song_facts", "song_page"]

_WINDOW = 4


def notes_page(model: models.NoteModel, name: str) -> Page:
    """Return the page of a model of notes: it composes and plays.

    Raises:
        ArgumentError: if the model is not trained, or its cell cannot go step by step.
    """
    if not hasattr(model, "network"):
        raise ArgumentError("model: the model of notes has not learnt from pieces yet; fit it first")
    network = model.network
    labels = [str(label) for label in model.labels]
    chain = chain_of(network, len(labels))
    coupling = network.coupling()
    facts = {
        "keys": KEYS,
        "lowest": LOWEST,
        "labels": labels,
        "chords": coupling is not None,
        "ends": True,
        "stepsPerBeat": model.settings.steps_per_beat,
    }
    parts = {} if coupling is None else {"coupling": _array(coupling).tobytes()}
    return Page("notes", name, [module_of(chain)], facts, parts, scripts=("keys.mjs", "sound.mjs"))


def chain_of(network: Any, labels: int) -> models.Sequential:
    """Return the network as a model that reads the keys of a frame and, behind them, which label it has.

    Args:
        network: of a model of notes.
        labels: how many labels there are.
    """
    first = network.frames
    if labels:
        kernel = torch.cat([first.kernel, network.labels.embeddings]).detach()
        joined = layers.Dense(kernel.shape[1], name="frames")
        joined.build((None, None, len(kernel)))
        joined.set_weights([_array(kernel), _array(first.bias)])
        first = joined
    stack = [layers.InputLayer((None, KEYS + labels)), first, *network.recurrent.rnns, network.readout]
    return models.Sequential(stack, name="notes")


def is_song(model: Any) -> bool:
    """Tell whether a model is that of the recipe "song": windows of four notes, one number each."""
    return (
        isinstance(model, models.Sequential)
        and model.built
        and model.input_shape == (1, _WINDOW, 1)
        and model.output_shape in ((1, max(encode_notes(NABIYA)) + 1), (1, len(NOTES)))
        and bool(getattr(model.layers[0], "stateful", False))
    )


def song_page(model: models.Sequential, name: str) -> Page:
    """Return the page of the song: it sings on after four notes."""
    return Page("song", name, [module_of(model)], song_facts(), scripts=("sound.mjs",))


def song_facts() -> dict[str, Any]:
    """Return what a page has to know of the song 나비야: its notes, their sounds, how they are read."""
    return {
        "notes": list(NOTES),
        "song": encode_notes(NABIYA).tolist(),
        "sounds": [{"pitch": note_pitch(note), "beats": note_beats(note)} for note in NOTES],
        "window": _WINDOW,
        "scale": len(NOTES) - 1,
    }


def _array(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())
