"""Programs of torch.export (`.pt2`) as modules: the archive, the graph in it, and what runs the graph."""
