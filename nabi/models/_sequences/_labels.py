"""Labels of sequences as numbers: one a sequence, one a step, or a string of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nabi.data import Labels
from nabi.errors import ArgumentError
from nabi.models._sequences._samples import NO_LABEL

__all__ = ["encode_labels", "learn_labels"]

# Sequences from which on labels that hardly repeat are refused.
_FEWEST_LABELLED = 12
_NAMED = 10


def learn_labels(values: Sequence[Any], names: Sequence[str], answer: str) -> Labels:
    """Return the classes that occur in labels.

    Args:
        values: of each sequence its label, or for the answers "step" and "string" a list of labels. In a
            list for steps None means that a step has no label.
        names: of the sequences, for messages.
        answer: one of `nabi.models._sequences._network.ANSWERS`.

    Raises:
        ArgumentError: for a missing label, something else than labels, fewer than two classes, and labels
            that do not repeat.
    """
    found = [one for _, one in _all(values, names, answer) if one is not None]
    different = list(dict.fromkeys(found))
    if answer == "class" and len(found) >= _FEWEST_LABELLED and len(different) > len(found) / 2:
        shown = ", ".join(repr(one) for one in different[:_NAMED])
        raise ArgumentError(
            f"label: {len(different):,} different labels in {len(found):,} sequences, such as {shown}: this "
            "does not look like labels, which repeat. Numbers are learnt from texts, series and DNA "
            "(task='regression'; SeriesRegressor, DNARegressor); of others make classes, such as 'low' and "
            "'high'"
        )
    return Labels.learn(found)


def encode_labels(
    values: Sequence[Any],
    names: Sequence[str],
    answer: str,
    labels: Labels,
    lengths: Sequence[int] | None = None,
) -> list[Any]:
    """Return labels as numbers of their classes, as `SequenceSamples` has them.

    Args:
        values, names, answer: as in `learn_labels`.
        labels: the classes.
        lengths: steps of the sequences, for the answer "step".

    Raises:
        ArgumentError: for a label that is no class, naming its sequence, for a missing label, and for a list
            whose length is not that of its sequence.
    """
    # 1 and True are equal, and different labels.
    known: dict[Any, int] = {(type(None), None): NO_LABEL}
    for name, one in _all(values, names, answer):
        if (type(one), one) not in known:
            try:
                known[type(one), one] = int(labels.encode([one])[0])
            except ArgumentError:
                shown = ", ".join(labels.names[:_NAMED]) + (", ..." if len(labels) > _NAMED else "")
                raise ArgumentError(
                    f"{name}: expected one of the labels learnt from ({shown}), got {one!r}"
                ) from None

    def number(value: Any) -> int:
        plain = _plain(value)
        return known[type(plain), plain]

    if answer == "class":
        return [number(one) for one in values]
    targets = [np.array([number(one) for one in listed], np.int64) for listed in values]
    if answer == "step" and lengths is not None:
        for name, target, length in zip(names, targets, lengths, strict=True):
            if len(target) != length:
                raise ArgumentError(
                    f"{name}: expected a label for each of its {length} steps, got {len(target)} labels"
                )
    return targets


def _all(values: Sequence[Any], names: Sequence[str], answer: str) -> list[tuple[str, Any]]:
    """Every label with the name of its sequence, checked."""
    if len(values) != len(names):
        raise ArgumentError(f"labels: expected one for each of {len(names)} sequences, got {len(values)}")
    found = []
    for name, one in zip(names, values, strict=True):
        if answer == "class":
            found.append((name, _checked(name, one)))
            continue
        if isinstance(one, str) or not hasattr(one, "__len__"):
            raise ArgumentError(f"{name}: expected a list of labels, got {one!r}")
        for each in one:
            plain = _plain(each)
            found.append((name, None if answer == "step" and plain is None else _checked(name, plain)))
    return found


def _checked(name: str, value: Any) -> Any:
    plain = _plain(value)
    if plain is None or plain != plain or (isinstance(plain, str) and not plain.strip()):
        raise ArgumentError(f"{name}: expected a label, got none")
    if not isinstance(plain, str | int | float):
        raise ArgumentError(f"{name}: expected a label, text or a number, got {type(plain).__name__}")
    return plain


def _plain(value: Any) -> Any:
    """A number of NumPy or torch as Python's."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
