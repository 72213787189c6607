"""compile, fit, evaluate, predict: training and evaluation of models."""

from collections.abc import Callable, Mapping
from operator import attrgetter, is_
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks, training
from nabi._public import public
from nabi.errors import ArgumentError, NotReadyError
from nabi.layers import Layer, check_can_train, collecting_losses
from nabi.models._data_adapter import DataAdapter, adjusted, split, weigh_classes
from nabi.training import ArrayBatches, Batches, Compiled, History, Part, Ports, each, first_of

__all__ = ["Fitting"]

# Methods that decide what a step of training does; a model that has its own is trained through them.
_DECIDING = ("__call__", "forward", "call", "training_outputs", "regularization_loss", "_forward")
_deciding = attrgetter(*_DECIDING)


class Fitting(Layer):
    """A layer that can be trained on data; see `Model`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device: torch.device | None = None
        self.stop_training = False
        # The last epoch completed by fit, in its numbering.
        self.completed_epoch = 0
        self.history: History | None = None
        self._compiled: Compiled | None = None
        self._input: tuple[list[int | None], str] | None = None
        self._has_penalties = True

    # Data -------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """The device of the weights, also before they exist."""
        weight = _first_weight(self)
        if weight is not None:
            return weight.device
        return self._device or torch.get_default_device()

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs; empty unless the model is functional."""
        return []

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs; empty unless the model is functional."""
        return []

    @property
    def fixed_batch_size(self) -> int | None:
        """The number of samples that every batch must have, or None."""
        return None if self.declared_input_shape is None else self.declared_input_shape[0]

    def adjust_input(self, x: Part) -> Part:
        """Return inputs in the model's declared shape; a last axis of length 1 may be missing."""
        wanted = self.declared_input_shape
        return x if wanted is None else each(lambda one: adjusted(one, wanted, "x", self.name), x)

    @property
    def _data_adapter(self) -> DataAdapter:
        names = Ports(tuple(self.input_names), tuple(self.output_names))
        return DataAdapter(self.dtype, self.device, names, self.adjust_input, self.fixed_batch_size)

    # Compiling --------------------------------------------------------------------------------------------

    @public
    def compile(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        metrics: object = None,
        loss_weights: object = None,
        *,
        weighted_metrics: object = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        schedule_every: str = "epoch",
        device: str | torch.device | None = None,
    ) -> None:
        """Configure the model for training.

        Args:
            optimizer: a name ("adam"), an object of `nabi.optimizers`, a class of `torch.optim`, a
                function of the weights that creates a `torch.optim` optimizer, or such an optimizer.
            loss: a name ("mse"), a function `(y_true, y_pred)`, an object of `nabi.losses` or a torch loss. A
                model with its own `train_step` or `compute_loss` needs none.
            metrics: names ("accuracy"), functions `(y_true, y_pred)`, or objects of torchmetrics.
            weighted_metrics: further metrics, which use sample weights and class weights.
            loss_weights: factors of the losses of the outputs in their sum.
            clipnorm: maximum norm of each weight's gradient.
            clipvalue: maximum absolute value of each gradient element.
            schedule: a function of the torch optimizer that makes a schedule of `torch.optim.lr_scheduler`.
            schedule_every: whether the schedule advances every "epoch" or every "batch".
            device: where the model runs (default: the device of its weights).

        For a functional model with several outputs, pass losses, weights and metrics as lists in the order of
        the outputs, or as dictionaries by their names; a single loss applies to all outputs.

        Raises:
            UnknownNameError: for an unknown name; the message suggests the nearest known one.
            ArgumentError: for anything else that cannot be used, or a device that is not there.
        """
        place = None if device is None else training.resolve_device(device)
        self._compiled = Compiled(
            optimizer,
            loss,
            metrics,
            weighted_metrics=weighted_metrics,
            loss_weights=loss_weights,
            outputs=self.output_names,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            schedule=schedule,
            schedule_every=schedule_every,
            needs_loss=not any(map(self._defines, ("train_step", "compute_loss"))),
        )
        if place is not None:
            self._place(place)

    @property
    def compiled(self) -> Compiled:
        """The arguments of `compile` and the state of training.

        Raises:
            NotReadyError: if the model is not compiled.
        """
        if self._compiled is None:
            raise NotReadyError(f"{self.name}: not compiled; call compile(optimizer, loss) first")
        return self._compiled

    @property
    def optimizer(self) -> Any:
        """The optimizer, with its `learning_rate`; None before `compile`."""
        return None if self._compiled is None else self._compiled.optimizer

    @property
    def loss(self) -> Any:
        """The loss; None before `compile`."""
        return None if self._compiled is None else self._compiled.loss

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `evaluate` returns, `["loss", "accuracy"]`; empty before `compile`."""
        return [] if self._compiled is None else self._compiled.metrics_names

    # Training ---------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        device: str | torch.device | None = None,
        minutes: float | None = None,
    ) -> History:
        """Train the model.

        Args:
            x: inputs `[samples, ...]` as array, tensor or list; or a DataLoader, a torch data set, or a
                generator of `(x, y)` or `(x, y, sample_weight)`.
            y: targets, as many as inputs. Several inputs or outputs are a list or a dictionary by name.
            batch_size: samples per step (default: from `batch_input_shape`, or 32).
            epochs: number of the last epoch.
            verbose: 0 for nothing, 1 or "auto" for a bar on a terminal, 2 for a line per epoch.
            callbacks: objects of `nabi.callbacks`.
            validation_split: share of the samples, from the end, used for validation if there is no
                `validation_data`.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or a DataLoader.
            shuffle: whether to shuffle the samples in every epoch.
            class_weight: weight of the samples of each class.
            sample_weight: weight of each sample, or of each step.
            initial_epoch: number of epochs already trained, to resume a run.
            steps_per_epoch: batches per epoch; required for infinite generators.
            validation_steps: batches used for validation.
            validation_batch_size: samples per validation step.
            validation_freq: epochs between two validations.
            device: where to train, as in `compile`.
            minutes: the time that training may take, None for all that it needs: it ends by the clock, after
                a last validation, if that comes before the last epoch. Not in Keras.

        Returns:
            The history: `fit(...).history["loss"]` has a number for each epoch; also available as
            `model.history`.

        Raises:
            ArgumentError, ShapeError: for invalid data or arguments.
            NotFiniteError: if the loss becomes NaN or infinite; the weights are those before that batch.
            KeyboardInterrupt: on Ctrl-C, after the batch is finished; model and history are kept.
        """
        limit = training.as_time_limit(minutes)
        compiled = self.compiled
        check_can_train("fit", self)
        self._check_counts(epochs, initial_epoch, validation_split, validation_freq)
        shuffle = _checks.flag("shuffle", shuffle)
        if validation_batch_size is not None:
            validation_batch_size = _checks.whole("validation_batch_size", validation_batch_size)
        if validation_steps is not None:
            validation_steps = _checks.whole("validation_steps", validation_steps, floats=True)
        for argument, value in (
            ("validation_steps", validation_steps), ("validation_batch_size", validation_batch_size)
        ):  # fmt: skip
            if value is not None and validation_data is None and not validation_split:
                raise ArgumentError(
                    f"{argument}: expected validation_data or validation_split with it, "
                    f"got {value!r} without either"
                )
        heard = training.as_callbacks(callbacks)
        if device is not None:
            self._place(training.resolve_device(device))
        held_out: Batches | None = None
        adapter = self._data_adapter
        compiled.continue_random_state(adapter.device)
        generator = compiled.shuffling() if shuffle else None
        batches = adapter.batches(x, y, sample_weight, batch_size, steps_per_epoch, generator=generator)
        if isinstance(batches, ArrayBatches):
            self._prepare(batches.x)
        if class_weight is not None:
            weigh_classes(batches, class_weight, compiled.sparse, self._width())
        if validation_data is not None:
            made_by_others = not isinstance(validation_data, list | tuple)
            if made_by_others and validation_batch_size is not None:
                raise ArgumentError(
                    "validation_batch_size: expected None; validation_data has its own batches"
                )
            size = batch_size if validation_batch_size is None else validation_batch_size
            held_out = adapter.validation(validation_data, size, validation_steps)
        elif validation_split:
            batches, held_out = split(batches, validation_split, validation_batch_size, validation_steps)
        return training.fit(
            self,
            compiled,
            batches,
            prepare=None if isinstance(batches, ArrayBatches) else self._prepare,
            epochs=epochs,
            initial_epoch=initial_epoch,
            verbose=verbose,
            callbacks=heard,
            validation=held_out,
            validation_every=validation_freq,
            limit=limit,
        )

    @public
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train on one batch; return its loss, or `[loss, metrics...]`.

        Raises as `fit`, except that a non-finite loss is returned, without a change of the weights.
        """
        compiled = self.compiled
        check_can_train("train_on_batch", self)
        compiled.continue_random_state(self.device)
        batches = self._data_adapter.whole(x, y, sample_weight)
        self._prepare(batches.x)
        if class_weight is not None:
            weigh_classes(batches, class_weight, compiled.sparse, self._width())
        training.start_figures(self, compiled)
        self.train(True)
        try:
            training.Step(self, compiled).train((batches.x, batches.y, batches.weights))
        finally:
            self.train(False)
        return _figures(compiled.figures(), return_dict)

    @public
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss, or `[loss, metrics...]`, on one batch."""
        compiled = self.compiled
        return _figures(
            training.evaluate(self, compiled, self._data_adapter.whole(x, y, sample_weight)), return_dict
        )

    @public
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = 0,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or `[loss, metrics...]`, on data as for `fit`; a dictionary if `return_dict`."""
        compiled = self.compiled
        batches = self._data_adapter.batches(x, y, sample_weight, batch_size, steps)
        heard = training.as_callbacks(callbacks)
        return _figures(
            training.evaluate(self, compiled, batches, verbose=verbose, callbacks=heard), return_dict
        )

    @public
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs for inputs as for `fit`, as a numpy array `[samples, ...]`."""
        if callbacks is None and steps is None and _shows_nothing(verbose):
            found = self._predict_again(x) if batch_size is None else None
            if found is not None:
                return found
            batch = self._only_batch(x, batch_size)
            if batch is not None:
                return training.predict_batch(self, self._predicting(), batch)
        batches = self._data_adapter.batches(x, batch_size=batch_size, steps=steps)
        heard = training.as_callbacks(callbacks)
        return training.predict(self, self._predicting(), batches, verbose=verbose, callbacks=heard)

    @public
    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch, as a numpy array."""
        batch = self._only_batch(x, len(x)) if isinstance(x, np.ndarray) and x.ndim else None
        if batch is not None:
            return training.predict_batch(self, self._predicting(), batch)
        return training.predict(self, self._predicting(), self._data_adapter.whole(x))

    def _only_batch(self, x: Any, batch_size: int | None) -> Tensor | None:
        """Return an array as the only batch that it makes; None if there is more to it."""
        if type(x) is not np.ndarray or not x.ndim or len(self.input_names) > 1:
            return None
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            return None  # refused there
        wanted = self.declared_input_shape
        fixed = None if wanted is None else wanted[0]
        size = batch_size or fixed or training.DEFAULT_BATCH_SIZE
        if not 0 < len(x) <= size or (fixed is not None and not len(x) == size == fixed):
            return None
        found = training.to_tensor("x", x, self.dtype, self.device)
        return found if wanted is None else adjusted(found, wanted, "x", self.name)

    def _predict_again(self, x: Any) -> Any:
        """Return the outputs for an array like an earlier one where all is as it was; else None."""
        return None

    def _predicting(self) -> Callable[[Any], Any]:
        if not self._defines("predict_step"):
            return self._forward
        return lambda x: self.predict_step(training.as_data((x, None, None)))

    @public
    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int | str = 0) -> Any:
        """Return the class with the largest output; for a single output, 1 above 0.5. Not in Keras 3."""
        outputs = self.predict(x, batch_size, verbose)
        return (outputs > 0.5).astype(np.int64) if outputs.shape[-1] == 1 else outputs.argmax(-1)

    # Steps, which a subclass may override -------------------------------------------------------------------

    def _defines(self, name: str) -> bool:
        return training.defines(self, name)

    @training.by_default
    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch; a subclass may override it.

        Args:
            data: `(x, y)` or `(x, y, sample_weight)` in tensors; `(x,)` without targets. Several inputs or
                outputs are in lists.

        Returns:
            The values by name; those of the last batch are the values of the epoch.

        >>> import torch
        >>> from nabi import layers, models
        >>> class Own(models.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.readout = layers.Dense(1)
        ...     def call(self, inputs):
        ...         return self.readout(inputs)
        ...     def train_step(self, data):
        ...         x, y = data
        ...         self.zero_grad()
        ...         loss = self.compute_loss(x, y, self(x, training=True))
        ...         loss.backward()
        ...         weights = self.trainable_weights
        ...         self.optimizer.apply([weight.grad for weight in weights], weights)
        ...         return {"loss": loss, "largest": max(weight.abs().max() for weight in weights)}
        >>> model = Own()
        >>> model.compile("sgd", "mse")
        >>> list(model.fit([[0.0], [1.0]], [[0.0], [2.0]], verbose=0).history)
        ['loss', 'largest']
        """
        training.Step(self, self.compiled).by_default(self._batch_of(data))
        return self.compiled.measured()

    @training.by_default
    def test_step(self, data: Any) -> dict[str, Any]:
        """Return the values of one batch, like `train_step`; called without gradients by `evaluate`."""
        training.evaluate_by_default(self, self.compiled, self._batch_of(data))
        return self.compiled.measured()

    @training.by_default
    def predict_step(self, data: Any) -> Any:
        """Return the outputs for `(x,)`; called without gradients by `predict`."""
        x = data[0] if isinstance(data, tuple) else data
        return self._forward(tuple(x) if isinstance(x, list) else x)

    @training.by_default
    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of a batch with all penalties, as one number; a subclass may override it.

        Args:
            x: the inputs.
            y: the targets.
            y_pred: the outputs of the model for `x`.
            sample_weight: weight of each sample, or of each step.
            training: whether this is a training step.
        """
        loss = self.compiled.loss(y, y_pred, sample_weight)
        penalty = self.regularization_loss()
        loss = loss if penalty is None else loss + penalty
        if not self._defines("compute_loss") and any(map(self._defines, ("train_step", "test_step"))):
            self.compiled.mean_loss.add(loss.detach(), len(first_of(y_pred)))
        return loss

    @training.by_default
    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the metrics of `compile` with a batch; return their values so far, by name."""
        with torch.no_grad():
            self.compiled.measure(y, y_pred, sample_weight)
        return self.compiled.measured()

    def _batch_of(self, data: Any) -> Any:
        parts = data if isinstance(data, tuple) else (data,)
        made = self._data_adapter.whole(*(*parts, None, None)[:3])
        return made.x, made.y, made.weights

    def reset_metrics(self) -> None:
        """Reset the loss and the metrics."""
        if self._compiled is not None:
            self._compiled.reset_figures()

    # Used by the training loop ----------------------------------------------------------------------------

    def training_outputs(self, x: Any, logits_of: Any) -> Any:
        """Return the outputs of a batch, with logits attached if they are the requested activation."""
        outputs = self._collected(lambda: self._forward(x))
        if not isinstance(outputs, Tensor):
            raise ArgumentError(
                f"{self.name}: expected one tensor as output for training, got {type(outputs).__name__}"
            )
        return outputs

    def steps(self) -> training.Steps | None:
        """The calls of its layers, for training that goes through them; None where `call` alone knows."""
        return None

    def _computes_as(self, kind: type[Layer]) -> bool:
        """Whether a step of training does what a class says: neither a subclass nor the model has its own."""
        own = vars(self).keys().isdisjoint(_DECIDING)
        return own and all(map(is_, _deciding(type(self)), _deciding(kind)))

    def _forward(self, x: Any) -> Any:
        return self(x)

    def _collected(self, forward: Callable[[], Any]) -> Any:
        """Return the outputs of a batch and collect the penalties of all calls of each layer."""
        if not self._has_penalties:
            return forward()
        with collecting_losses(self):
            return forward()

    def regularization_loss(self) -> Tensor | None:
        """Return the sum of the penalties on weights and outputs, or None."""
        if not self._has_penalties:
            return None
        penalty = super().regularization_loss()
        # Searching for penalties costs as much as a small layer; in training, once per fit is enough.
        if penalty is None and self.training:
            self._has_penalties = False
        return penalty

    def _width(self) -> int | None:
        """Return the number of outputs per sample or step, or None if it is unknown."""
        shape = getattr(self, "output_shape", None)
        last = shape[-1] if isinstance(shape, tuple) and shape else None
        return last if isinstance(last, int) else None

    def _check_counts(self, epochs: int, initial_epoch: int, split: float, every: int) -> None:
        _checks.whole("epochs", epochs, 0)
        _checks.whole("initial_epoch", initial_epoch, 0)
        _checks.whole("validation_freq", every)
        _checks.real("validation_split", split, least=0, below=1)

    def _prepare(self, x: Part) -> None:
        """Build the model for these inputs and pass the weights to the optimizer."""
        if not isinstance(x, tuple):
            if self._input is None:
                self._input = ([None, *x.shape[1:]], str(x.dtype).removeprefix("torch."))
            self._build_from(x)
        compiled = self.compiled
        self._has_penalties = True
        compiled.bind(self.trainable_weights)

    def _build_from(self, x: Tensor) -> None:
        """Create the weights by a trial call, for models that don't know their shapes otherwise."""
        if not self.built or not any(True for _ in self.parameters()):
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                self(x[:1])

    def _place(self, device: torch.device) -> None:
        self._device = device
        self.to(device)
        if self._compiled is not None:
            self._compiled.optimizer.move_state(device)


def _shows_nothing(verbose: object) -> bool:
    return type(verbose) is int and verbose == 0


def _first_weight(module: torch.nn.Module) -> Tensor | None:
    """Return `next(module.parameters())` without building the names of all."""
    for weight in module._parameters.values():
        if weight is not None:
            return weight
    for child in module._modules.values():
        found = None if child is None else _first_weight(child)
        if found is not None:
            return found
    return None


def _figures(logs: dict[str, Any], as_dictionary: bool) -> Any:
    if as_dictionary:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
