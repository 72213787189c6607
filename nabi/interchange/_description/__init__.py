"""What is in a model file, for people: facts, layers, recurrent stacks, equations, tensors."""
