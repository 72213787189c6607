"""The name under which Keras users look for the preparation of sequences and texts; a door into `nabi.data`."""

from nabi.data import timeseries_dataset_from_array
from nabi.preprocessing import sequence, text

__all__ = ["sequence", "text", "timeseries_dataset_from_array"]
