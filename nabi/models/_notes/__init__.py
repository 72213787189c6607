"""The note model: music for several voices."""
