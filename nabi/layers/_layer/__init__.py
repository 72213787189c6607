"""The foundations of every layer: base class, weights, shapes, names and symbolic inputs."""
