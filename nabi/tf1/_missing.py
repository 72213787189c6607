"""Names of TensorFlow 1 without an eager equivalent, and what to write instead."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from nabi.errors import MissingNameError

__all__ = ["MissingNameError", "getter"]

PAGE = "docs/migrate-from-tensorflow-1.md"

INSTEAD = {
    "AUTO_REUSE": "nothing: a cell shares its weights wherever it is used",
    "ConfigProto": "nothing: there is no session to configure",
    "Graph": "nothing: every line computes at once, there is no graph to build first",
    "GraphKeys": "cell.trainable_variables: there is no graph that collects variables",
    "InteractiveSession": "nothing: every line computes at once, so a result is already a number",
    "Session": "nothing: every line computes at once, so a result is already a number",
    "Variable": "torch.nn.Parameter(torch.zeros(3)); a cell makes its own variables",
    "constant": "numpy.array([...]) or torch.tensor([...])",
    "get_collection": "cell.trainable_variables: there is no graph that collects variables",
    "get_default_graph": "nothing: every line computes at once, there is no graph",
    "get_variable": "torch.nn.Parameter(torch.zeros(3)); a cell makes its own variables",
    "global_variables": "cell.variables",
    "global_variables_initializer": "nothing: a cell makes and fills its variables on first use",
    "gradients": "torch.autograd.grad(loss, cell.trainable_variables)",
    "initialize_all_variables": "nothing: a cell makes and fills its variables on first use",
    "layers": "torch.nn.Linear, or tf.keras.layers.Dense in a tf.keras.Sequential",
    "losses": "torch.nn.functional.mse_loss or torch.nn.functional.cross_entropy",
    "nn.raw_rnn": "a loop over time that calls cell(x, state)",
    "nn.sparse_softmax_cross_entropy_with_logits": "torch.nn.functional.cross_entropy(logits, labels)",
    "nn.softmax_cross_entropy_with_logits": "torch.nn.functional.cross_entropy(logits, labels)",
    "nn.softmax_cross_entropy_with_logits_v2": "torch.nn.functional.cross_entropy(logits, labels)",
    "placeholder": "the array itself where the placeholder stood: "
    "outputs, state = tf.nn.dynamic_rnn(cell, X_batch, dtype=tf.float32)",
    "placeholder_with_default": "the array itself where the placeholder stood",
    "reset_default_graph": "nothing: there is no graph; make a new cell for new weights",
    "set_random_seed": "nabi.utils.set_random_seed(42)",
    "summary": "print, or a callback of nabi.callbacks",
    "train": "an optimizer of torch.optim: torch.optim.Adam(cell.parameters())",
    "trainable_variables": "cell.trainable_variables",
    "variable_scope": "nothing: a cell's variables belong to the cell, and cell.name names them",
}


def getter(prefix: str, known: Iterable[str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that raises an error with the replacement of a TensorFlow 1 name."""

    def get(name: str) -> Any:
        path = f"{prefix}{name}"
        if path in INSTEAD:
            raise MissingNameError(
                f"tf.{path} is not in nabi.tf1, where every line computes at once; "
                f"write {INSTEAD[path]}. See {PAGE}"
            )
        nearest = get_close_matches(name, list(known), n=1)
        hint = f"; did you mean tf.{prefix}{nearest[0]}?" if nearest else "."
        raise MissingNameError(
            f"tf.{path} is not in nabi.tf1{hint} For the available names and replacements, see {PAGE}"
        )

    return get
