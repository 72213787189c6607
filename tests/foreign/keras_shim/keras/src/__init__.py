from keras.src import backend, initializers, layers, models, ops, testing

__all__ = ["backend", "initializers", "layers", "models", "ops", "testing"]
