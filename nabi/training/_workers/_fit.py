"""`fit` on many workers: how a batch is divided, and what they compare and share."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from nabi._row_share import RowShare, having_rows
from nabi.errors import ArgumentError
from nabi.training._callbacks._base import CallbackList
from nabi.training._compiled import Compiled, Trainable
from nabi.training._data._batches import ArrayBatches, Batch, Batches, StreamBatches
from nabi.training._data._inputs_outputs import Part, row_count
from nabi.training._data._seeds import current_random_state, restore_random_state
from nabi.training._multi_output import Losses
from nabi.training._own_steps import defines
from nabi.training._step._step import Step, evaluate_batch
from nabi.training._workers._exchange import GradientExchange, Sums, embeddings_of
from nabi.training._workers._figures import figures_of_all
from nabi.training._workers._group import Workers, reached
from nabi.training._workers._same import checksum, compare
from nabi.training._workers._states import KeptStates

__all__ = ["Together"]


class Together:
    """One call of `fit` in each of several workers.

    Every worker goes through the same batches and computes its own rows of each; what comes out is what one
    worker would compute on the whole batches, up to rounding. A `DataLoader` with a `DistributedSampler`, or
    another source that gives each worker batches of its own, is left as it is: the batch that the weights
    learn from is then the batches of all workers together.

    Raises:
        ArgumentError: in every worker, if versions, data, network or arguments differ, or for what cannot be
            divided: a `train_step` of the model's own, batches with fewer rows than there are workers.
    """

    def __init__(
        self,
        workers: Workers,
        model: Trainable,
        compiled: Compiled,
        data: Batches,
        validation: Batches | None,
        callbacks: CallbackList,
        epochs: int,
    ) -> None:
        self._workers, self._model, self._compiled, self._data = workers, model, compiled, data
        self._exchange: GradientExchange | None = None
        # Whether all go through the same batches; None until a source has given its first.
        self._divides: bool | None = True if isinstance(data, ArrayBatches) else None
        if isinstance(data, StreamBatches) and _has_own_share(data.source):
            self._divides = False
        self._checked = False
        self._states: KeptStates | None = None
        told = {**_told(data, "the data"), **_told(validation, "validation_data")}
        compare(workers, {**told, "epochs": epochs})
        self._refuse()
        watched = bool(callbacks.before_batch or callbacks.after_batch)
        self.is_watched = workers.any(watched)
        self._steps = 0

    def _refuse(self) -> None:
        model, compiled, count = self._model, self._compiled, self._workers.count
        if defines(model, "train_step"):
            raise ArgumentError(
                "train_step: a model's own step is that of one worker; define compute_loss instead, or train "
                "without a process group"
            )
        if isinstance(compiled.loss, Losses) and any(
            one is not None and one.reduction == "sum" for one in compiled.loss.losses
        ):
            raise ArgumentError("loss: expected means, for several outputs on several workers, got a sum")
        if isinstance(self._data, ArrayBatches):
            rows = min(self._data.batch_size, row_count(self._data.x))
            if rows < count:
                raise ArgumentError(
                    f"batch_size: expected at least {count}, a row for each worker, got batches of {rows}"
                )

    def any(self, value: bool) -> bool:
        """Whether one of the workers says so."""
        return self._workers.any(value)

    # Batches ------------------------------------------------------------------------------------------------

    def draw_alike(self) -> None:
        """Let all draw the same random numbers: those of the first."""
        device = torch.device("cpu")
        generator = getattr(self._data, "generator", None)
        orders = None if generator is None else generator.get_state()
        state, orders = self._workers.from_first((current_random_state(device), orders))
        restore_random_state(state, device)
        if generator is not None and orders is not None:
            generator.set_state(orders)

    def in_step(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches as long as all workers have one, for sources whose number of batches is not known.

        Raises:
            ArgumentError: in every worker, if some have one more and others don't.
        """
        if isinstance(self._data, ArrayBatches) or self._data.steps is not None:
            return batches
        return self._counted(batches)

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        number = 0
        while True:
            batch = next(batches, None)
            there = torch.tensor([float(batch is not None)], device=self._workers.device)
            reached(torch.distributed.all_reduce, there)
            if 0 < there.item() < self._workers.count:
                self.join_weights()
                raise ArgumentError(
                    f"x: expected as many batches in every worker, got {number} in some and more in others; "
                    "give steps_per_epoch, or a DataLoader with a DistributedSampler"
                )
            if batch is None:
                return
            number += 1
            yield batch

    def _share(self, batch: Batch) -> RowShare | None:
        """Return which rows of a batch are computed here; None for all, as it is this worker's own."""
        if self._divides is None:
            same = self._workers.gather(_checksum(batch))
            self._divides = len(set(same)) == 1
        if not self._divides:
            return None
        share = self._workers.share(row_count(batch[0]))
        if not self._checked and share.total < self._workers.count:
            raise ArgumentError(
                f"x: expected at least {self._workers.count} rows in a batch, one for each worker, "
                f"got {share.total}"
            )
        self._checked = True
        return share

    # Steps --------------------------------------------------------------------------------------------------

    def exchange(self) -> GradientExchange:
        """Return what makes the workers' gradients one; all have the first one's weights from then on."""
        if self._exchange is None:
            model: Any = self._model
            weights = list(model.parameters())
            compare(self._workers, {"the network": [str(tuple(one.shape)) for one in weights]})
            self._workers.take_from_first([*weights, *model.buffers()])
            if self._divides is not False:
                self._states = KeptStates(self._workers, model)
            trained = [weight for weight in weights if weight.requires_grad]
            self._exchange = GradientExchange(self._workers, trained, embeddings_of(model))
        return self._exchange

    def begin_step(self, is_first: bool) -> bool:
        """Divide the large weights, if that is possible and it is time; return whether it has.

        That is before the first step of an epoch, and once before the second, which an optimizer that is new
        cannot be asked for earlier. While somebody looks on between the steps, weights are not divided.

        Args:
            is_first: whether the step is the first of an epoch.
        """
        exchange = self.exchange()
        is_time = is_first or self._steps == 1
        self._steps += 1
        return is_time and not self.is_watched and exchange.divide(self._compiled.optimizer)

    def train(self, step: Step, batch: Batch, asked: bool) -> Sums:
        """Train on a batch; `asked` says whether Ctrl-C asked this worker for an end."""
        exchange = self.exchange()
        if self._states is not None:
            self._states.divide()
        exchange.asked, exchange.stopping = asked, self._model.stop_training
        share = self._share(batch)
        if share is None:
            return step.train_with_others(batch, row_count(batch[0]) * self._workers.count)
        with having_rows(share):
            sums = step.train_with_others(_part(batch, share) if share.count else None, share.total)
        if share.total < self._workers.count:  # who had no rows has drawn no random numbers
            device = next(self._model.parameters()).device
            restore_random_state(self._workers.from_last(current_random_state(device)), device)
        return sums

    def join_states(self) -> None:
        """Let stateful layers have the states of all rows, until the next step."""
        if self._states is not None:
            self._states.join()

    def join_weights(self) -> None:
        """Let every worker have all of the weights, and of what the optimizer keeps, until the next step."""
        if self._exchange is not None:
            self._exchange.join()

    def leave(self) -> None:
        """Let this worker have all of the weights, without asking others, which may have ended."""
        if self._exchange is not None:
            self._exchange.leave()

    def figures(self) -> dict[str, Any]:
        """Return the figures of this epoch over all workers."""
        return figures_of_all(self._workers, self._compiled)

    # Validation ---------------------------------------------------------------------------------------------

    def evaluate(self, batch: Batch) -> None:
        """Take this worker's rows of a batch into the figures."""
        if defines(self._model, "test_step"):
            evaluate_batch(self._model, self._compiled, batch)
            return
        share = self._workers.share(row_count(batch[0]))
        if share.count:
            # A sum over rows, of which there are more elsewhere.
            factor = share.total / share.count if self._compiled.loss.reduction == "sum" else 1.0
            evaluate_batch(self._model, self._compiled, _part(batch, share), factor)

    def validation_figures(self, prefix: str) -> dict[str, Any]:
        """Return the figures of a validation over all workers."""
        if defines(self._model, "test_step"):
            return self._compiled.figures(prefix)
        return figures_of_all(self._workers, self._compiled, prefix, loss_is_of_all=False)


def _has_own_share(source: Any) -> bool:
    batches = getattr(source, "batch_sampler", None)
    samplers = (getattr(source, "sampler", None), getattr(batches, "sampler", None))
    return any(isinstance(one, DistributedSampler) for one in samplers)


def _told(data: Batches | None, name: str) -> dict[str, Any]:
    """Return what is compared of data, by name."""
    if isinstance(data, ArrayBatches):
        found = checksum(*_tensors(data.x), *_tensors(data.y), *_tensors(data.weights))
        return {name: found, f"batch_size of {name}": data.batch_size, f"steps of {name}": data.steps}
    return {} if data is None else {f"steps of {name}": data.steps}


def _checksum(batch: Batch) -> str:
    return checksum(*(tensor for part in batch for tensor in _tensors(part)))


def _tensors(part: Part | None) -> tuple[Tensor | None, ...]:
    return part if isinstance(part, tuple) else (part,)


def _part(batch: Batch, share: RowShare) -> Batch:
    def own(part: Part | None) -> Part | None:
        if part is None:
            return None
        if isinstance(part, tuple):
            return tuple(None if one is None else one[share.rows] for one in part)
        return part[share.rows]

    x = own(batch[0])
    assert x is not None
    return x, own(batch[1]), own(batch[2])
