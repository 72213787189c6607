"""From a series to a number: networks, and a ridge regression that estimates it together with them."""
