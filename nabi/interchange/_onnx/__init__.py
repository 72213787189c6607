"""ONNX files: read as models of nabi."""
