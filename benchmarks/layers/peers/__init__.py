"""The work of each library in its worker."""
