"""Reading, checking and splitting tables of texts, labels and pairs."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
