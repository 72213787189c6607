"""What every layer is made of: its base class, weights, shapes, names and symbolic inputs."""
