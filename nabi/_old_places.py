"""The current modules of classes in pickles of version 0.1.

`torch.save(model)` and pickle store classes by module. The modules moved after 0.1; this table will be
removed in 0.3. Model files contain no module names and do not need it.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["OLD_PLACES", "find_spec", "names_that_stood_here"]

# Old place -> new place, both without the prefix "nabi.".
OLD_PLACES = {
    "data._captions": "data._pictures._captions",
    "data._characters": "data._text._characters",
    "data._frames": "data._tables._frames",
    "data._images": "data._pictures._images",
    "data._labels": "data._tables._labels",
    "data._length_groups": "data._text._length_groups",
    "data._midi": "data._music._midi",
    "data._midi_file": "data._music._midi_file",
    "data._midi_folder": "data._music._midi_folder",
    "data._midi_frames": "data._music._midi_frames",
    "data._notes": "data._music._notes",
    "data._one_hot": "data._text._one_hot",
    "data._padding": "data._text._padding",
    "data._pair_splitting": "data._tables._pair_splitting",
    "data._pairs": "data._tables._pairs",
    "data._series": "data._series._numbers",
    "data._splitting": "data._tables._splitting",
    "data._table_formats": "data._tables._table_formats",
    "data._tables": "data._tables._tables",
    "data._text_units": "data._text._text_units",
    "data._timeseries": "data._series._timeseries",
    "data._timeseries_dataset": "data._series._timeseries_dataset",
    "data._tokenizer": "data._text._tokenizer",
    "data._vocabulary": "data._text._vocabulary",
    "data._windows": "data._series._windows",
    "layers._activations": "layers._layer._activations",
    "layers._arguments": "layers._layer._arguments",
    "layers._base": "layers._layer._base",
    "layers._bidirectional": "layers._recurrent._bidirectional",
    "layers._cell_config": "layers._recurrent._cell_config",
    "layers._cell_loop": "layers._recurrent._cell_loop",
    "layers._claims": "layers._layer._claims",
    "layers._convolution": "layers._windows._convolution",
    "layers._convolution_2d": "layers._windows._convolution_2d",
    "layers._direct": "training._step._chain",
    "layers._direct_both_ways": "training._step._recurrent",
    "layers._direct_core": "training._step._core",
    "layers._direct_pooled": "training._step._windows",
    "layers._direct_recurrent": "training._step._recurrent",
    "layers._direct_sequence": "training._step._recurrent",
    "layers._direct_windows": "training._step._windows",
    "layers._equations": "layers._recurrent._equations",
    "layers._inputs": "layers._layer._inputs",
    "layers._kept_states": "layers._recurrent._stateful",
    "layers._keras_cells": "layers._recurrent._keras_cells",
    "layers._pooling": "layers._windows._pooling",
    "layers._pooling_2d": "layers._windows._pooling_2d",
    "layers._recurrent": "layers._recurrent._families",
    "layers._registry": "layers._layer._registry",
    "layers._regularizers": "layers._layer._regularizers",
    "layers._rnn": "layers._recurrent._rnn",
    "layers._seeds": "layers._layer._seeds",
    "layers._states": "layers._recurrent._states",
    "layers._structure": "_tree",
    "layers._symbolic": "layers._layer._symbolic",
    "layers._unrolled": "layers._recurrent._unrolled",
    "layers._weights": "layers._layer._weights",
    "layers._windows": "layers._windows._windows",
    "layers._windows_2d": "layers._windows._windows_2d",
    "layers._wrappers": "layers._recurrent._wrappers",
    "models._attention": "models._networks._attention",
    "models._caption_files": "models._captioner._model",
    "models._caption_network": "models._captioner._network",
    "models._caption_report": "models._captioner._training",
    "models._caption_samples": "models._captioner._samples",
    "models._caption_settings": "models._captioner._settings",
    "models._caption_training": "models._captioner._training",
    "models._caption_writing": "models._captioner._writing",
    "models._captioner": "models._captioner._model",
    "models._cell_model_files": "models._task._task_model",
    "models._decoder_network": "models._networks._decoder",
    "models._decoder_steps": "models._networks._decoder_steps",
    "models._described": "models._task._described",
    "models._direct": "training._step._chain",
    "models._embedding": "models._networks._embedding",
    "models._encoder_network": "models._networks._encoder",
    "models._feeding": "models._data_adapter",
    "models._language_files": "models._language._model",
    "models._language_model": "models._language._model",
    "models._language_network": "models._language._network",
    "models._language_report": "models._language._training",
    "models._language_settings": "models._language._settings",
    "models._language_steps": "models._language._network",
    "models._language_text": "models._task._written_text",
    "models._language_training": "models._language._training",
    "models._language_words": "models._language._words",
    "models._memory": "models._networks._memory",
    "models._note_files": "models._notes._model",
    "models._note_model": "models._notes._model",
    "models._note_network": "models._notes._network",
    "models._note_pieces": "models._notes._pieces",
    "models._note_report": "models._notes._training",
    "models._note_sampling": "models._notes._sampling",
    "models._note_settings": "models._notes._settings",
    "models._note_steps": "models._notes._network",
    "models._note_training": "models._notes._training",
    "models._pair_batches": "models._translator._pair_batches",
    "models._report": "models._classifier._report",
    "models._report_picture": "models._classifier._report_picture",
    "models._report_table": "models._classifier._report_table",
    "models._resumable_training": "training._loop._resumable_training",
    "models._saved": "models._task._system",
    "models._setting_checks": "models._task._settings",
    "models._text_asking": "models._classifier._model",
    "models._text_classifier": "models._classifier._model",
    "models._text_encoding": "models._classifier._encoding",
    "models._text_files": "models._classifier._model",
    "models._text_network": "models._task._cell_choice",
    "models._text_parts": "models._classifier._split",
    "models._text_prediction": "models._classifier._model",
    "models._text_samples": "models._classifier._samples",
    "models._text_settings": "models._classifier._settings",
    "models._text_training": "models._classifier._training",
    "models._translator": "models._translator._model",
    "models._translator_files": "models._translator._model",
    "models._translator_network": "models._translator._network",
    "models._translator_pairs": "models._translator._pairs",
    "models._translator_prepared": "models._translator._prepared_pairs",
    "models._translator_report": "models._translator._training",
    "models._translator_settings": "models._translator._settings",
    "models._translator_training": "models._translator._training",
    "models._translator_writing": "models._translator._writing",
    "models._variational": "models._networks._dropout",
    "nn._configured": "_configured",
    "nn._dtypes": "_dtypes",
    "nn._named": "_named",
    "training._align": "training._data._align",
    "training._batches": "training._data._batches",
    "training._callbacks": "training._callbacks._base",
    "training._fused_adam": "training._step._adam",
    "training._interrupt": "training._loop._interrupt",
    "training._keras_steps": "training._optimizers._keras_steps",
    "training._learning_rates": "training._optimizers._schedule_classes",
    "training._left_out": "training._losses._left_out",
    "training._loop": "training._loop._loop",
    "training._loss_functions": "training._losses._functions",
    "training._loss_gradients": "training._step._losses",
    "training._losses": "training._losses._classes",
    "training._metric_base": "training._metrics._base",
    "training._metric_classes": "training._metrics._classes",
    "training._metric_counts": "training._metrics._counts",
    "training._metrics": "training._metrics._mean_metric",
    "training._one_hot": "training._data._one_hot",
    "training._optimizer_names": "training._optimizers._names",
    "training._optimizers": "training._optimizers._classes",
    "training._ports": "training._data._inputs_outputs",
    "training._progress": "training._loop._progress",
    "training._py_dataset": "training._data._py_dataset",
    "training._random_checks": "training._data._random_checks",
    "training._running": "training._metrics._running_mean",
    "training._saving": "training._callbacks._saving",
    "training._schedules": "training._optimizers._torch_schedules",
    "training._seeds": "training._data._seeds",
    "training._several": "training._multi_output",
    "training._state": "training._loop._checkpoint",
    "training._state_checks": "training._loop._checkpoint_checks",
    "training._step": "training._step._step",
    "training._tensors": "training._data._tensors",
    "training._threads": "training._data._threads",
    "training._torchmetrics": "training._metrics._torchmetrics",
    "training._watching": "training._callbacks._monitoring",
}


def names_that_stood_here(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package named like a module that moved into it."""

    def load(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # `from package import module` asks here first: a module of the package loads nothing else.
        path = vars(sys.modules[package]).get("__path__")
        if path is not None and PathFinder.find_spec(f"{package}.{name}", path) is not None:
            raise AttributeError(name)
        moved = import_module(f"nabi.{OLD_PLACES[package.removeprefix('nabi.')]}")
        try:
            return getattr(moved, name)
        except AttributeError:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package]) from None

    return load


def find_spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module with the names of the one at the new place, None for other modules."""
    if name.removeprefix("nabi.") not in OLD_PLACES:
        return None
    return ModuleSpec(name, _Loader)  # type: ignore[arg-type]


class _Loader:
    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Use the default, an empty module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Make the module look up every name at the new place."""
        module.__getattr__ = names_that_stood_here(module.__name__)  # type: ignore[method-assign]
