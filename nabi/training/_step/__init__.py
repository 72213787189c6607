"""A training step without autograd: forward, loss, backward and update by the layers' own rules."""
