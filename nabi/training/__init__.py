"""Training: loops, losses, optimizers, metrics, callbacks, seeds, and their state in files.

Public under the names that Keras users know: `nabi.callbacks`, `nabi.losses`, `nabi.metrics`,
`nabi.optimizers`, `nabi.utils`.
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.training._callbacks._afterwards import (
        Afterwards,
        Announcing,
        time_of,
    )
    from nabi.training._callbacks._base import (
        Callback,
        CallbackList,
        History,
        LambdaCallback,
        TerminateOnNaN,
        as_callbacks,
    )
    from nabi.training._callbacks._csv_logger import (
        CSVLogger,
    )
    from nabi.training._callbacks._json_lines import (
        JSONLines,
    )
    from nabi.training._callbacks._mlflow import (
        MLflow,
    )
    from nabi.training._callbacks._monitoring import (
        EarlyStopping,
        LearningRateScheduler,
        ReduceLROnPlateau,
    )
    from nabi.training._callbacks._saving import (
        BackupAndRestore,
        ModelCheckpoint,
    )
    from nabi.training._callbacks._stopwatch import (
        Stopwatch,
    )
    from nabi.training._callbacks._tensorboard import (
        TensorBoard,
    )
    from nabi.training._compiled import (
        Compiled,
    )
    from nabi.training._data._batches import (
        DEFAULT_BATCH_SIZE,
        ArrayBatches,
        Batches,
        StreamBatches,
        class_weights,
        make_batches,
    )
    from nabi.training._data._inputs_outputs import (
        Part,
        Ports,
        each,
        first_of,
        named,
        row_count,
    )
    from nabi.training._data._one_hot import (
        to_categorical,
    )
    from nabi.training._data._py_dataset import (
        PyDataset,
    )
    from nabi.training._data._random_checks import (
        check_random_state,
    )
    from nabi.training._data._seeds import (
        set_random_seed,
    )
    from nabi.training._data._tensors import (
        resolve_device,
        to_tensor,
    )
    from nabi.training._data._threads import (
        on_threads,
    )
    from nabi.training._finite import (
        check_finite,
    )
    from nabi.training._loop._compiled_file import (
        training_from_file,
        training_to_file,
    )
    from nabi.training._loop._evaluation import (
        evaluate,
        predict,
        predict_batch,
    )
    from nabi.training._loop._loop import (
        fit,
    )
    from nabi.training._loop._progress import (
        duration,
        make_display,
    )
    from nabi.training._loop._resumable_training import (
        BatchCallbacks,
        ResumableTraining,
    )
    from nabi.training._loop._time_limit import (
        TimeLimit,
        as_time_limit,
    )
    from nabi.training._loop._timing import (
        Rounds,
    )
    from nabi.training._losses._functions import (
        attach_logits,
    )
    from nabi.training._own_steps import (
        as_data,
        by_default,
        defines,
    )
    from nabi.training._step._chain import (
        LayerCall,
        Steps,
    )
    from nabi.training._step._step import (
        Step,
        evaluate_by_default,
        start_figures,
    )
    from nabi.training._workers._group import (
        find_workers,
        is_first_worker,
        join_workers,
    )
    from nabi.training._workers._same import (
        have_compared,
        report_failure,
    )
else:
    # A program loads the modules that it uses.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.training._callbacks._afterwards": ["Afterwards", "Announcing", "time_of"],
            "nabi.training._callbacks._base": [
                "Callback",
                "CallbackList",
                "History",
                "LambdaCallback",
                "TerminateOnNaN",
                "as_callbacks",
            ],
            "nabi.training._callbacks._monitoring": [
                "EarlyStopping",
                "LearningRateScheduler",
                "ReduceLROnPlateau",
            ],
            "nabi.training._callbacks._csv_logger": ["CSVLogger"],
            "nabi.training._callbacks._json_lines": ["JSONLines"],
            "nabi.training._callbacks._mlflow": ["MLflow"],
            "nabi.training._callbacks._saving": ["BackupAndRestore", "ModelCheckpoint"],
            "nabi.training._callbacks._stopwatch": ["Stopwatch"],
            "nabi.training._callbacks._tensorboard": ["TensorBoard"],
            "nabi.training._compiled": ["Compiled"],
            "nabi.training._data._batches": [
                "DEFAULT_BATCH_SIZE",
                "ArrayBatches",
                "Batches",
                "StreamBatches",
                "class_weights",
                "make_batches",
            ],
            "nabi.training._data._inputs_outputs": [
                "Part",
                "Ports",
                "each",
                "first_of",
                "named",
                "row_count",
            ],
            "nabi.training._data._one_hot": ["to_categorical"],
            "nabi.training._data._py_dataset": ["PyDataset"],
            "nabi.training._data._random_checks": ["check_random_state"],
            "nabi.training._data._seeds": ["set_random_seed"],
            "nabi.training._finite": ["check_finite"],
            "nabi.training._data._tensors": ["resolve_device", "to_tensor"],
            "nabi.training._data._threads": ["on_threads"],
            "nabi.training._loop._compiled_file": ["training_from_file", "training_to_file"],
            "nabi.training._loop._evaluation": ["evaluate", "predict", "predict_batch"],
            "nabi.training._loop._loop": ["fit"],
            "nabi.training._loop._progress": ["duration", "make_display"],
            "nabi.training._loop._resumable_training": ["BatchCallbacks", "ResumableTraining"],
            "nabi.training._loop._time_limit": ["TimeLimit", "as_time_limit"],
            "nabi.training._loop._timing": ["Rounds"],
            "nabi.training._losses._functions": ["attach_logits"],
            "nabi.training._own_steps": ["as_data", "by_default", "defines"],
            "nabi.training._step._chain": ["LayerCall", "Steps"],
            "nabi.training._step._step": ["Step", "evaluate_by_default", "start_figures"],
            "nabi.training._workers._group": ["find_workers", "is_first_worker", "join_workers"],
            "nabi.training._workers._same": ["have_compared", "report_failure"],
        },
    )

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "Afterwards",
    "Announcing",
    "ArrayBatches",
    "BackupAndRestore",
    "BatchCallbacks",
    "Batches",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "Compiled",
    "EarlyStopping",
    "History",
    "JSONLines",
    "LambdaCallback",
    "LayerCall",
    "LearningRateScheduler",
    "MLflow",
    "ModelCheckpoint",
    "Part",
    "Ports",
    "PyDataset",
    "ReduceLROnPlateau",
    "ResumableTraining",
    "Rounds",
    "Step",
    "Steps",
    "Stopwatch",
    "StreamBatches",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeLimit",
    "as_callbacks",
    "as_data",
    "as_time_limit",
    "attach_logits",
    "by_default",
    "check_finite",
    "check_random_state",
    "class_weights",
    "defines",
    "duration",
    "each",
    "evaluate",
    "evaluate_by_default",
    "find_workers",
    "first_of",
    "fit",
    "have_compared",
    "is_first_worker",
    "join_workers",
    "make_batches",
    "make_display",
    "named",
    "on_threads",
    "predict",
    "predict_batch",
    "report_failure",
    "resolve_device",
    "row_count",
    "set_random_seed",
    "start_figures",
    "time_of",
    "to_categorical",
    "to_tensor",
    "training_from_file",
    "training_to_file",
]
