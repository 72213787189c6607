"""Writing ONNX files: what is shared by all models, layers by their kinds, and the models."""
