"""What each library does in its worker."""
