"""PyTorch: modules whose recurrent parts become nabi's, and files of weights and of exported programs."""
