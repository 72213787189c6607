"""The name under which Keras users look for the preparation of sequences; a door into `nabi.data`."""

from nabi.preprocessing import sequence

__all__ = ["sequence"]
