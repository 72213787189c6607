"""The name under which Keras users look for sequences and texts made ready; a door into `nabi.data`."""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.data import timeseries_dataset_from_array
from nabi.preprocessing import sequence, text

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
