"""A stand-in for keras that renames and translates to nabi, for running Keras' own tests against nabi."""
