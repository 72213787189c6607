"""A graph of ONNX read node by node: what names stand for, and a layer for each node that needs one."""
