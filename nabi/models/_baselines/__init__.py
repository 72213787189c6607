"""Simple models that stand beside a network, so that everyone sees what the network adds."""
