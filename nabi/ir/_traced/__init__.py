"""What is known of a traced step: whether it is well formed, its derivative, its plan, its equations."""
