"""Training of a series classifier."""

from nabi.models._sequences._training import SequenceTraining

__all__ = ["SeriesTraining"]


class SeriesTraining(SequenceTraining):
    """One training of a series classifier."""

    kind = "series classifier training"
    material = "series or labels"
