"""Training: loops, losses, optimizers, metrics, callbacks, seeds, and their state in files.

Public under the names that Keras users know: `nabi.callbacks`, `nabi.losses`, `nabi.metrics`,
`nabi.optimizers`, `nabi.utils`.
"""

from nabi.training._callbacks._base import (
    Callback,
    CallbackList,
    History,
    LambdaCallback,
    TerminateOnNaN,
    as_callbacks,
)
from nabi.training._callbacks._monitoring import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from nabi.training._callbacks._saving import BackupAndRestore, CSVLogger, ModelCheckpoint
from nabi.training._compiled import Compiled
from nabi.training._data._batches import (
    ArrayBatches,
    Batches,
    StreamBatches,
    class_weights,
    make_batches,
)
from nabi.training._data._inputs_outputs import Part, Ports, each, first_of, named, row_count
from nabi.training._data._one_hot import to_categorical
from nabi.training._data._py_dataset import PyDataset
from nabi.training._data._seeds import set_random_seed
from nabi.training._data._tensors import resolve_device, to_tensor
from nabi.training._data._threads import on_threads
from nabi.training._loop._checkpoint import training_from_file, training_to_file
from nabi.training._loop._checkpoint_checks import check_optimizer_state
from nabi.training._loop._loop import evaluate, fit, predict
from nabi.training._loop._progress import make_display
from nabi.training._loop._random_checks import check_random_state
from nabi.training._loop._resumable_training import Hearing, ResumableTraining
from nabi.training._losses._functions import attach_logits
from nabi.training._own_steps import as_data, by_default, defines
from nabi.training._step._model_passes import Chain, make_chain
from nabi.training._step._step import DirectModel, Step, evaluate_by_default, start_figures

__all__ = [
    "ArrayBatches",
    "BackupAndRestore",
    "Batches",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "Chain",
    "Compiled",
    "DirectModel",
    "EarlyStopping",
    "Hearing",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Part",
    "Ports",
    "PyDataset",
    "ReduceLROnPlateau",
    "ResumableTraining",
    "Step",
    "StreamBatches",
    "TerminateOnNaN",
    "as_callbacks",
    "as_data",
    "attach_logits",
    "by_default",
    "check_optimizer_state",
    "check_random_state",
    "class_weights",
    "defines",
    "each",
    "evaluate",
    "evaluate_by_default",
    "first_of",
    "fit",
    "make_batches",
    "make_chain",
    "make_display",
    "named",
    "on_threads",
    "predict",
    "resolve_device",
    "row_count",
    "set_random_seed",
    "start_figures",
    "to_categorical",
    "to_tensor",
    "training_from_file",
    "training_to_file",
]
