"""Keras files: `.keras` archives, `.h5` models and weights, read and written without Keras.

Begin with `_reading` and `_writing`. `_hdf5` and `_archive` know the containers, `_configs` and `_graphs`
turn Keras' description of a model into layers, `_places` says where the variables of a layer lie.
"""
