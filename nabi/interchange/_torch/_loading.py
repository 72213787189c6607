"""Weights of a file brought into a model by name."""

import os
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from nabi._public import public
from nabi.errors import FileFormatError
from nabi.interchange._report import LoadReport
from nabi.interchange._torch._layers import views_of
from nabi.interchange._torch._modules import check_module
from nabi.interchange._torch._reading import read_weights_file

__all__ = ["load_torch_weights"]

# Parts of a prefix, and prefixes that are tried: wrappers (DataParallel, torch.compile, trainers) add few.
_DEEPEST, _MOST = 3, 200


@public
def load_torch_weights(module: nn.Module, path: str | os.PathLike[str], *, strict: bool = True) -> LoadReport:
    """Load the weights of a PyTorch or safetensors file into a model, by name.

    Prefixes that wrappers put in front of names (`module.` of `DataParallel`, `model.`, `_orig_mod.` of
    `torch.compile`) are found, on either side, and reported; so is the place of the weights inside a
    checkpoint. Nothing in a file is run. Values are converted to the data type and device of the model.

    In a model of `nabi.layers`, recurrent layers, Dense and Embedding take PyTorch's weights: the layer
    called `rnn` takes `rnn.weight_ih_l0` and the others, `rnn_l1` those of the second layer. The
    reset of a GRU must come after the product.

    Args:
        module: any module; names are those of its `state_dict`.
        path: of a `.pt`, `.pth` or `.safetensors` file.
        strict: whether everything must fit; if not, what fits is loaded, and the report says the rest.

    Returns:
        The report.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged or of a kind that is not read; or weights do not fit (with
            `strict=False`: none fits). The message has the report, and the model has not been changed.

    Example:
        >>> import tempfile, torch, nabi.nn
        >>> from nabi.interchange import load_torch_weights
        >>> path = tempfile.mkdtemp() + "/tagger.pt"
        >>> theirs = torch.nn.Sequential(torch.nn.LSTM(3, 5))
        >>> torch.save({"epoch": 3, "state_dict": torch.nn.DataParallel(theirs).state_dict()}, path)
        >>> report = load_torch_weights(torch.nn.Sequential(nabi.nn.LSTM(3, 5)), path)
        >>> report.inside, report.removed, report.is_complete
        ('state_dict', 'module.', True)
    """
    check_module("module", module)
    found = read_weights_file(path)
    views = views_of(module)
    in_views = {id(parameter) for view in views for parameter in view.parameters}
    own = {
        name: value
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor) and id(value) not in in_views
    }
    for view in views:
        own.update(view.tensors)
    removed, added = _best_prefixes(found.tensors, own)
    renamed = _renamed(found.tensors, removed, added)
    both = [name for name in own if name in renamed]
    shapes = {
        name: (tuple(own[name].shape), tuple(renamed[name].shape))
        for name in both
        if renamed[name].shape != own[name].shape
    }
    types = {
        name: (own[name].dtype, renamed[name].dtype)
        for name in both
        if name not in shapes and _kind(renamed[name]) != _kind(own[name])
    }
    names = {added + name.removeprefix(removed): name for name in found.tensors if name.startswith(removed)}
    loaded = {name: names[name] for name in both if name not in shapes and name not in types}
    fitting = {there for here, there in names.items() if here in own}
    report = LoadReport(
        found.path,
        loaded,
        left_over=tuple([name for name in found.tensors if name not in fitting]),
        missing=tuple([name for name in own if name not in renamed]),
        other_shapes=shapes,
        other_types=types,
        inside=found.inside,
        removed=removed,
        added=added,
    )
    if not loaded or (strict and not report.is_complete):
        hint = "; strict=False loads what fits" if loaded else ""
        raise FileFormatError(
            f"path: {found.path} does not fit {type(module).__name__}{hint}:\n{report.misfits()}"
        )
    with torch.no_grad():
        for view in views:  # they hold copies: the model is not changed before all of it has been checked
            for name in view.tensors.keys() & set(loaded):
                own[name].copy_(renamed[name])
            view.check()
        for name in set(loaded).difference(*[view.tensors for view in views]):
            own[name].copy_(renamed[name])
        for view in views:
            view.write_back()
    return report


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _renamed(tensors: Mapping[str, Tensor], removed: str, added: str) -> dict[str, Tensor]:
    return {
        added + name.removeprefix(removed): tensor
        for name, tensor in tensors.items()
        if name.startswith(removed)
    }


def _best_prefixes(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[str, str]:
    """Return what to take from the front of the file's names and to put there, so that most of them fit."""
    best, most = ("", ""), -1
    for removed in _prefixes(found):
        for added in _prefixes(own) if not removed else [""]:
            renamed = _renamed(found, removed, added)
            if len(renamed) <= most:
                continue
            fitting = sum(name in own and own[name].shape == value.shape for name, value in renamed.items())
            if fitting > most:
                best, most = (removed, added), fitting
    return best


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return what names begin with, up to a few parts long, the shortest first."""
    found = {""}
    for name in names:
        parts = name.split(".")[:-1]
        found.update(".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), _DEEPEST) + 1))
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix))[:_MOST]
