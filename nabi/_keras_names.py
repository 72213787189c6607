"""Names that Keras has and nabi lacks: for each, what to write instead, or why there is no replacement."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["MODEL", "family_hint", "hint", "nearest"]

_PICTURES = "pictures are prepared in advance: use torchvision.transforms, or nabi.data.fit_images for sizes"
_OWN_LOSS = "write it as a torch function (y_true, y_pred) and pass it to compile as a loss or metric"
_OTHER = "layers of other frameworks can't run here; layers.TorchModuleWrapper takes torch modules"
_INSIDE = "it is internal to Keras; nabi has no equivalent"
_CONSTRAINTS = "constraints on weights are not supported; change the weights in a callback, with set_weights"
_KNOWN = "not needed: layers are found by their class names, and load_model takes functions in custom_objects"
_DIRECTORY = "pass torchvision.datasets.ImageFolder in a torch.utils.data.DataLoader to fit"
_MOVED = "its contents are now in {0} itself, as in: from {0} import {1}"


def _torch(name: str, channels: bool = True) -> str:
    first = "; torch expects the channels on the axis after the batch, see layers.Permute" if channels else ""
    return f"use layers.TorchModuleWrapper(torch.nn.{name}(...)){first}"


def _each(names: str, hint: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), hint)


_ROOT = {
    **_each(
        "DTypePolicy FloatDTypePolicy dtype_policies", "pass dtype='float64' to layers, or use torch.autocast"
    ),
    **_each("Function Operation StatelessScope SymbolicScope name_scope src legacy engine", _INSIDE),
    "KerasTensor": "nabi.Input(shape) returns a symbolic tensor",
    "InputSpec": "not needed: a layer checks the shape of its inputs in build()",
    **_each("Quantizer quantizers", "quantize with torch.ao.quantization"),
    **_each("RematScope remat", "use torch.utils.checkpoint, or recompute= of nabi.nn.RNN"),
    "Variable": "use torch.nn.Parameter, or add_weight in your own layer",
    "Graph": "use nabi.Model(inputs, outputs)",
    "applications": "use trained networks of torchvision.models in layers.TorchModuleWrapper",
    "config": "set the dtype with torch.set_default_dtype, the threads with torch.set_num_threads",
    "constraints": _CONSTRAINTS,
    "device": "use torch.device, or compile(device=...)",
    "distillation": _OWN_LOSS,
    "distribution": "use torch.distributed with the layers of nabi.nn",
    "estimator": "nabi.TextClassifier and similar models learn from raw data",
    "experimental": _INSIDE,
    "export": "use model.export for ONNX, torch.export for a module, or model.save for a nabi file",
    "losses_utils": "use nabi.losses",
    "mixed_precision": "use torch.autocast around the model, or pass dtype='bfloat16' to layers",
    "objectives": "use nabi.losses",
    "ops": "compute with torch: torch.mean, torch.matmul, torch.stack, ...",
    "premade": "use nabi.Sequential",
    "random": "draw with torch: torch.randn, torch.rand, torch.manual_seed",
    "saving": "use nabi.models.load_model and model.save",
    "tree": "use plain lists and dictionaries",
    "version": "it is nabi.__version__",
    "visualization": "use matplotlib, or nabi.explain for recurrent networks",
    "wrappers": "for scikit-learn, wrap the model in a class with fit and predict",
}

_LAYERS = {
    **_each("AdaptiveAveragePooling1D", _torch("AdaptiveAvgPool1d")),
    **_each("AdaptiveAveragePooling2D", _torch("AdaptiveAvgPool2d")),
    **_each("AdaptiveAveragePooling3D", _torch("AdaptiveAvgPool3d")),
    **_each("AdaptiveMaxPooling1D", _torch("AdaptiveMaxPool1d")),
    **_each("AdaptiveMaxPooling2D", _torch("AdaptiveMaxPool2d")),
    **_each("AdaptiveMaxPooling3D", _torch("AdaptiveMaxPool3d")),
    **_each("AveragePooling3D AvgPool3D", _torch("AvgPool3d")),
    **_each("MaxPooling3D MaxPool3D", _torch("MaxPool3d")),
    **_each("GlobalAveragePooling3D GlobalAvgPool3D", "use layers.Lambda(lambda x: x.mean((1, 2, 3)))"),
    **_each("GlobalMaxPooling3D GlobalMaxPool3D", "use layers.Lambda(lambda x: x.amax((1, 2, 3)))"),
    **_each("Conv1DTranspose Convolution1DTranspose", _torch("ConvTranspose1d")),
    **_each("Conv2DTranspose Convolution2DTranspose Deconvolution2D", _torch("ConvTranspose2d")),
    **_each("Conv3DTranspose Convolution3DTranspose Deconvolution3D", _torch("ConvTranspose3d")),
    **_each("Conv3D Convolution3D", _torch("Conv3d")),
    **_each(
        "DepthwiseConv1D SeparableConv1D SeparableConvolution1D",
        "use layers.TorchModuleWrapper around torch.nn.Conv1d with groups=",
    ),
    **_each(
        "DepthwiseConv2D SeparableConv2D SeparableConvolution2D",
        "use layers.TorchModuleWrapper around torch.nn.Conv2d with groups=",
    ),
    **_each("AtrousConvolution1D", "use layers.Conv1D(dilation_rate=...)"),
    **_each("AtrousConvolution2D", "use layers.Conv2D(dilation_rate=...)"),
    **_each("LocallyConnected1D LocallyConnected2D", "write your own layer with torch.einsum in call()"),
    **_each(
        "ConvLSTM2DCell ConvRecurrent2D ConvRNN2D",
        "use layers.ConvLSTM2D, or layers.ConvLSTMCell(rank=2, ...) for a single step",
    ),
    **_each("Cropping1D Cropping2D Cropping3D", "use layers.Lambda(lambda x: x[:, 1:-1])"),
    **_each(
        "ZeroPadding1D ZeroPadding2D ZeroPadding3D",
        "use layers.Lambda with torch.nn.functional.pad, or padding='same' of the convolution",
    ),
    **_each(
        "UpSampling1D UpSampling2D UpSampling3D", "use layers.Lambda(lambda x: x.repeat_interleave(2, 1))"
    ),
    "SpatialDropout2D": "use layers.Dropout(rate, noise_shape=(None, 1, 1, None))",
    "SpatialDropout3D": "use layers.Dropout(rate, noise_shape=(None, 1, 1, 1, None))",
    "AlphaDropout": _torch("AlphaDropout", channels=False),
    "CategoryEncoding": "use nabi.utils.to_categorical on the data",
    "Discretization": "use numpy.digitize on the data",
    **_each("Hashing HashedCrossing", "use nabi.data.Vocabulary, which gives every word its own code"),
    **_each("IntegerLookup StringLookup TextVectorization", "use nabi.data.Vocabulary on the data"),
    "Normalization": "scale the data: (x - x.mean(0)) / x.std(0); layers.BatchNormalization does it inside",
    "Rescaling": "scale the data, x / 255, or use layers.Lambda(lambda x: x / 255)",
    **_each(
        "AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix "
        "Equalization MixUp "
        "RandAugment Resizing Solarization MaxNumBoundingBoxes Pipeline",
        _PICTURES,
    ),
    "DenseFeatures": "make arrays of the features, and join inputs with layers.Concatenate",
    "EinsumDense": "write your own layer with torch.einsum in call()",
    "GroupNormalization": _torch("GroupNorm"),
    "SpectralNormalization": "use torch.nn.utils.parametrizations.spectral_norm on the weights of a module",
    **_each(
        "MultiHeadAttention GroupQueryAttention",
        "use layers.Attention or layers.AdditiveAttention, or torch.nn.MultiheadAttention in your own layer",
    ),
    **_each("FlaxLayer JaxLayer TFSMLayer", _OTHER),
    **_each("MelSpectrogram STFTSpectrogram", "compute it in advance with torch.stft"),
    "InputSpec": "not needed: a layer checks the shape of its inputs in build()",
    "ReversibleEmbedding": "use layers.Embedding, and layers.Dense at the end",
    "AbstractRNNCell": "write the equations of a cell with nabi.cells, or a layer with call(inputs, states)",
    **_each("PeepholeLSTMCell", "use layers.RNN(nabi.cells.PeepholeLSTM(units))"),
    **_each("ThresholdedReLU", "use layers.ReLU(threshold=...)"),
    **_each("Merge merge", "use layers.Add, layers.Concatenate, layers.Multiply or similar"),
    **_each("TimeDistributedDense", "use layers.Dense, which works at every step of a sequence"),
    **_each("Highway MaxoutDense RandomFourierFeatures", "write your own layer that does it in its call()"),
    **_each("preprocessing experimental", "prepare data in advance, with nabi.data and nabi.preprocessing"),
    **_each(
        "recurrent core embeddings convolutional pooling normalization merging wrappers "
        "advanced_activations noise "
        "local attention cudnn_recurrent convolutional_recurrent rnn regularization activation reshaping",
        _MOVED.format("nabi.layers", "LSTM"),
    ),
}

_CALLBACKS = {
    "CallbackList": "pass a list of callbacks to fit",
    **_each("ProgbarLogger BaseLogger", "fit(verbose=1) shows a bar, fit(verbose=2) a line per epoch"),
    "RemoteMonitor": "use callbacks.MLflow, or callbacks.LambdaCallback(on_epoch_end=...) to send the logs",
    "SwapEMAWeights": "use torch.optim.swa_utils in a callback",
    "OrbaxCheckpoint": "use callbacks.ModelCheckpoint or callbacks.BackupAndRestore",
}

_LOSSES = {
    **_each(
        "BinaryFocalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy "
        "CategoricalHinge "
        "Circle Dice SquaredHinge Tversky binary_focal_crossentropy categorical_focal_crossentropy "
        "categorical_generalized_cross_entropy categorical_hinge circle dice squared_hinge tversky",
        _OWN_LOSS,
    ),
    **_each("CTC ctc", "use torch.nn.functional.ctc_loss in your own function (y_true, y_pred)"),
    **_each("MSE", "use losses.mse"),
    **_each("MAE", "use losses.mae"),
    **_each("MAPE mape", "use losses.mean_absolute_percentage_error"),
    **_each("MSLE msle", "use losses.mean_squared_logarithmic_error"),
    **_each("KLD kld kullback_leibler_divergence KLDivergenceLoss", "use losses.kl_divergence"),
    **_each("logcosh", "use losses.log_cosh"),
    **_each("cosine cosine_proximity CosineProximity", "use losses.cosine_similarity"),
    **_each("bce BCE", "use losses.binary_crossentropy"),
    "Reduction": "pass reduction='sum', 'none' or 'sum_over_batch_size' to the loss",
    "LossFunctionWrapper": "pass the function itself to compile",
}

_METRICS = {
    **{name: text for name, text in _LOSSES.items() if name not in ("CTC", "ctc", "Reduction")},
    **_each(
        "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
        "pass torchmetrics.JaccardIndex to compile(metrics=[...])",
    ),
    **_each(
        "ConcordanceCorrelation concordance_correlation",
        "pass torchmetrics.ConcordanceCorrCoef to compile(metrics=[...])",
    ),
    **_each(
        "PearsonCorrelation pearson_correlation",
        "pass torchmetrics.PearsonCorrCoef to compile(metrics=[...])",
    ),
    "R2Score": "pass torchmetrics.R2Score to compile(metrics=[...])",
    "PrecisionAtRecall": "use torchmetrics.classification.BinaryPrecisionAtFixedRecall",
    "RecallAtPrecision": "use torchmetrics.classification.BinaryRecallAtFixedPrecision",
    "SensitivityAtSpecificity": "use torchmetrics.classification.BinarySensitivityAtSpecificity",
    "SpecificityAtSensitivity": "use torchmetrics.classification.BinarySpecificityAtSensitivity",
    **_each("MeanRelativeError MeanTensor SumOverBatchSize", "use metrics.Mean or metrics.MeanMetricWrapper"),
    **_each("accuracy", "use metrics.Accuracy"),
}

_OPTIMIZERS = {
    "Adafactor": "pass torch.optim.Adafactor to compile",
    "Muon": "pass torch.optim.Muon to compile",
    **_each(
        "Ftrl Lamb Lion ScheduleFreeAdamW",
        "compile takes any torch optimizer, also from other packages",
    ),
    "LossScaleOptimizer": "use torch.amp.GradScaler in your own loop",
    **_each(
        "MultiOptimizer OptimizerMap",
        "pass compile a function of the weights that creates a torch.optim optimizer with groups of weights",
    ),
    **_each("legacy experimental", "use nabi.optimizers itself, as in: from nabi.optimizers import Adam"),
    **_each("TFOptimizer", "pass an optimizer of torch.optim to compile"),
    **_each("learning_rate_schedule", "use nabi.optimizers.schedules"),
}

_REGULARIZERS = {
    **_each(
        "OrthogonalRegularizer orthogonal_regularizer",
        "write a subclass of regularizers.Regularizer that does it in __call__",
    ),
    **_each("l1l2 WeightRegularizer", "use regularizers.l1_l2 or regularizers.L1L2"),
    **_each("activity_l1", "use regularizers.l1 as activity_regularizer"),
    **_each("activity_l2", "use regularizers.l2 as activity_regularizer"),
}

_INITIALIZERS = {
    **_each(
        "STFT STFTInitializer stft", "compute the weights with torch.stft and pass initializers.Constant"
    ),
    **_each("normal", "use initializers.RandomNormal"),
    **_each("uniform", "use initializers.RandomUniform"),
    **_each("one", "use initializers.Ones"),
    **_each("zero", "use initializers.Zeros"),
}

_ACTIVATIONS = {
    "hard_silu": "use torch.nn.functional.hardswish as activation",
    "hard_swish": "use torch.nn.functional.hardswish as activation",
    "hard_shrink": "use torch.nn.functional.hardshrink as activation",
    "hard_tanh": "use torch.nn.functional.hardtanh as activation",
    "log_sigmoid": "use torch.nn.functional.logsigmoid as activation",
    "soft_shrink": "use torch.nn.functional.softshrink as activation",
    "tanh_shrink": "use torch.nn.functional.tanhshrink as activation",
    **{name: f"use torch.nn.functional.{name} as activation" for name in ("celu", "glu", "mish")},
    **_each(
        "sparse_plus sparse_sigmoid sparsemax squareplus threshold",
        "write it as a function of a tensor and pass it to layers as activation",
    ),
}

_UTILS = {
    **_each(
        "CustomObjectScope custom_object_scope get_custom_objects get_registered_name get_registered_object "
        "register_keras_serializable",
        _KNOWN,
    ),
    **_each("deserialize_keras_object", "use nabi.layers.deserialize"),
    **_each("serialize_keras_object", "use nabi.layers.serialize"),
    **_each("array_to_img save_img", "use PIL.Image, or matplotlib"),
    **_each("img_to_array load_img", "use nabi.data.read_image"),
    **_each("image_dataset_from_directory", _DIRECTORY),
    **_each("audio_dataset_from_directory", "make arrays of the sounds and pass them to fit"),
    **_each("text_dataset_from_directory", "use nabi.data.read_table, and nabi.data.Vocabulary"),
    "bounding_boxes": _PICTURES,
    "FeatureSpace": "make arrays of the features, with numpy or pandas",
    "Config": "use a dictionary",
    "Progbar": "use rich.progress; fit(verbose=1) shows its own bar",
    **_each(
        "disable_interactive_logging enable_interactive_logging is_interactive_logging_enabled",
        "fit(verbose=0) shows nothing, fit(verbose=2) a line per epoch",
    ),
    "get_file": "use nabi.datasets, or urllib.request.urlretrieve",
    **_each("get_source_inputs is_keras_tensor", "model.inputs are the symbolic inputs of a model"),
    **_each("model_to_dot plot_model", "use model.summary(), which shows the inputs of each layer"),
    **_each("print_summary", "use model.summary()"),
    "normalize": "use x / numpy.linalg.norm(x, axis=-1, keepdims=True)",
    **_each("pack_x_y_sample_weight unpack_x_y_sample_weight", "use plain tuples: (x, y, sample_weight)"),
    "split_dataset": "use fit(validation_split=...), or torch.utils.data.random_split",
    "standardize_dtype": "use str(tensor.dtype)",
    **_each("legacy", _INSIDE),
    "to_ordinal": "use numpy.arange(classes - 1) < labels[:, None]",
    **_each("multi_gpu_model", "use torch.nn.parallel.DistributedDataParallel with the layers of nabi.nn"),
    **_each("HDF5Matrix", "open the file with h5py and pass a utils.PyDataset to fit"),
    **_each(
        "OrderedEnqueuer GeneratorEnqueuer SequenceEnqueuer",
        "pass a torch.utils.data.DataLoader with num_workers= to fit",
    ),
    **_each("probas_to_classes", "use model.predict_classes(x)"),
    **_each(
        "generic_utils layer_utils data_utils vis_utils io_utils conv_utils tf_utils losses_utils "
        "metrics_utils "
        "model_utils python_utils",
        _MOVED.format("nabi.utils", "to_categorical"),
    ),
}

_MODELS = {
    "model_from_yaml": "use nabi.models.model_from_json",
    "Graph": "use nabi.Model(inputs, outputs)",
    "load_weights": "use model.load_weights(path)",
    "cloning": "use nabi.models.clone_model",
}

_IMAGE = {
    **_each("array_to_img save_img", "use PIL.Image, or matplotlib"),
    **_each("img_to_array load_img", "use nabi.data.read_image"),
    "smart_resize": "use nabi.data.fit_images",
}

# Attributes of Keras models, past and present.
MODEL = {
    "add_loss": "call add_loss inside the call() of a layer",
    **_each("add_metric", "pass metrics=[...] to compile"),
    **_each("fit_generator", "use fit(generator, steps_per_epoch=...)"),
    **_each("evaluate_generator", "use evaluate(generator, steps=...)"),
    **_each("predict_generator", "use predict(generator, steps=...)"),
    **_each("predict_proba", "use predict"),
    **_each("to_yaml", "use to_json"),
    **_each(
        "quantize quantization_mode quantized_build quantized_call get_quantization_layer_structure",
        "quantize with torch.ao.quantization",
    ),
    **_each("run_eagerly", "not needed: call() always runs eagerly"),
    **_each("jit_compile", "use torch.compile on a module of nabi.nn; cells are compiled automatically"),
    **_each(
        "make_train_function make_test_function make_predict_function train_function test_function "
        "predict_function",
        _INSIDE,
    ),
    **_each(
        "get_compile_config compile_from_config get_build_config build_from_config",
        "model.save stores how a model was compiled, and nabi.models.load_model restores it",
    ),
    **_each(
        "stateless_call stateless_compute_loss get_state_tree set_state_tree symbolic_call",
        "use torch.func.functional_call",
    ),
    **_each("metrics_variables", "model.metrics are the metrics, with their variables"),
    **_each("get_metrics_result", "model.history.history has the metrics of the last fit"),
    **_each("dtype_policy compute_dtype variable_dtype input_dtype", "use dtype"),
    **_each("input_spec", "use input_shape"),
    **_each("save_own_variables load_own_variables", "use save_weights and load_weights"),
    **_each("add_variable", "use add_weight"),
    **_each("torch_params path rematerialized_call compute_output_spec", _INSIDE),
    **_each("get_input_at get_output_at inbound_nodes outbound_nodes", "use input and output"),
    **_each("get_input_shape_at get_output_shape_at", "use input_shape and output_shape"),
    **_each("state_updates updates", _INSIDE),
    **_each("uses_learning_phase", "use training"),
}

_HINTS = {
    "nabi": _ROOT,
    "nabi.activations": _ACTIVATIONS,
    "nabi.callbacks": _CALLBACKS,
    "nabi.initializers": _INITIALIZERS,
    "nabi.layers": _LAYERS,
    "nabi.losses": _LOSSES,
    "nabi.metrics": _METRICS,
    "nabi.models": _MODELS,
    "nabi.optimizers": _OPTIMIZERS,
    "nabi.preprocessing": {
        "image": _PICTURES,
        **{name: text for name, text in _UTILS.items() if name.endswith("_from_directory")},
    },
    "nabi.preprocessing.image": _IMAGE,
    "nabi.preprocessing.sequence": {
        **_each("skipgrams make_sampling_table", "write it with numpy, or train layers.Embedding in a model"),
        **_each("TimeSeriesGenerator", "use TimeseriesGenerator"),
    },
    "nabi.preprocessing.text": {
        **_each("one_hot hashing_trick", "use Tokenizer, which gives every word its own number"),
    },
    "nabi.regularizers": _REGULARIZERS,
    "nabi.utils": _UTILS,
}
# Families of names that share a hint.
_FAMILIES = [
    ("nabi.layers", r"Random[A-Z]\w*", _PICTURES),
    (
        "nabi.datasets",
        r"mnist|fashion_mnist|cifar|cifar10|cifar100",
        "use torchvision.datasets; nabi.datasets has texts, music and pictures with captions",
    ),
    (
        "nabi.datasets",
        r"boston_housing|california_housing",
        "use sklearn.datasets; nabi.datasets has texts, music and pictures with captions",
    ),
    (
        "nabi.backend",
        r"[a-z]\w*",
        "compute with torch (torch.mean, torch.sqrt, ...) and set the dtype with torch.set_default_dtype",
    ),
    ("nabi.constraints", r"\w+", _CONSTRAINTS),
    ("nabi.preprocessing.image", r"\w+", _PICTURES),
]


def hint(module: str, name: str) -> str | None:
    """Return what to write instead of a name in Keras' module of that name; None for others.

    >>> hint("nabi.models", "model_from_yaml")
    'use nabi.models.model_from_json'
    """
    return _HINTS.get(_own_name(module), {}).get(name)


def family_hint(module: str, name: str) -> str | None:
    """Return what to write instead of a family of names, such as all layers for random image augmentation.

    >>> family_hint("nabi.layers", "RandomCrop").split(":")[0]
    'pictures are prepared in advance'
    """
    own_name = _own_name(module)
    for place, names, text in _FAMILIES:
        if place == own_name and re.fullmatch(names, name):
            return text
    return None


def _own_name(module: str) -> str:
    """Return `nabi.layers` for `nabi.keras.layers` as well."""
    return re.sub(r"^nabi(\.tf1)?\.keras\b", "nabi", module)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that was probably meant; None if none is similar.

    >>> nearest("Lstm", ["GRU", "LSTM", "LSTMCell"]), nearest("xyz", ["LSTM"])
    ('LSTM', None)
    """
    by_small = {one.lower().replace("_", ""): one for one in known}
    typed = name.lower().replace("_", "")
    if typed in by_small:
        return by_small[typed]
    found = get_close_matches(typed, by_small, n=1, cutoff=0.75)
    return by_small[found[0]] if found else None
