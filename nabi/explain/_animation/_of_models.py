"""The animation of a trained model, and of a cell that has learnt nothing yet."""

import os
from pathlib import Path
from typing import Any

import torch

from nabi import _checks
from nabi._language import language_of
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.explain._animation._animation import check_animation, write_animation
from nabi.explain._animation._film import Said, make_film
from nabi.explain._animation._numbers import read_sequence
from nabi.explain._animation._scenes import Scene, scene_of, steps_together
from nabi.ir import Cell
from nabi.nn import RNN

__all__ = ["animation_of", "cell_animation"]


@public
def animation_of(
    model: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    layer: int = 1,
    title: str | None = None,
    language: str | None = None,
) -> Path:
    """Show a trained model reading something, step by step, with its gates and states in colour.

    Beside the cell stands what the model says after each step, where it says something: the labels of a
    classifier as if the text ended there, the next characters or words of a language model.

    Args:
        model: of any kind, with a recurrent layer over one cell.
        data: what it reads: a text or the path of one for models of texts; bases or the path of a file for
            models of DNA; the path of a file as in training for series, recordings, clips, pictures, music;
            for a model of layers numbers `[T]` or `[T, D]`, also as a text or the path of one, or of a .npy
            file; None for the series that a forecaster was trained on.
        path: the file to write, .html or .gif.
        layer: which recurrent layer, counted from 1 as the model calls them; in two directions each counts.
        title: above the picture; what was read and said by default.
        language: as in `animation`.

    Returns:
        The path.

    Raises:
        ArgumentError: for a model without such a layer, data that it does not read, a text that is too long
            to show, and as `animation`.

    >>> import pathlib, tempfile
    >>> from nabi import Sequential, layers
    >>> model = Sequential([layers.Input((4, 1)), layers.LSTM(3), layers.Dense(1)])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers.html"
    >>> animation_of(model, [0.1, 0.2, 0.3, 0.4], path).name
    'numbers.html'
    """
    check_animation(path)
    language_of(language)
    layer = _checks.whole("layer", layer)
    scene = scene_of(model, data)
    calls = list(steps_together(scene.calls))
    if not calls:
        missing = scene.unseen or "expected one with a recurrent layer over a cell of nabi.cells, got none"
        raise ArgumentError(f"model: {missing}")
    if layer > len(calls):
        raise ArgumentError(f"layer: expected at most {len(calls)}, the recurrent layers, got {layer}")
    call = calls[layer - 1]
    steps = call.inputs.shape[1] if call.lengths is None else int(call.lengths[0])
    inputs = call.inputs[0, :steps]
    labels, says = _of_steps(scene, steps)
    if call.reverse:
        inputs, labels = inputs.flip(0), labels and labels[::-1]
        says = _at_last(scene, steps)  # before its end, it has not read what the model says something of
    states = None if call.states is None else [state[:1] for state in call.states]
    film = make_film(
        (call.layer.program(), [weight.detach() for weight in call.layer.cell_parameters()]),
        inputs,
        labels=labels or None,
        title=scene.title if title is None else title,
        states=states,
        says=says,
    )
    return write_animation(film, path, language)


@public
def cell_animation(
    cell: Cell,
    data: Any,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    seed: int = 0,
    language: str | None = None,
) -> Path:
    """Show a sequence running through a cell that has learnt nothing: its weights are Keras' initial ones.

    Args:
        cell: any cell, also a class of your own.
        data: a text, whose characters are read as one-hot vectors; or numbers `[T]` or `[T, D]`, also as a
            text such as "0.1 0.2 0.3", or the path of a .npy file or of a text with a step in each line.
        path: the file to write, .html or .gif.
        title: above the picture; the cell and the text by default.
        seed: of the weights.
        language: as in `animation`.

    Raises:
        ArgumentError: as `animation`, for no data, and for a cell that reads more than its input.

    >>> import pathlib, tempfile
    >>> from nabi.cells import GRU
    >>> cell_animation(GRU(units=4), "hello", pathlib.Path(tempfile.mkdtemp()) / "gru.html").name
    'gru.html'
    """
    check_animation(path)
    language_of(language)
    seed = _checks.seed("seed", seed)
    numbers, labels = read_sequence(data)
    name = type(cell).__name__
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = RNN(cell, numbers.shape[1], initializer="keras")
    is_text = labels is not None and labels == tuple(str(data))
    film = make_film(
        layer,
        torch.from_numpy(numbers).to(torch.get_default_dtype()),
        labels=labels,
        title=(f"{name}: “{data}”" if is_text else name) if title is None else title,
    )
    return write_animation(film, path, language)


def _of_steps(scene: Scene, steps: int) -> tuple[tuple[str, ...], tuple[Said, ...]]:
    """Return labels and answers of a layer's steps: those of the model, where it takes as many."""
    labels = scene.labels if len(scene.labels) == steps else ()
    if len(scene.says) == steps:
        return labels, scene.says
    return labels, _at_last(scene, steps)


def _at_last(scene: Scene, steps: int) -> tuple[Said, ...]:
    final = scene.final or (scene.says[-1] if scene.says else ())
    return ((),) * (steps - 1) + (final,) if final else ()
